"""The three files of an import hook of ours: written, recognised, removed."""

from __future__ import annotations

import ast
import hashlib
import os
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pipfast
from pipfast.errors import PipfastError
from pipfast.targets.own_record import record_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MODULE, START, PTH = "_pipfast_plugin.py", "pipfast-plugin.start", "pipfast-plugin.pth"
"""In the order of writing: the third makes a starting Python import the first."""

@dataclass(frozen=True, slots=True)
class Plugin:
    """An import hook.

    :param source: its file in the hooks' package ``startup``.
    :param names: of its three files, in the order of writing.
    """

    source: str
    names: tuple[str, str, str]

    @property
    def module(self) -> str:
        """The file that a starting Python imports: the source, with what it must know written into it."""
        return self.names[0]

    @property
    def stem(self) -> str:
        """The module's name."""
        return Path(self.module).stem

    @property
    def constant(self) -> Mapping[str, bytes]:
        """The content of the other two files.

        From Python 3.15 on (PEP 829) the first is read, and the import lines of the second are not.
        """
        _, start, pth = self.names
        return MappingProxyType({
            start: f"{self.stem}:install\n".encode(),
            pth: f"import {self.stem}; {self.stem}.install()\n".encode(),
        })


OF_PIP = Plugin("import_hook.py", (MODULE, START, PTH))
"""It stands in an environment, whose pip it attaches."""

OF_MAKERS = Plugin("new_environments.py", (
    "_pipfast_environments.py", "pipfast-environments.start", "pipfast-environments.pth"))
"""It stands where a Python finds it that runs venv or virtualenv, which attach what they make."""

_ASIDE = "[0-9a-f]" * 16
"""End of the name of a file that is being written, for a search."""

_PATIENCE_S = 10.0
"""Seconds to wait for another that attaches or detaches, which takes one; whoever needs longer hangs."""

_FOLDER, _OWNER, _DIGEST = "FOLDER = ", "OWNER = ", "# sha256: "
_MADE_CACHE, _MADE_FOLDERS = "MADE_CACHE = ", "MADE_FOLDERS = "


class ForeignFile(PipfastError):
    """A file has one of our names and not what we have written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.hint = "look at it, and move it away if nobody needs it"

    def __str__(self) -> str:
        return f"{self.path} is not as pipfast wrote it; nothing is changed"


@dataclass(frozen=True, slots=True)
class Attached:
    """What stands in a site-packages folder.

    :param folder: the pipfast that the hook runs.
    :param made_cache: there was no ``__pycache__`` before.
    :param complete: no file is missing.
    :param made_folders: so many folders were not there before: the site-packages, its parent, and so on.
    """

    folder: Path
    made_cache: bool
    complete: bool
    made_folders: int = 0


def own_folder() -> Path:
    """Return the folder of the pipfast that is running."""
    return Path(os.path.dirname(os.path.abspath(str(pipfast.__file__))))


def look(site_packages: Path, plugin: Plugin = OF_PIP) -> Attached | None:
    """Return what stands in a site-packages folder, None if nothing does.

    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be read.
    """
    found = _read(site_packages, plugin)
    if not found:
        return None
    lines = found.get(plugin.module, b"").decode("utf-8").splitlines()
    folder = next((line[len(_FOLDER):] for line in lines if line.startswith(_FOLDER)), "''")
    made_cache = f"{_MADE_CACHE}True" in lines
    made_folders = next((int(line[len(_MADE_FOLDERS):]) for line in lines if line.startswith(_MADE_FOLDERS)), 0)
    return Attached(site_packages / ast.literal_eval(folder), made_cache, len(found) == 3, made_folders)


def attach(site_packages: Path, folder: Path, plugin: Plugin = OF_PIP, made_folders: int = 0) -> bool:
    """Write the files, all or none; return False if they stood there already.

    :param folder: pipfast's.
    :param made_folders: how many the caller has made for them.
    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be written.
    """
    with _turn(site_packages):
        new = _attach(site_packages, folder, plugin, made_folders)
    if folder.parent != site_packages:
        # Its Python may write bytecode there without ever running a command of ours.
        record_folders(str(folder.parent))
    return new


def _attach(site_packages: Path, folder: Path, plugin: Plugin, made_folders: int) -> bool:
    old = _read(site_packages, plugin)
    there = look(site_packages, plugin)
    _remove_unfinished(site_packages, plugin)
    new = _contents(plugin, {
        # In the same site-packages it stays valid in a copy of the environment.
        _FOLDER: folder.name if folder.parent == site_packages else str(folder),
        _OWNER: _owner(folder.parent),
        _MADE_CACHE: there.made_cache if there else not (site_packages / "__pycache__").exists(),
        _MADE_FOLDERS: there.made_folders if there else made_folders,
    })
    if old == new:
        return False
    _remove_bytecode(site_packages, plugin)
    try:
        _write(site_packages, new)
    except BaseException:
        _take_back(site_packages, plugin, old)
        raise
    return True


def detach(site_packages: Path, plugin: Plugin = OF_PIP) -> Attached | None:
    """Remove the files, their bytecode and the folders that were made for them; return what stood there.

    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be removed.
    """
    with _turn(site_packages):
        there = look(site_packages, plugin)
        _remove_unfinished(site_packages, plugin)
        if there is not None:
            # Fails before anything has changed, if it is another user's.
            _remove_bytecode(site_packages, plugin)
            for name in plugin.names[:0:-1]:
                (site_packages / name).unlink(missing_ok=True)
            _remove_bytecode(site_packages, plugin, with_folder=there.made_cache)
            # Last: whoever goes on after a crash reads there what is to be removed.
            (site_packages / plugin.module).unlink(missing_ok=True)
            # A Python that started before may just have written it.
            _remove_bytecode(site_packages, plugin, with_folder=there.made_cache)
            remove_folders((site_packages, *site_packages.parents)[:there.made_folders])
    return there


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first, as far as nobody has anything in them."""
    with suppress(OSError):
        for path in folders:
            with suppress(FileNotFoundError):
                path.rmdir()


@contextmanager
def _turn(site_packages: Path) -> Iterator[None]:
    """Wait until nobody else attaches or detaches here; the lock leaves no trace."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder = os.open(site_packages, os.O_RDONLY)
    try:
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                # Some filesystems lock no folders.
                break
        yield
    finally:
        os.close(folder)


def _source(plugin: Plugin) -> Path:
    """Return the file of the hooks, which are beside this package, in a checkout in the folder beside that."""
    here = own_folder().parent
    found = (each / "pipfast_hooks" / "startup" / plugin.source for each in (here, here.parent / "hooks"))
    return next(path for path in found if path.is_file())


def _contents(plugin: Plugin, values: Mapping[str, object]) -> dict[str, bytes]:
    """Return the three files; values are those that the module's first lines get."""
    lines = _source(plugin).read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        for name, value in values.items():
            if line.startswith(name):
                lines[number] = f"{name}{value!a}\n"
    module = "".join(lines).encode("ascii")
    digest = f"{_DIGEST}{hashlib.sha256(module).hexdigest()}\n".encode()
    return {plugin.module: module + digest, **plugin.constant}


def _owner(folder: Path) -> int:
    try:
        return folder.lstat().st_uid
    except FileNotFoundError:
        return 0


def _read(site_packages: Path, plugin: Plugin) -> dict[str, bytes]:
    found = {}
    for name in plugin.names:
        path = site_packages / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        body, mark, digest = content.rpartition(_DIGEST.encode())
        ours = content == plugin.constant[name] if name in plugin.constant else (
            bool(mark) and digest.strip() == hashlib.sha256(body).hexdigest().encode())
        if not ours or path.is_symlink():
            raise ForeignFile(path)
        found[name] = content
    return found


def _write(site_packages: Path, contents: Mapping[str, bytes]) -> None:
    aside = {name: site_packages / f".{name}-{secrets.token_hex(8)}" for name in contents}
    try:
        for name, path in aside.items():
            with path.open("xb") as file:
                file.write(contents[name])
        for name, path in aside.items():
            path.replace(site_packages / name)
    finally:
        for path in aside.values():
            path.unlink(missing_ok=True)


def _take_back(site_packages: Path, plugin: Plugin, old: Mapping[str, bytes]) -> None:
    for name in reversed(plugin.names):
        if name not in old:
            (site_packages / name).unlink(missing_ok=True)
    now = _read(site_packages, plugin)
    _write(site_packages, {name: content for name, content in old.items() if now.get(name) != content})


def _remove_unfinished(site_packages: Path, plugin: Plugin) -> None:
    """Remove what was being written when `attach` was killed."""
    for name in plugin.names:
        for path in site_packages.glob(f".{name}-{_ASIDE}"):
            path.unlink(missing_ok=True)


def _remove_bytecode(site_packages: Path, plugin: Plugin, *, with_folder: bool = False) -> None:
    cache = site_packages / "__pycache__"
    for path in cache.glob(f"{plugin.stem}.*"):
        path.unlink(missing_ok=True)
    # Others may have files in it.
    with suppress(OSError):
        if with_folder:
            cache.rmdir()
