"""Declarations of a package are found in each file that may hold them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pipfast_hooks.builds.rescue.declared import failing_package

if TYPE_CHECKING:
    from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: Needy\nVersion: 1.0\nRequires-Dist: torch[x]>=1\n\nText\n"


@pytest.mark.parametrize(("path", "text", "name", "requires"), [
    ("PKG-INFO", METADATA, "Needy", ("torch[x]>=1",)),
    ("pyproject.toml", "[project]\nname = 'needy'\ndependencies = ['torch', 3]\n", "needy", ("torch",)),
    ("pyproject.toml", "[project\n", "", ()),
    ("pyproject.toml", "project = 1\n", "", ()),
    ("setup.cfg", "[metadata]\nname = needy\n[options]\ninstall_requires =\n    torch\n    numpy>=1\n", "needy",
     ("torch", "numpy>=1")),
    ("setup.cfg", "no section\n", "", ()),
    ("setup.cfg", "[options]\ninstall_requires = file: requirements.txt\n", "", ()),
    ("needy.egg-info/requires.txt", "torch[x]\nnumpy\n\n[docs]\nsphinx\n", "", ("torch[x]", "numpy")),
    ("needy.egg-info/requires.txt", "[docs]\nsphinx\n", "", ()),
    ("setup.py", "setup(name='needy', install_requires=['torch'])\n", "needy", ("torch",)),
    ("setup.py", "print 'x'\n", "", ()),
    # No names; the second would be read as another package's requirement where a hint is pasted.
    ("PKG-INFO", "Name: \x1b[2J\n", "", ()),
    ("pyproject.toml", "[project]\nname = 'x: evil @ https://evil/x.whl#'\n", "", ()),
])
def test_places(tmp_path: Path, path: str, text: str, name: str, requires: tuple[str, ...]) -> None:
    """A file that cannot be read says nothing."""
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(text, encoding="utf-8")
    requirement = SimpleNamespace(name=None, unpacked_source_directory=str(tmp_path), metadata_directory=None)
    package = failing_package(requirement, ["wheel"])
    assert (package.name, package.requires, package.build_requires) == (name, requires, ("wheel",))


@pytest.mark.parametrize(("path", "text"), [
    ("setup.cfg", "[options]\nsetup_requires =\n    numpy>=1\n"),
    ("setup.py", "setup(setup_requires=['numpy>=1'])\n"),
])
def test_setup_requires(tmp_path: Path, path: str, text: str) -> None:
    """What setuptools would have fetched for the build is declared for it."""
    (tmp_path / path).write_text(text, encoding="utf-8")
    requirement = SimpleNamespace(name="needy", unpacked_source_directory=str(tmp_path), metadata_directory=None)
    assert failing_package(requirement, ["wheel"]).build_requires == ("wheel", "numpy>=1")
