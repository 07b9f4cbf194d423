"""Reasons for which a question has no kept answer."""

from __future__ import annotations

import os

from pipfast.memo.question import ARGUMENTS, FOLDER, VARIABLE, Question, says_more, sha256
from pipfast.store.names import MEMO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_BYTES = 1 << 16
"""Bytes at the beginning of an answer that are read for what is told of its question: 2 kB of them, as a rule."""

MOST_NAMES = 6
"""Parts of a question that are named."""

_ALIKE = (VARIABLE, "user", "umask")
"""Parts, or their beginnings, that are the same for each command that is typed in a shell."""

_DIGITS = 8
"""Hex digits that tell whether a part is another one, and not what it was."""


def told(question: Question) -> bytes:
    """Return what an answer says of its question: its words, and short digests of its parts.

    The words are for reading, and have no password; nothing else can be read.
    """
    words = question.arguments
    if any("://" in each for each in words):
        # Not at the top: it takes longer than all the rest.
        from pipfast.address import redacted

        words = list(map(redacted, words))
    lines = [ascii(words), ascii(question.folder)]
    lines += [f"{digest} {name!a}" for name, digest in _digests(question)]
    return "\n".join(lines).encode("ascii")


def explained(arguments: Sequence[str], environ: Mapping[str, str], store: str) -> str:
    """Return why no kept answer is given to a question, had it been asked without ``-v`` and ``--log``."""
    from pipfast.memo.entry import kept_for
    from pipfast.memo.watch import was_asked

    quiet = {name: value for name, value in environ.items() if name not in ("PIP_VERBOSE", "PIP_LOG")}
    question = Question(_plain(arguments), quiet)
    entry, why = kept_for(question, store)
    if entry is not None:
        return why or "without -v and --log it would be"
    if was_asked(store, question):
        return "it has been asked once, when nothing is kept yet"
    others = min((names for _, names in _others(question, store)), key=len, default=None)
    if not others:
        return "it has not been asked before, here and in these words"
    return _another(others)


def kept_here(store: str, environ: Mapping[str, str]) -> list[tuple[str, int, str]]:
    """Return what was asked in the current folder, when, and why its kept answer is not given now.

    :returns: words, the clock's nanoseconds, and nothing where the answer is given to who asks the same way.
    """
    from pipfast.memo.entry import read, refusal

    try:
        ours = Question([], environ)
    except OSError:
        return []
    digests = {name: digest for name, digest in _digests(ours) if name.startswith(_ALIKE)}
    found = []
    for path in _paths(store):
        words, folder, theirs = _told_in(path)
        entry = read(store, os.path.basename(path)) if words and folder == ours.folder else None
        if entry is not None:
            names = sorted(name for name in digests.keys() | {each for each in theirs if each.startswith(_ALIKE)}
                           if digests.get(name) != theirs.get(name))
            found.append((words, entry.made, refusal(entry, ours.environment) or _another(names)))
    return sorted(found, key=lambda each: -each[1])


def _another(names: Sequence[str]) -> str:
    more = ", …" * (len(names) > MOST_NAMES)
    return f"it was asked with another {', '.join(names[:MOST_NAMES])}{more}" if names else ""


def _plain(arguments: Sequence[str]) -> list[str]:
    """Return a command line without ``-v`` and ``--log``."""
    found: list[str] = []
    is_value = False
    for each in arguments:
        if not is_value and not says_more(each):
            found.append(each)
        elif not is_value and not each.startswith("--") and "q" in each:
            found.append(each.replace("v", ""))
        is_value = not is_value and each.startswith("--log") and "=" not in each
    return found


def _others(question: Question, store: str) -> Iterator[tuple[str, list[str]]]:
    """Yield kept answers in the same folder and words, and the names of what is another in their questions."""
    ours = dict(_digests(question))
    for path in _paths(store):
        theirs = _told_in(path)[2]
        if all(ours[name] == theirs.get(name) for name in (ARGUMENTS, FOLDER)):
            names = sorted(name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name))
            if names:
                yield path, names


def _digests(question: Question) -> Iterator[tuple[str, str]]:
    for name, value in question.parts:
        yield name, sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]


def _paths(store: str) -> Iterator[str]:
    for folder in _names(f"{store}/{MEMO}"):
        for name in _names(f"{store}/{MEMO}/{folder}"):
            yield f"{store}/{MEMO}/{folder}/{name}"


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _told_in(path: str) -> tuple[str, str, dict[str, str]]:
    """Return the words and folder of an answer's question, and its parts' digests; nothing where it tells none."""
    from ast import literal_eval
    from shlex import join

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            content = os.read(descriptor, MOST_BYTES)
        finally:
            os.close(descriptor)
        words, folder, *parts = content.partition(b"\n")[2].split(b"\0")[1].decode("ascii").split("\n")
        digests = {str(literal_eval(name)): digest for digest, _, name in (each.partition(" ") for each in parts)}
        return join(literal_eval(words)), str(literal_eval(folder)), digests
    except (OSError, ValueError, IndexError, SyntaxError, TypeError):
        return "", "", {}
