"""Libraries that pipfast carries: their pins, and the folder that they are unpacked into.

hatchling runs this as a build hook, which fills ``pipfast/bundled`` where that is not done already. By hand::

    python pipx_fast/bundle.py           fill the folder from the pins in bundle.txt
    python pipx_fast/bundle.py update    pin the newest releases, and fill the folder

One folder serves all Pythons: a compiled module's file name has the Python and the machine that it is for, and the
rest of a library is the same in all its wheels.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand, hatchling is not needed
    BuildHookInterface = object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIBRARIES = ("isal", "packaging", "platformdirs", "wrapt")
"""Names on the index, and of the top folder of each."""

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
"""CPythons that compiled modules are carried for, the oldest first: its releases suit the others."""

MACHINES = ("x86_64", "aarch64")

SYSTEMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")
"""Platforms of the wheels, the one with the fewest demands first."""

HERE = Path(__file__).resolve().parent
PINS = HERE / "bundle.txt"
FOLDER = HERE / "pipfast" / "bundled"
STAMP = "stamp"
"""File of the folder that says what it was made from."""

_USELESS = re.compile(r".*\.(?:c|h|pyi)|.*/py\.typed|.*/(?:__main__|pytest_plugin|testing)\.py|"
                      r"isal/igzip(?:_threaded)?\.py|isal/isa-l/(?!LICENSE$).*")
"""Members that pipfast does not import: sources in C, types, commands, help for tests, documents."""

_LICENCE = re.compile(r"[^/]+\.dist-info/(?:licenses/|licen[cs]es?/)?((?:LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*)")


class BundleError(Exception):
    """The folder cannot be filled."""


class Bundle(BuildHookInterface):  # type: ignore[misc]
    """Build hook: the folder is filled before the files of an archive are chosen."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill the folder; where the checkout cannot be written, take one aside into the archive.

        :param version: ``standard`` or ``editable``; an editable installation uses the checkout's folder.
        """
        if is_current(FOLDER):
            return
        if os.access(FOLDER.parent, os.W_OK):
            fill(FOLDER)
        elif version == "editable":
            raise BundleError(f"{FOLDER} cannot be filled: {FOLDER.parent} is read-only")
        else:
            self._aside = tempfile.TemporaryDirectory(prefix="pipfast-bundle-")
            aside = Path(self._aside.name) / FOLDER.name
            fill(aside)
            inside = "pipfast" if self.target_name == "wheel" else "pipx_fast/pipfast"
            build_data["force_include"][str(aside)] = f"{inside}/{FOLDER.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made aside."""
        if hasattr(self, "_aside"):
            self._aside.cleanup()


def is_current(folder: Path) -> bool:
    """Tell whether a folder was filled from the present pins by the present script."""
    try:
        return (folder / STAMP).read_text("ascii") == _stamp()
    except OSError:
        return False


def fill(folder: Path) -> None:
    """Make the folder anew, aside; it takes the old one's place when it is whole.

    :raises BundleError: pip cannot fetch the wheels, or two of them do not go together.
    """
    with tempfile.TemporaryDirectory(prefix="pipfast-bundle-") as temporary:
        wheels = download(Path(temporary), "--require-hashes", "--requirement", str(PINS))
        with tempfile.TemporaryDirectory(prefix=".bundled-", dir=folder.parent) as aside:
            made = Path(aside) / "new"
            for wheel in wheels:
                unpack(wheel, made)
            shutil.copyfile(PINS, made / PINS.name)
            (made / STAMP).write_text(_stamp(), "ascii")
            if folder.exists():
                folder.rename(Path(aside) / "old")
            made.rename(folder)


def download(into: Path, *wanted: str, pythons: Sequence[str] = PYTHONS) -> list[Path]:
    """Have pip fetch wheels for each Python and machine, from the indexes that it is configured for.

    :param wanted: options and requirements of ``pip download``.
    :returns: the wheels, ordered by name; each file once.
    :raises BundleError: with what pip said.
    """
    def fetch(number: int, python: str, machine: str) -> list[Path]:
        folder = into / str(number)
        folder.mkdir()
        platforms = [f"--platform={system}_{machine}" for system in SYSTEMS]
        ended = subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder),
             "--implementation", "cp", "--python-version", python, "--abi", f"cp{python.replace('.', '')}",
             *platforms, *wanted],
            cwd=folder, env={**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False,
        )
        if ended.returncode:
            raise BundleError(f"pip cannot fetch wheels for CPython {python} on {machine}:\n{ended.stdout}")
        return list(folder.glob("*.whl"))

    targets = list(itertools.product(pythons, MACHINES))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(fetch, range(len(targets)), *zip(*targets, strict=True))
        wheels = {wheel.name: wheel for each in found for wheel in each}
    return [wheels[name] for name in sorted(wheels)]


def unpack(wheel: Path, folder: Path) -> None:
    """Write what pipfast uses of a wheel into a folder, and its licences into ``licenses/<library>``.

    :raises BundleError: two wheels have other contents under one name, or a name leads out.
    """
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            place = _place(name, wheel.name.partition("-")[0])
            if place is None:
                continue
            if ".." in place.parts:
                raise BundleError(f"{wheel.name} has a member {name}")
            target, contents = folder / place, archive.read(name)
            if target.exists() and target.read_bytes() != contents:
                raise BundleError(f"{place} is not the same in all wheels of its library")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)


def update() -> None:
    """Pin the newest releases that have wheels for all Pythons and machines."""
    with tempfile.TemporaryDirectory(prefix="pipfast-bundle-") as temporary:
        newest, all_ = Path(temporary) / "newest", Path(temporary) / "all"
        newest.mkdir()
        all_.mkdir()
        found = download(newest, *LIBRARIES, pythons=PYTHONS[:1])
        versions = dict(wheel.name.split("-")[:2] for wheel in found)
        wheels = download(all_, *(f"{name}=={version}" for name, version in versions.items()))
        PINS.write_text(pins(wheels), "utf-8")


def pins(wheels: Iterable[Path]) -> str:
    """Return the pins of these wheels, as a requirements file of pip's."""
    digests: dict[str, list[str]] = {}
    for wheel in wheels:
        name, version, *_ = wheel.name.split("-")
        digests.setdefault(f"{name}=={version}", []).append(hashlib.sha256(wheel.read_bytes()).hexdigest())
    lines = ["# Libraries in pipfast/bundled. `python pipx_fast/bundle.py update` writes this file."]
    for pin, found in sorted(digests.items()):
        lines.append(" \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in sorted(found))]))
    return "\n".join(lines) + "\n"


def _place(member: str, library: str) -> PurePosixPath | None:
    """Return where a member of a library's wheel goes below the folder; None if it is of no use."""
    if licence := _LICENCE.fullmatch(member):
        return PurePosixPath("licenses", library, licence[1])
    if not member.startswith(f"{library}/") or member.endswith("/") or _USELESS.fullmatch(member):
        return None
    return PurePosixPath(member)


def _stamp() -> str:
    return hashlib.sha256(PINS.read_bytes() + Path(__file__).read_bytes()).hexdigest()


def main(arguments: Sequence[str]) -> None:
    """Fill the folder; after ``update``, from new pins."""
    if arguments not in ([], ["update"]):
        sys.exit(f"usage: {sys.executable} {__file__} [update]")
    try:
        if arguments:
            update()
        fill(FOLDER)
    except BundleError as error:
        sys.exit(f"ERROR: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
