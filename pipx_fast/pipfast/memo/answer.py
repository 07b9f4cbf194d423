"""Kept answer to a command line, printed again."""

from __future__ import annotations

import os
import sys

from pipfast.memo.entry import read, refusal, root
from pipfast.memo.question import Question, is_install, is_loud, oddity, unfit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipfast.memo.watch import Watch


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
    entry = read(store, question.key) if question is not None and not why else None
    before = refusal(entry) if entry is not None else "it has not been asked before"
    if explains and question is not None and entry is None:
        from pipfast.memo.why import explained

        before = explained(arguments, environ, store)
    if why or question is None:
        return _unkept(run, why or "the store's place is not told by a variable", before if explains else "")
    must_agree = environ.get("PIPFAST_MEMO", "").strip().lower() == "verify"
    if entry is not None:
        must_agree = must_agree or entry.is_proof
        if not before and not must_agree and _printed(entry.lines):
            return 0
    from pipfast.memo.watch import noted, was_asked

    # With -vv one wants to know why it would not be kept.
    if not (must_agree or explains or was_asked(store, question.key)):
        return noted(question, store, run, before)
    from pipfast.memo.recording import recorded

    return recorded(
        question, store, run, before or "pip is to decide" * must_agree or "it cannot be printed",
        entry if entry is not None and must_agree and not before else None,
    )


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
                    _say_broken()
                raise SystemExit(1) from None
            is_begun = True
            data = data[count:]
    return True


def _say_broken() -> None:
    try:
        os.write(2, b"ERROR: Pipe to stdout was broken\n")
    except OSError:
        pass
