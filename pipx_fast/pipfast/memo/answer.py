"""Kept answer to a command line, printed again."""

from __future__ import annotations

import os
import sys

from pipfast.memo.again.elsewhere import HERE
from pipfast.memo.entry import kept_for, root
from pipfast.memo.question import Question, is_install, is_loud, oddity, unfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipfast.memo.entry import Entry
    from pipfast.memo.watch import Watch

_UNPRINTED = "it cannot be printed"


def answered(arguments: Sequence[str], run: Callable[[Watch | None], int]) -> int:
    """Print what pip would print again, or run pip and keep what it answers; return the exit code.

    :param run: runs pip on this process's command line; it tells of itself to what it gets, if that is anything.
        What it raises goes through.
    """
    environ = os.environ
    if not is_install(arguments, environ):
        return run(None)
    explains = is_loud(arguments, environ)
    why = unfit(arguments, environ) or oddity()
    store = root(environ)
    try:
        question = Question(arguments, environ) if store and (explains or not why) else None
    except OSError:
        # pip is about to complain, of a current folder that is gone for one.
        question, why = None, why or "there is no current folder"
    entry, before = kept_for(question, store) if question is not None and not why else (None, "")
    if explains and question is not None and entry is None:
        from pipfast.memo.why import explained

        before = explained(arguments, environ, store)
    if why or question is None:
        return _unkept(run, why or "the store's place is not told by a variable", before if explains else "")
    must_agree = environ.get("PIPFAST_MEMO", "").strip().lower() == "verify"
    if entry is not None:
        must_agree = must_agree or entry.is_proof
        if not before and not must_agree:
            before = _given(entry, question, store)
            if not before:
                return 0
    from pipfast.memo.watch import noted, was_asked

    # With -vv one wants to know why it would not be kept.
    if not (must_agree or explains or was_asked(store, question)):
        return noted(question, store, run, before)
    from pipfast.memo.recording import recorded

    return recorded(
        question, store, run, before or "pip is to decide",
        entry if entry is not None and must_agree and not before else None,
    )


def _given(entry: Entry, question: Question, store: str) -> str:
    """Do again what pip has done, and print what it has said; return why nothing was done, if that is so."""
    if not entry.installed:
        return "" if _printed(entry.lines) else _UNPRINTED
    from pipfast.errors import PipfastError
    from pipfast.memo.again.installation import read_installation

    placing, why = None, ""
    assert question.environment is not None
    try:
        kept = read_installation(entry.installed)
        is_told = any(HERE.encode() in data for _, data in entry.lines)
        if is_told and kept.length != len(question.environment.prefix):
            # pip breaks its notices where the line ends.
            return "it prints where the environment is, whose path has another length"
        if kept.wheels:
            from pipfast.memo.again.place import place_all

            placing = place_all(kept, store, question.environment)
        elif kept.weekly is not None:
            why = kept.weekly.renew(question.environment)
    except (PipfastError, ValueError, StopIteration) as error:
        return str(error)
    except KeyboardInterrupt:
        _say(b"ERROR: Operation cancelled by user\n")
        raise SystemExit(1) from None
    if why:
        return why
    if _printed([(number, question.environment.full_bytes(data)) for number, data in entry.lines]):
        if placing is not None:
            placing.end()
        return ""
    if placing is not None:
        placing.undo()
    return _UNPRINTED


def _unkept(run: Callable[[Watch | None], int], why: str, before: str) -> int:
    """Run pip, and say in its debug log why its answer is not kept."""
    try:
        return run(None)
    finally:
        # pip's run has it.
        from pipfast.report import logger

        if before:
            logger.debug("pipfast: no kept answer was given: %s", before)
        logger.debug("pipfast: this answer is not kept: %s", why)


def _printed(lines: Sequence[tuple[int, bytes]]) -> bool:
    """Write to the standard streams; False: nothing was written.

    Their reader may go in the middle: then with pip's words and exit code.
    """
    is_begun = False
    for number, data in lines:
        stream = sys.stdout if number == 1 else sys.stderr
        while data:
            try:
                # What was printed when the interpreter started comes first.
                stream.flush()
                count = os.write(number, data)
            except OSError as error:
                if not is_begun:
                    return False
                if number == 1 and isinstance(error, BrokenPipeError):
                    _say(b"ERROR: Pipe to stdout was broken\n")
                raise SystemExit(1) from None
            is_begun = True
            data = data[count:]
    return True


def _say(line: bytes) -> None:
    try:
        os.write(2, line)
    except OSError:
        pass
