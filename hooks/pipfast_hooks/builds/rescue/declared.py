"""Metadata in a package's own files, before anything is built."""

from __future__ import annotations

import configparser
import email.parser
import itertools
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.extra_builds import is_name
from pipfast.rescue.trust.setup_script import read_setup_script
from pipfast.rescue.trust.trusted import FailingPackage

if TYPE_CHECKING:
    from collections.abc import Sequence

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

MAX_FILE_BYTES = 4 << 20
"""Bytes of a file with metadata; a longer one is not read."""


def failing_package(requirement: Any, declared: Sequence[str]) -> FailingPackage:
    """Return the metadata of the package that is built, from the usual places in its source."""
    folder = Path(requirement.unpacked_source_directory)
    found = []
    if requirement.metadata_directory:
        found.append(_from_metadata(Path(requirement.metadata_directory, "METADATA")))
    said = read_setup_script(_text(folder / "setup.py"))
    found += [_from_metadata(folder / "PKG-INFO"), _from_pyproject(folder), _from_setup_cfg(folder),
              FailingPackage(said.name, said.version, said.install_requires, said.setup_requires)]
    requires = [each for package in found for each in package.requires]
    requires += [each for path in sorted(folder.glob("*.egg-info/requires.txt")) for each in _from_egg(path)]
    return FailingPackage(
        # What is no name may be written to be read as something else where a hint with it is pasted.
        str(requirement.name or next((each.name for each in found if is_name(each.name)), "")),
        next((each.version for each in found if each.version), ""),
        tuple(dict.fromkeys(requires)),
        tuple(dict.fromkeys([*declared, *(each for package in found for each in package.build_requires)])),
    )


def _text(path: Path) -> str:
    with suppress(OSError):
        if path.stat().st_size <= MAX_FILE_BYTES:
            return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _from_metadata(path: Path) -> FailingPackage:
    message = email.parser.HeaderParser().parsestr(_text(path))
    return FailingPackage(
        str(message.get("Name", "")), str(message.get("Version", "")),
        tuple(str(each) for each in message.get_all("Requires-Dist", ())),
    )


def _from_pyproject(folder: Path) -> FailingPackage:
    try:
        project = tomllib.loads(_text(folder / "pyproject.toml")).get("project")
    except ValueError:
        project = None
    if not isinstance(project, dict):
        return FailingPackage("")
    dependencies = project.get("dependencies", ())
    return FailingPackage(
        str(project.get("name", "")), str(project.get("version", "")),
        tuple(each for each in dependencies if isinstance(each, str)) if isinstance(dependencies, list) else (),
    )


def _from_setup_cfg(folder: Path) -> FailingPackage:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(folder / "setup.cfg"))
        requires = parser.get("options", "install_requires", fallback="")
        build_requires = parser.get("options", "setup_requires", fallback="")
        name = parser.get("metadata", "name", fallback="")
    except configparser.Error:
        return FailingPackage("")
    return FailingPackage(name, requires=_lines(requires), build_requires=_lines(build_requires))


def _from_egg(path: Path) -> tuple[str, ...]:
    """Return the requirements of setuptools' requires.txt; those of extras are below the first section."""
    lines = _lines(_text(path))
    return tuple(itertools.takewhile(lambda line: not line.startswith("["), lines))


def _lines(text: str) -> tuple[str, ...]:
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith(("#", "file:")))
