"""Kept answer to a command line, printed again."""

from __future__ import annotations

import os
import sys
import time

from pipfast.memo.entry import Entry, read, root
from pipfast.memo.facts import changed
from pipfast.memo.question import Question, is_plain_process, may_be_remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipfast.memo.recording import Recording


def answered(arguments: Sequence[str], run: Callable[[Recording | None], int]) -> int:
    """Print what pip would print again, or run pip and keep what it answers; return the exit code.

    :param run: runs pip on this process's command line; it gets what watches it, if anything does. What it raises
        goes through.
    """
    environ = os.environ
    if not may_be_remembered(arguments, environ) or not is_plain_process():
        return run(None)
    store = root(environ)
    try:
        question = Question(arguments, environ) if store else None
    except OSError:
        # pip is about to complain, of a current folder that is gone for one.
        question = None
    if question is None:
        return run(None)
    entry = read(store, question.key)
    why = "it has not been asked before"
    must_agree = environ.get("PIPFAST_MEMO", "").strip().lower() == "verify"
    if entry is not None:
        why = refusal(entry)
        must_agree = must_agree or entry.is_proof
        if not why and not must_agree and _printed(entry.lines):
            return 0
    from pipfast.memo.recording import recorded

    return recorded(question, store, run, why, entry if entry is not None and must_agree and not why else None)


def refusal(entry: Entry) -> str:
    """Return why an entry does not answer now; empty: it does. Only a temporary file is made, and removed."""
    now = time.time_ns()
    if now < entry.made:
        return "the clock was set back"
    if entry.until and now >= entry.until:
        return "it was made for a time that is over"
    path = changed(entry.facts)
    if path:
        return f"{path} is not as it was"
    if entry.temporary and not _takes_files(entry.temporary):
        return f"{entry.temporary} takes no temporary files"
    return ""


def _takes_files(folder: str) -> bool:
    """Do what pip does in each run: make a folder and a file there, and remove them."""
    path = f"{folder}/pip-memo-{os.urandom(8).hex()}"
    try:
        os.mkdir(path, 0o700)
        try:
            file = f"{path}/it"
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                return os.write(descriptor, b"blat") == 4
            finally:
                os.close(descriptor)
                os.unlink(file)
        finally:
            os.rmdir(path)
    except OSError:
        return False


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
