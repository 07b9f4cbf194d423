"""One command line with everything around it that pip can tell apart.

Imported before pip, and before nearly everything else: each import here costs every command its time.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

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

__all__ = ("MOST_WORDS", "UNREAD", "Question", "is_plain_process", "may_be_remembered", "sha256")

UNREAD = frozenset((
    "OLDPWD", "PWD", "SHLVL", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TERM_SESSION_ID", "WINDOWID",
    "XDG_SESSION_ID", "_",
))
"""Variables that differ from shell to shell, and that neither Python nor pip nor pipfast reads by itself; a
requirements file can name them."""

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


def is_plain_process() -> bool:
    """Tell whether this process prints as Python has made it, and whether nobody watches what it runs."""
    if sys.gettrace() is not None or sys.getprofile() is not None or _is_monitored():
        return False
    # They print beside pip, some of it when the interpreter ends.
    if sys.flags.dev_mode or sys.flags.verbose or "importtime" in sys._xoptions:
        return False
    if os.environ.get("PYTHONPROFILEIMPORTTIME") or not all(each.startswith("i") for each in sys.warnoptions):
        return False
    # There the files that are opened do not name their sources.
    if sys.pycache_prefix is not None:
        return False
    return _is_pythons(sys.stdout, sys.__stdout__, 1) and _is_pythons(sys.stderr, sys.__stderr__, 2)


def _is_monitored() -> bool:
    monitoring = getattr(sys, "monitoring", None)
    return monitoring is not None and any(monitoring.get_tool(number) is not None for number in range(6))


def _is_pythons(stream: object, first: object, number: int) -> bool:
    if type(stream) is not TextIOWrapper or stream is not first or vars(stream) != {"mode": "w"}:
        return False
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False


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
        yield [getattr(each, "__qualname__", type(each).__qualname__) for each in sys.path_hooks]
        yield os.getresuid(), os.getresgid(), sorted(os.getgroups()), _umask(), _capabilities()
        yield tuple(os.uname()), _libc()
        yield [_stream(number) for number in range(3)]
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            yield stream is not None and (stream.encoding, stream.errors)
        yield sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _capabilities() -> list[bytes]:
    """Return what this process may do beyond its user's rights: root is not root in each container."""
    try:
        descriptor = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return [line for line in os.read(descriptor, 1 << 14).splitlines() if line.startswith(b"CapEff")]
    finally:
        os.close(descriptor)


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
