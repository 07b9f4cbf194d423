"""Kept installation: wheels in pip's order, with the scripts made for them."""

from __future__ import annotations

from pipfast.memo.again.elsewhere import HERE
from pipfast.wheel.scheme import SCHEME_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipfast.memo.again.elsewhere import Environment
    from pipfast.memo.again.weekly import Weekly

_HEX = frozenset("0123456789abcdef")


class Script:
    """A script that begins with the interpreter's path.

    :param path: as ``Environment.relative`` returns it.
    :param is_made: it was made of an entry point; else it is the wheel's own, rewritten.
    :param rest: what comes after its first line.
    """

    __slots__ = ("is_made", "path", "rest")

    def __init__(self, path: str, is_made: bool, rest: bytes) -> None:
        self.path = path
        self.is_made = is_made
        self.rest = rest


class KeptWheel:
    """A wheel as it was installed.

    :param digest: SHA-256 of its archive, 64 lowercase hex digits.
    :param folders: those of ``SCHEME_KEYS``, as ``Environment.relative`` returns them; its headers have their own.
    :param requested: REQUESTED is written.
    :param entry_points: names of those that become scripts.
    :param compiles: a script was byte-compiled where it is.
    :param files: how many it has.
    """

    __slots__ = ("compiles", "digest", "entry_points", "files", "folders", "requested", "scripts")

    def __init__(
        self, digest: str, folders: Sequence[str], requested: bool, entry_points: Sequence[str],
        scripts: Sequence[Script], compiles: bool, files: int,
    ) -> None:
        self.compiles = compiles
        self.files = files
        self.digest = digest
        self.folders = folders
        self.requested = requested
        self.entry_points = entry_points
        self.scripts = scripts


class Placed:
    """A wheel that pipfast has just installed.

    :param digest: SHA-256 of its archive.
    :param folders: full paths of those of ``SCHEME_KEYS``.
    :param requested: REQUESTED was written.
    :param entry_points: names of those that became scripts.
    :param own_scripts: full paths of the wheel's own that were rewritten.
    :param made_scripts: full paths of those that were made of entry points.
    :param compiles: one of its scripts was byte-compiled.
    :param files: full paths of the files that were placed.
    :param terms: how it was installed, without wheels.
    """

    __slots__ = (
        "compiles", "digest", "entry_points", "files", "folders", "made_scripts", "own_scripts", "requested",
        "terms",
    )

    def __init__(
        self, digest: str, folders: Sequence[str], requested: bool, entry_points: Sequence[str],
        own_scripts: Sequence[str], made_scripts: Sequence[str], compiles: bool, files: Sequence[str],
        terms: Installation,
    ) -> None:
        self.files = files
        self.compiles = compiles
        self.digest = digest
        self.folders = folders
        self.requested = requested
        self.entry_points = entry_points
        self.own_scripts = own_scripts
        self.made_scripts = made_scripts
        self.terms = terms

    def kept(self, environment: Environment, interpreter: str) -> KeptWheel:
        """Return it as it is placed in another environment.

        :param interpreter: the path in its scripts' first line.
        :raises ValueError: it cannot be. OSError: a script cannot be read.
        """
        scripts = []
        for path, is_made in (*((each, False) for each in self.own_scripts),
                              *((each, True) for each in self.made_scripts)):
            with open(path, "rb") as file:
                first, rest = file.readline(), file.read()
            if first != b"#!" + _told(interpreter) + b"\n":
                raise ValueError(f"{path} does not begin with the interpreter's path")
            scripts.append(Script(_relative(environment, path), is_made, rest))
        folders = [_relative(environment, folder) for folder in self.folders]
        return KeptWheel(
            self.digest, folders, self.requested, self.entry_points, scripts, self.compiles, len(self.files),
        )


class Installation:
    """All that one run has installed into one environment.

    :param mode: the link mode that was asked for.
    :param umask: of the user.
    :param tag: the kind of bytecode; empty: none.
    :param apart: no two wheels have one file, so that their order does not matter.
    :param length: characters of the path of the environment.
    :param weekly: what is known of a newer pip; None: pip did not look.
    """

    __slots__ = ("apart", "length", "mode", "tag", "umask", "weekly", "wheels")

    def __init__(
        self, mode: str, umask: int, tag: str, wheels: Sequence[KeptWheel], apart: bool = False, length: int = 0,
        weekly: Weekly | None = None,
    ) -> None:
        self.apart = apart
        self.length = length
        self.weekly = weekly
        self.mode = mode
        self.umask = umask
        self.tag = tag
        self.wheels = wheels

    def elsewhere(
        self, environment: Environment, wheels: Sequence[KeptWheel], apart: bool, weekly: Weekly | None
    ) -> Installation:
        """Return an installation on these terms."""
        return Installation(self.mode, self.umask, self.tag, wheels, apart, len(environment.prefix), weekly)

    def of(self, wheels: Sequence[KeptWheel], weekly: Weekly | None = None) -> Installation:
        """Return the installation of some of its wheels."""
        return Installation(self.mode, self.umask, self.tag, wheels, weekly=weekly)

    def fields(self) -> list[bytes]:
        """Return it as ``read_installation`` reads it; ValueError: something in it cannot be told."""
        parts = [_told(self.mode), b"%d" % self.umask, _told(self.tag), b"%d" % self.apart, b"%d" % self.length]
        parts.append(b"%d" % len(self.wheels))
        if self.weekly is not None:
            note = self.weekly
            parts = [b"1", _told(note.folder), b"%d" % note.mode, _told(note.rest), b"%d" % note.asked, *parts]
        else:
            parts.insert(0, b"0")
        for wheel in self.wheels:
            parts += [_told(wheel.digest), *map(_told, wheel.folders)]
            parts += [b"%d" % wheel.requested, b"%d" % wheel.compiles, b"%d" % wheel.files]
            parts += [b"%d" % len(wheel.entry_points), *map(_told, wheel.entry_points)]
            parts.append(b"%d" % len(wheel.scripts))
            for script in wheel.scripts:
                parts += [_told(script.path), b"%d" % script.is_made, script.rest]
        return parts


def read_installation(fields: Sequence[bytes]) -> Installation:
    """Return what ``fields`` has told; ValueError, StopIteration: it is none, or leaves the environment."""
    each = iter(fields)
    weekly = None
    if next(each) == b"1":
        from pipfast.memo.again.weekly import Weekly

        weekly = Weekly(_text(each), int(next(each)), _text(each), next(each) == b"1")
    mode, umask, tag = _text(each), int(next(each)), _text(each)
    apart, length = next(each) == b"1", int(next(each))
    wheels = []
    for _ in range(int(next(each))):
        digest = _text(each)
        if len(digest) != 64 or not _HEX.issuperset(digest):
            raise ValueError(f"{digest!r} is no digest")
        folders = [_path(each) for _ in SCHEME_KEYS]
        requested, compiles, files = next(each) == b"1", next(each) == b"1", int(next(each))
        entry_points = [_text(each) for _ in range(int(next(each)))]
        scripts = [Script(_path(each), next(each) == b"1", next(each)) for _ in range(int(next(each)))]
        wheels.append(KeptWheel(digest, folders, requested, entry_points, scripts, compiles, files))
    return Installation(mode, umask, tag, wheels, apart, length, weekly)


def _relative(environment: Environment, path: str) -> str:
    if not environment.has(path):
        raise ValueError(f"{path} is not in the environment")
    return environment.relative(path)


def _told(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(fields: Iterator[bytes]) -> str:
    return next(fields).decode("utf-8", "surrogateescape")


def _path(fields: Iterator[bytes]) -> str:
    path = _text(fields)
    if path.partition("/")[0] != HERE or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError(f"{path!r} is not in the environment")
    return path
