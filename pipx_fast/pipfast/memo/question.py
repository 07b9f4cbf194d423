"""One command line with everything around it that pip can tell apart.

Imported before pip, and before nearly everything else: each import here costs every command its time.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from pipfast.memo.again.elsewhere import Environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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

__all__ = (
    "ARGUMENTS", "FOLDER", "MOST_WORDS", "UNREAD", "VARIABLE", "Question", "is_install", "is_loud", "oddity",
    "says_more", "sha256", "unfit",
)

UNREAD = frozenset((
    "OLDPWD", "PS1", "PWD", "SHLVL", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TERM_SESSION_ID",
    "VIRTUAL_ENV_PROMPT", "WINDOWID", "XDG_SESSION_ID", "_", "_OLD_VIRTUAL_PATH", "_OLD_VIRTUAL_PS1",
))
"""Variables that differ from shell to shell, and that neither Python nor pip nor pipfast reads by itself; a
requirements file can name them."""

ARGUMENTS, FOLDER, VARIABLE = "words", "current folder", "variable "
"""Names of parts of a question, and the beginning of some."""

MOST_WORDS = 10_000
"""Arguments beyond which a command line is not looked at."""


def is_install(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell whether this is an ``install`` of pipfast's: nothing is said of any other command."""
    if not sys.platform.startswith("linux") or arguments[:1] != ["install"]:
        return False
    return environ.get("PIPFAST", "").strip().lower() not in ("off", "0", "false")


def unfit(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return why no answer to an ``install`` is kept, as far as its words tell; empty: it may be."""
    if "memo" in environ.get("PIPFAST_DISABLE", "").lower():
        return "it is switched off"
    if len(arguments) > MOST_WORDS:
        return "it has too many words"
    # They ask for a file of their own, or for words that are of one run alone.
    for name in ("PIPFAST_TIMINGS", "PIPFAST_TIMELINE", "PIP_LOG", "PIP_AUTO_COMPLETE"):
        if environ.get(name):
            return f"{name} is set"
    # --no-cache-dir keeps nothing, and --cache-dir moves the store: pip reads abbreviations of both.
    for each in arguments:
        if each.startswith(("--no-ca", "--ca", "--log", "--rep", "--timel")):
            return f"it has {each.partition('=')[0]}"
    return ""


def is_loud(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Tell whether somebody may see the debug log: with ``-v`` or ``--log``."""
    return bool(environ.get("PIP_VERBOSE") or environ.get("PIP_LOG")) or any(map(says_more, arguments))


def says_more(argument: str) -> bool:
    """Tell whether an argument is ``-v`` or ``--log``."""
    if argument.startswith("--"):
        return argument.startswith(("--verb", "--log"))
    return argument.startswith("-") and "v" in argument and {"q", "v"}.issuperset(argument[1:])


def oddity() -> str:
    """Return what is odd about this process; empty: it prints as Python has made it, and nobody watches it."""
    if sys.gettrace() is not None or sys.getprofile() is not None or _is_monitored():
        return "the process is traced"
    # They print beside pip, some of it when the interpreter ends.
    if sys.flags.dev_mode or sys.flags.verbose or "importtime" in sys._xoptions:
        return "the interpreter says more than usual"
    if os.environ.get("PYTHONPROFILEIMPORTTIME") or not all(each.startswith("i") for each in sys.warnoptions):
        return "the interpreter says more than usual"
    # There the files that are opened do not name their sources.
    if sys.pycache_prefix is not None:
        return "bytecode is elsewhere"
    if _is_pythons(sys.stdout, sys.__stdout__, 1) and _is_pythons(sys.stderr, sys.__stderr__, 2):
        return ""
    return "its streams are not Python's own"


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
        # Its path stands in the parts as `repr` writes it.
        is_one = sys.prefix != sys.base_prefix and repr(sys.prefix)[1:-1] == sys.prefix
        self.environment = Environment(sys.prefix) if is_one else None
        """The virtual environment that this Python is in; None: it is in none, or in one with an odd name."""
        self.parts = [(name, repr(value)) for name, value in self._parts(environ)]
        """Names, and what each part is."""
        self._key_of_any: str | None = None
        self.key = _key(self.parts)
        """64 lowercase hex digits."""

    @property
    def is_dry_run(self) -> bool:
        """Tell whether nothing is to be installed."""
        return "--dry-run" in self.arguments

    @property
    def key_of_any(self) -> str:
        """Return the key of this question as it is asked of any environment; empty: it has none."""
        if self._key_of_any is None:
            environment, self._key_of_any = self.environment, ""
            if environment is not None and environment.is_plain():
                parts = [(name, environment.neutral(value)) for name, value in self.parts]
                self._key_of_any = _key([("of any environment", ""), *parts])
        return self._key_of_any

    def _parts(self, environ: Mapping[str, str]) -> Iterator[tuple[str, object]]:
        yield ARGUMENTS, self.arguments
        yield FOLDER, self.folder
        for name in sorted(environ):
            if name not in UNREAD:
                yield f"{VARIABLE}{name}", environ[name]
        yield "program", (sys.argv[0], os.path.dirname(os.path.abspath(__file__)))
        yield "interpreter", (sys.executable, sys.prefix, sys.base_prefix, sys.version)
        yield "option of the interpreter", (sys.flags, sys.warnoptions, sorted(sys._xoptions.items()))
        yield "sys.path", sys.path
        # An import hook of somebody else's may answer for a module.
        yield "import hook", [[getattr(each, "__qualname__", type(each).__qualname__) for each in hooks]
                              for hooks in (sys.meta_path, sys.path_hooks)]
        yield "user", (os.getresuid(), os.getresgid(), sorted(os.getgroups()), _capabilities())
        yield "umask", _umask()
        yield "system", (tuple(os.uname()), _libc())
        yield "terminal", [_stream(number) for number in range(3)]
        yield "encoding", (sys.getfilesystemencoding(), sys.getfilesystemencodeerrors(), *(
            [getattr(stream, name, None) for name in ("encoding", "errors", "line_buffering", "write_through")]
            for stream in (sys.stdin, sys.stdout, sys.stderr)))


def _key(parts: Iterable[tuple[str, str]]) -> str:
    digest = sha256()
    for part in parts:
        digest.update("\0".join((*part, "")).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


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
