"""The three files of an attached environment: written, recognised, removed."""

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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODULE, START, PTH = "_pipfast_plugin.py", "pipfast-plugin.start", "pipfast-plugin.pth"
"""In the order of writing: the third makes a starting Python import the first."""

_CONSTANT = MappingProxyType({
    START: b"_pipfast_plugin:install\n",
    PTH: b"import _pipfast_plugin; _pipfast_plugin.install()\n",
})
"""From Python 3.15 on (PEP 829) the first is read, and the import lines of the second are not."""

_ASIDE = "[0-9a-f]" * 16
"""End of the name of a file that is being written, for a search."""

_PATIENCE_S = 10.0
"""Seconds to wait for another that attaches or detaches, which takes one; whoever needs longer hangs."""

_FOLDER, _MADE_CACHE, _DIGEST = "FOLDER = ", "MADE_CACHE = ", "# sha256: "


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
    """What stands in an environment's site-packages.

    :param folder: the pipfast that its pip runs with.
    :param made_cache: there was no ``__pycache__`` before.
    :param complete: no file is missing.
    """

    folder: Path
    made_cache: bool
    complete: bool


def own_folder() -> Path:
    """Return the folder of the pipfast that is running."""
    return Path(os.path.dirname(os.path.abspath(str(pipfast.__file__))))


def look(site_packages: Path) -> Attached | None:
    """Return what is attached in a site-packages folder, None if nothing is.

    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be read.
    """
    found = _read(site_packages)
    if not found:
        return None
    lines = found.get(MODULE, b"").decode("utf-8").splitlines()
    folder = next((line[len(_FOLDER):] for line in lines if line.startswith(_FOLDER)), "''")
    made_cache = f"{_MADE_CACHE}True" in lines
    return Attached(site_packages / ast.literal_eval(folder), made_cache, len(found) == 3)


def attach(site_packages: Path, folder: Path) -> bool:
    """Write the files, all or none; return False if they stood there already.

    :param folder: pipfast's.
    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be written.
    """
    with _turn(site_packages):
        return _attach(site_packages, folder)


def _attach(site_packages: Path, folder: Path) -> bool:
    old = _read(site_packages)
    there = look(site_packages)
    _remove_unfinished(site_packages)
    cache = site_packages / "__pycache__"
    new = _contents(site_packages, folder, there.made_cache if there else not cache.exists())
    if old == new:
        return False
    _remove_bytecode(site_packages)
    try:
        _write(site_packages, new)
    except BaseException:
        _take_back(site_packages, old)
        raise
    return True


def detach(site_packages: Path) -> Attached | None:
    """Remove the files and their bytecode; return what was attached.

    :raises ForeignFile: a file has one of the names and is not ours.
    :raises OSError: a file cannot be removed.
    """
    with _turn(site_packages):
        there = look(site_packages)
        _remove_unfinished(site_packages)
        if there is not None:
            # Fails before anything has changed, if it is another user's.
            _remove_bytecode(site_packages)
            for name in (PTH, START):
                (site_packages / name).unlink(missing_ok=True)
            _remove_bytecode(site_packages, with_folder=there.made_cache)
            # Last: whoever goes on after a crash reads there what is to be removed.
            (site_packages / MODULE).unlink(missing_ok=True)
            # A Python that started before may just have written it.
            _remove_bytecode(site_packages, with_folder=there.made_cache)
    return there


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


def _import_hook() -> Path:
    """Return the file of the hooks, which are beside this package, in a checkout in the folder beside that."""
    here = own_folder().parent
    found = (each / "pipfast_hooks" / "startup" / "import_hook.py" for each in (here, here.parent / "hooks"))
    return next(path for path in found if path.is_file())


def _contents(site_packages: Path, folder: Path, made_cache: bool) -> dict[str, bytes]:
    # In the same site-packages it stays valid in a copy of the environment.
    named = folder.name if folder.parent == site_packages else str(folder)
    text = _import_hook().read_text(encoding="utf-8")
    text = text.replace(f'{_FOLDER}""\n', f"{_FOLDER}{named!a}\n", 1)
    text = text.replace(f"{_MADE_CACHE}False\n", f"{_MADE_CACHE}{made_cache}\n", 1)
    module = text.encode("ascii")
    return {MODULE: module + f"{_DIGEST}{hashlib.sha256(module).hexdigest()}\n".encode(), **_CONSTANT}


def _read(site_packages: Path) -> dict[str, bytes]:
    found = {}
    for name in (MODULE, START, PTH):
        path = site_packages / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        body, mark, digest = content.rpartition(_DIGEST.encode())
        ours = content == _CONSTANT[name] if name in _CONSTANT else (
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


def _take_back(site_packages: Path, old: Mapping[str, bytes]) -> None:
    for name in (PTH, START, MODULE):
        if name not in old:
            (site_packages / name).unlink(missing_ok=True)
    now = _read(site_packages)
    _write(site_packages, {name: content for name, content in old.items() if now.get(name) != content})


def _remove_unfinished(site_packages: Path) -> None:
    """Remove what was being written when `attach` was killed."""
    for name in (MODULE, START, PTH):
        for path in site_packages.glob(f".{name}-{_ASIDE}"):
            path.unlink(missing_ok=True)


def _remove_bytecode(site_packages: Path, *, with_folder: bool = False) -> None:
    cache = site_packages / "__pycache__"
    for path in cache.glob(f"{Path(MODULE).stem}.*"):
        path.unlink(missing_ok=True)
    # Others may have files in it.
    with suppress(OSError):
        if with_folder:
            cache.rmdir()
