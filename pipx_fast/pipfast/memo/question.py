"""One command line with everything around it that pip can tell apart.

Imported before pip, and before nearly everything else: each import here costs every command its time.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from hashlib import sha256
else:
    # hashlib loads OpenSSL, which takes longer than all that is done here.
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256

__all__ = ("MOST_WORDS", "UNREAD", "Question", "may_be_remembered", "sha256")

UNREAD = frozenset((
    "OLDPWD", "PWD", "SHLVL", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TERM_SESSION_ID", "WINDOWID",
    "XDG_SESSION_ID", "_",
))
"""Variables that differ from shell to shell, and that neither Python nor pip nor pipfast reads."""

MOST_WORDS = 10_000
"""Arguments beyond which a command line is not looked at."""


def may_be_remembered(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell whether this may be a question whose answer is kept: a plain ``install`` in a plain process."""
    if not sys.platform.startswith("linux") or arguments[:1] != ["install"] or len(arguments) > MOST_WORDS:
        return False
    if environ.get("PIPFAST", "").strip().lower() in ("off", "0", "false"):
        return False
    if "memo" in environ.get("PIPFAST_DISABLE", "").lower():
        return False
    # They ask for a file of their own, or for words that are of one run alone.
    if any(environ.get(name) for name in ("PIPFAST_TIMINGS", "PIPFAST_TIMELINE", "PIP_LOG", "PIP_AUTO_COMPLETE")):
        return False
    # --no-cache-dir keeps nothing, and --cache-dir moves the store: pip reads abbreviations of both.
    return not any(each.startswith(("--no-ca", "--ca", "--log", "--rep", "--timel")) for each in arguments)


class Question:
    """What was asked, and by whom, where and how: equal questions have equal keys."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        self.arguments = list(arguments)
        self.folder = os.getcwd()
        digest = sha256()
        for part in self._parts(environ):
            digest.update(repr(part).encode("utf-8", "surrogateescape"))
            digest.update(b"\0")
        self.key: str = digest.hexdigest()
        """64 lowercase hex digits."""

    def _parts(self, environ: Mapping[str, str]) -> Iterator[object]:
        yield sys.argv[0], self.arguments, self.folder
        yield sorted(each for each in environ.items() if each[0] not in UNREAD)
        yield sys.executable, sys.prefix, sys.base_prefix, sys.version, sys.flags, sys.warnoptions, sys.path
        yield sorted(sys._xoptions.items()), os.path.dirname(os.path.abspath(__file__))
        # An import hook of somebody else's may answer for a module.
        yield [getattr(each, "__qualname__", type(each).__qualname__) for each in sys.meta_path]
        yield os.getresuid(), os.getresgid(), sorted(os.getgroups()), _umask()
        yield tuple(os.uname()), _libc()
        yield [_stream(number) for number in range(3)]
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            yield stream is not None and (stream.encoding, stream.errors)
        yield sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _libc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (OSError, ValueError):
        return None


def _stream(number: int) -> object:
    """Return what pip can see of a standard stream: whether it is a terminal, and how wide."""
    try:
        if not os.isatty(number):
            os.fstat(number)
            return False
        return tuple(os.get_terminal_size(number))
    except OSError:
        return None
