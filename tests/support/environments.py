"""Environments to run pip in: built once, restored before each run.

Every environment holds the pip of the interpreter that runs the tests, and pipfast, copied file by file: nothing
is downloaded. All live at one path, one at a time, so that what two runs print and write can be compared as it is.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.plugin import files
from pipfast.targets.own_record import record_folders

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = {"pipfast": CHECKOUT / "pipx_fast/pipfast", "pipfast_hooks": CHECKOUT / "hooks/pipfast_hooks"}
VERSION_TAG = f"python{sys.version_info.major}.{sys.version_info.minor}"


class Kind(Enum):
    """What sort of environment a scenario runs in."""

    VENV = "a virtual environment"
    BARE = "an interpreter's own prefix, which has a user site and may be externally managed"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of a run. They are at the same paths for both twins."""

    base: Path

    @property
    def env(self) -> Path:
        """The environment's prefix."""
        return self.base / "env"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.env / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where the environment's distributions are."""
        return self.env / "lib" / VERSION_TAG / "site-packages"

    @property
    def stdlib(self) -> Path:
        """The standard library's folder in the prefix; a real one with ``Kind.BARE`` only."""
        return self.env / "lib" / VERSION_TAG

    @property
    def work(self) -> Path:
        """The current folder of every command."""
        return self.base / "work"

    @property
    def home(self) -> Path:
        """The user's home folder."""
        return self.base / "home"

    @property
    def user_base(self) -> Path:
        """What ``--user`` installs under."""
        return self.home / ".local"

    @property
    def tmp(self) -> Path:
        """The temporary folder."""
        return self.base / "tmp"

    @property
    def cache(self) -> Path:
        """Pip's cache."""
        return self.base / "cache"

    @property
    def store(self) -> Path:
        """Pipfast's store."""
        return self.base / "store"


Mark = tuple[int, int, int, int, int]
"""Mode, size, mtime, ctime and inode of a file. No edit leaves all of them as they were."""


def walk(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file, link and folder below ``root`` with its relative path."""
    return ((relative, Path(entry.path)) for relative, entry in _entries(str(root), ""))


def _entries(
    folder: str, prefix: str, passed: Collection[str] = ()
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if prefix + entry.name in passed:
                continue
            yield prefix + entry.name, entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path, f"{prefix}{entry.name}/", passed)


def _marks(root: Path, passed: Collection[str] = ()) -> dict[str, Mark]:
    entries = _entries(str(root), "", passed)
    return {relative: _mark(entry.stat(follow_symlinks=False)) for relative, entry in entries}


def _mark(info: os.stat_result) -> Mark:
    if stat.S_ISDIR(info.st_mode):
        return (info.st_mode, 0, 0, 0, 0)
    return (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


class Environment:
    """One environment and the template it is brought back to.

    It rests at a path of its own and is moved to ``Places.env`` while it is in use.
    """

    def __init__(self, template: Path, rest: Path, env: Path) -> None:
        self._template = template
        self._rest = rest
        self._env = env
        _copy_tree(template, rest)
        self._pristine = _marks(rest)
        site_packages = f"lib/{VERSION_TAG}/site-packages"
        self._own = frozenset(f"{site_packages}/{name}" for name in ("pip", *SOURCES))
        self._pristine_others = _marks(rest, self._own).keys()

    def take_out(self) -> None:
        """Move the environment to its place, exactly as the template is."""
        self._rest.rename(self._env)
        added, gone = self.changes()
        for relative in sorted((*added, *gone), key=lambda path: path.count("/"), reverse=True):
            path = self._env / relative
            if not (path.is_dir() and (self._template / relative).is_dir()) or path.is_symlink():
                _remove(path)
        restored = sorted({*added, *gone} & self._pristine.keys())
        for relative in restored:
            _copy_one(self._template / relative, self._env / relative)
            self._pristine[relative] = _mark((self._env / relative).lstat())
        if restored:
            assert self.changes() == ([], []), "the environment could not be brought back"

    def put_back(self) -> None:
        """Move it out of the way, whatever has become of it."""
        if self._env.exists():
            self._env.rename(self._rest)

    def changes(self, *, within_own: bool = True) -> tuple[list[str], list[str]]:
        """Return what is new or other than in the template, and what is gone.

        :param within_own: look into the folders of pip and pipfast, too, which are nearly all there is.
        """
        passed = frozenset() if within_own else self._own
        marks = _marks(self._env, passed)
        changed = [path for path, mark in marks.items() if self._pristine.get(path) != mark]
        before = self._pristine if within_own else self._pristine_others
        gone = [path for path in before if path not in marks]
        return changed, gone

    def is_own_bytecode(self, relative: str) -> bool:
        """Tell whether a .pyc belongs to a source of the template that is still the same; or a folder of such.

        Whether such a file is written depends on what was imported with which options.
        """
        folder, _, name = relative.rpartition("/")
        if name == "__pycache__" and relative not in self._pristine:
            folder_path = self._env / relative
            return folder_path.is_dir() and all(
                self.is_own_bytecode(f"{relative}/{each.name}") for each in folder_path.iterdir()
            )
        if not name.endswith(".pyc") or not folder.endswith("__pycache__"):
            return False
        source = f"{folder.removesuffix('__pycache__')}{name.split('.')[0]}.py"
        path = self._env / source
        return source in self._pristine and path.exists() and _mark(path.lstat()) == self._pristine[source]


def build_templates(base: Path, *, attached: bool = False, with_pipfast: bool = True) -> dict[Kind, Environment]:
    """Build every kind of environment below ``base``, with ``base/env`` as the place to use them at.

    :param attached: their own pip runs with pipfast.
    :param with_pipfast: pipfast is installed in them.
    """
    places = Places(base)
    environments = {}
    for kind in Kind:
        if kind is Kind.VENV:
            venv.create(places.env, with_pip=False, symlinks=True)
        else:
            _create_bare(places)
        _fill(places, attached, with_pipfast)
        template = base / f"template-{kind.name.lower()}"
        places.env.rename(template)
        environments[kind] = Environment(template, base / f"rest-{kind.name.lower()}", places.env)
    return environments


def _create_bare(places: Places) -> None:
    """Make a prefix with an interpreter of its own over the standard library of the one that runs.

    The interpreter finds its prefix from where its (real) file is, and the library by links.
    """
    places.site_packages.mkdir(parents=True)
    (places.env / "bin").mkdir()
    base_python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    shutil.copy2(base_python, places.env / "bin" / VERSION_TAG)
    for name in ("python", "python3"):
        (places.env / "bin" / name).symlink_to(VERSION_TAG)
    for path in Path(sysconfig.get_path("stdlib")).iterdir():
        if path.name not in ("site-packages", "dist-packages", "EXTERNALLY-MANAGED", "__pycache__"):
            (places.stdlib / path.name).symlink_to(path)


def _fill(places: Places, attached: bool, with_pipfast: bool) -> None:
    _copy_distribution(importlib.metadata.distribution("pip"), places)
    if with_pipfast:
        _copy_pipfast(places)
        # As the first start with -O would: what is ours is not compared.
        record_folders(str(places.site_packages))
    if attached:
        files.attach(places.site_packages, places.site_packages / "pipfast")
    subprocess.run([places.python, "-m", "compileall", "-q", places.site_packages], check=True)


def _copy_distribution(distribution: importlib.metadata.Distribution, places: Places) -> None:
    for file in distribution.files or []:
        source = Path(str(distribution.locate_file(file)))
        if not source.is_file():
            continue
        if file.parts[0] != "..":
            target = places.site_packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        elif "bin" in file.parts:
            script = source.read_bytes().split(b"\n", 1)[-1]
            target = places.env / "bin" / file.name
            target.write_bytes(b"#!" + str(places.python).encode() + b"\n" + script)
            target.chmod(0o755)


def _copy_pipfast(places: Places) -> None:
    """Copy pipfast as it is installed; from an editable install or a checkout, make it look installed."""
    try:
        distribution = importlib.metadata.distribution("pipfast")
    except importlib.metadata.PackageNotFoundError:
        distribution = None
    if distribution is not None and any(file.parts[0] == "pipfast" for file in distribution.files or []):
        _copy_distribution(distribution, places)
        return
    for name, source in SOURCES.items():
        shutil.copytree(source, places.site_packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    dist_info = places.site_packages / "pipfast-0.0.0.dist-info"
    dist_info.mkdir()
    metadata = "Metadata-Version: 2.1\nName: pipfast\nVersion: 0.0.0\nRequires-Dist: pip>=23.0\n"
    (dist_info / "METADATA").write_text(metadata, "utf-8")
    (dist_info / "INSTALLER").write_text("pip\n", "utf-8")
    (dist_info / "entry_points.txt").write_text("[console_scripts]\npipfast = pipfast.__main__:main\n", "utf-8")
    rows = [
        f"{relative},,\n"
        for relative, path in walk(places.site_packages)
        if relative.startswith("pipfast") and path.is_file()
    ]
    (dist_info / "RECORD").write_text("".join([*rows, f"{dist_info.name}/RECORD,,\n"]), "utf-8")
    script = places.env / "bin" / "pipfast"
    script.write_text(
        f"#!{places.python}\nimport sys\nfrom pipfast.__main__ import main\nsys.exit(main())\n", "utf-8"
    )
    script.chmod(0o755)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)


def _copy_one(source: Path, target: Path) -> None:
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        shutil.copystat(source, target)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.chmod(0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
