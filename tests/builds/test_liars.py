"""Builds that lie about what they miss: a name in a message alone is never fetched."""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import make_box
from support.sources import archive, source, torch
from support.wheels import Wheel, sdist_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index, Server
    from support.program import Box

pytestmark = [pytest.mark.many, pytest.mark.once]

_RAISED = """
class {kind}(Exception):
    pass
{kind}.__module__ = {module!r}
raise {kind}({text!r})
"""

_PIP = "Command '['/venv/bin/python', '-m', 'pip', 'wheel', '--no-deps', '-w', '/tmp/x', '--quiet', 'evil']' "
_NOT_FOUND = "The 'evil>=1' distribution was not found and is required by"
_UNSUITABLE = "Could not find suitable distribution for Requirement.parse('evil')"


def _raised(kind: str, text: str, module: str = "x") -> str:
    return _RAISED.format(kind=kind, module=module, text=text)


def _exit(text: str, before: str = "") -> str:
    return f"import sys\n{before}\nsys.exit({text!r})\n"


_SOUGHT = "try:\n    import evil\nexcept ImportError:\n    pass\n"
_PIP_SOUGHT = "import subprocess\nsubprocess.call([sys.executable, '-m', 'pip', '--version'])\n"

LIES = {
    "pkg_resources": _raised("DistributionNotFound", f"{_NOT_FOUND} liar", "pkg_resources"),
    "pkg_resources of another": _raised("DistributionNotFound", f"{_NOT_FOUND} torch, liar"),
    "pkg_resources of an application": _raised("DistributionNotFound", f"{_NOT_FOUND} the application"),
    "easy_install": _raised("DistutilsError", _UNSUITABLE, "distutils.errors"),
    "easy_install at its exit": _exit(f"error: {_UNSUITABLE}"),
    "setup_requires": _raised("DistutilsError", _PIP + "returned non-zero exit status 1.", "distutils.errors"),
    "setup_requires at its exit": _exit("error: " + _PIP + "returned non-zero exit status 1.", _PIP_SOUGHT),
    "metadata": "from importlib import metadata\nmetadata.version('evil')\n",
    "metadata by hand": _raised("PackageNotFoundError", "No package metadata was found for evil",
                                "importlib.metadata"),
    "import": "import evil\n",
    "import of a part": "import evil.part\n",
    "import by hand": "raise ModuleNotFoundError(\"No module named 'evil'\", name='evil')\n",
    "import that is printed": "import os\nprint(\"ModuleNotFoundError: No module named 'evil'\", flush=True)\n"
                              "os._exit(1)\n",
    "import that is printed after it was tried": _exit("ModuleNotFoundError: No module named 'evil'", _SOUGHT),
    "pip": _exit("ERROR: No matching distribution found for evil", _SOUGHT),
    "pip of a version": _exit("ERROR: Could not find a version that satisfies the requirement evil", _SOUGHT),
    "pep 517": _exit("ERROR Missing dependencies:\n\tevil", _SOUGHT),
    "sentence": _exit("Missing dependencies: evil", _SOUGHT),
    "sentence of a user": _exit("please run: pip install evil", _SOUGHT),
    "backend": "from importlib import import_module\nimport_module('evil.build_meta')\n",
    "poetry": _exit("Plugin 'evil' is required: poetry self add evil", _SOUGHT),
    "pdm": _exit("[BackendUnavailable]: Cannot import 'evil.pep517'", _SOUGHT),
    "hatch": _raised("UnknownPluginError", "Unknown build hook: evil", "hatchling.plugin.exceptions"),
    "meson": _exit("meson.build:1:0: ERROR: python3 is missing modules: evil", _SOUGHT),
    "scikit-build": _exit("Problem with the CMake installation, aborting build. Required: evil", _SOUGHT),
    "flit": _exit("flit_core.common.NoDocstringError: evil is required", _SOUGHT),
    "setuptools_scm": _raised("LookupError", "No module named 'evil'; pip install evil"),
}


class World:
    """An index with what must never be fetched, and who asked for it."""

    def __init__(self, server: Server, root: Path) -> None:
        self.server = server
        self.index: Index = server.index()
        self.marker = root / "evil-ran"
        self.index.add(torch("1.0"), Wheel("evil", "1.0", files={
            "evil/__init__.py": "", "evil.pth": f"import pathlib; pathlib.Path({str(self.marker)!r}).touch()\n",
        }).build())

    def was_fetched(self) -> bool:
        """Tell whether a file of evil was asked for, or anything of it ran."""
        files = [each.path for each in self.server.requests() if "/files/" in each.path and "evil" in each.path]
        return bool(files) or self.marker.exists()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve the index."""
    with serving() as server:
        yield World(server, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Return an environment that nothing is ever installed in."""
    return make_box(tmp_path_factory.mktemp("shared"))


@pytest.mark.parametrize("lie", LIES)
def test_nothing_is_fetched(shared: Box, world: World, lie: str) -> None:
    """Whatever the build says: pip's exit code, and no file of evil is asked for."""
    world.server.rewind()
    name = "liar" + str(list(LIES).index(lie))
    world.index.add(archive(name, scripts={"requires": LIES[lie]}))
    ended = shared.pipfast("install", "--dry-run", *world.index.args, "torch", name)
    assert ended.status == 1, ended.out
    assert not world.was_fetched(), ended.err
    assert shared.leftovers() == []


@pytest.mark.parametrize(("options", "requires"), [
    (["--no-deps"], ["evil"]), ([], ['evil ; extra == "x"']),
])
def test_what_is_not_installed_with_the_package(
    shared: Box, world: World, options: list[str], requires: list[str]
) -> None:
    """Its metadata names evil; under --no-deps, or without the extra, this run does not."""
    world.server.rewind()
    name = f"bare{len(options)}"
    world.index.add(archive(name, requires=requires, scripts={"wheel": "import evil\n"}))
    ended = shared.pipfast("wheel", "-w", "wheels", *options, *world.index.args, name)
    assert ended.status == 1, ended.err
    assert f"{name} imports evil without declaring it, and pipfast does not know" in ended.err
    assert not world.was_fetched()


def test_what_setup_requires_names_is_fetched(box: Box, world: World) -> None:
    """The message speaks of what the package does declare for its build: with that specifier."""
    tree = source("honest", scripts={"requires": (
        "try:\n    import private\nexcept ImportError:\n"
        "    raise Exception(\"Could not find suitable distribution for Requirement.parse('private<2')\")\n"
    )})
    tree["setup.py"] = b"setup(name='honest', setup_requires=['private<2'])\n"
    world.index.add(*(Wheel("private", each, files={"private.py": ""}).build() for each in ("1.0", "2.0")),
                    sdist_of("honest", "1.0", tree))
    ended = box.pipfast("install", *world.index.args, "honest")
    assert ended.status == 0, ended.err
    assert "honest asks for private<2, which is not there" in ended.err and "with private 1.0" in ended.err


def test_setup_script_that_imports_pip(box: Box, world: World) -> None:
    """`from pip._internal.req import parse_requirements`: the environment has a pip, and it stays as it is."""
    own = next(each for each in distribution("pip").files or () if each.match("pip/__init__.py")).locate()
    version = distribution("pip").version
    for each in (Path(own).parent, Path(own).parents[1] / f"pip-{version}.dist-info"):
        shutil.copytree(each, box.site_packages / each.name, ignore=shutil.ignore_patterns("__pycache__"))
    world.index.add(archive("speech", scripts={"requires": (
        "from pip._internal.req import parse_requirements\n"
        "import subprocess, sys\n"
        f"subprocess.check_call([sys.executable, '-m', 'pip', 'install', {world.index.args[0]!r}, "
        f"{world.index.args[1]!r}, 'torch'])\n"
        "import torch\n"
    )}))
    ended = box.pipfast("install", *world.index.args, "speech")
    assert ended.status == 0, ended.err
    assert "speech imports pip without declaring it" in ended.err
    assert f"with pip {version} (the version that the environment has)" in ended.err
    assert {each for each in box.installed() if not each.startswith("pip")} == {"speech", "speech-1.0.dist-info"}
    assert box.leftovers() == []
