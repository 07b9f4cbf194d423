"""An installation of pipfast that has served other Pythons: uninstalling leaves nothing of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipfast import __version__
from support.targets import pythons
from support.wheels import Wheel

OWN = f"3.{sys.version_info[1]}"
OTHERS = {version: each for version, each in pythons().items()
          if version in ("3.10", "3.11", "3.12", "3.13") and version != OWN}
NEXT = "99.0"


@dataclass(frozen=True, slots=True)
class Place:
    """A virtual environment with pip, which pipfast is installed into; and environments of other Pythons."""

    root: Path

    @property
    def env(self) -> Path:
        """Return pipfast's environment."""
        return self.root / "env"

    @property
    def site_packages(self) -> Path:
        """Return where pipfast is installed."""
        return next((self.env / "lib").glob("python*")) / "site-packages"

    def files(self) -> set[str]:
        """Return what is in the environment; which modules of pip's have bytecode depends on what has run."""
        found = (path.relative_to(self.env) for path in self.env.rglob("*"))
        return {str(path) for path in found if "pip" not in path.parts}

    def foreign(self) -> set[str]:
        """Return the bytecode in our folders that is not pipfast's own Python's at the usual level."""
        own = f".{sys.implementation.cache_tag}.pyc"
        found = (path.relative_to(self.site_packages) for path in self.site_packages.glob("pipfast*/**/*.pyc"))
        return {path.as_posix() for path in found if not path.name.endswith(own)}

    def record(self, version: str = __version__) -> str:
        """Return our RECORD."""
        return (self.site_packages / f"pipfast-{version}.dist-info" / "RECORD").read_bytes().decode()

    def start(self, *command: object, **variables: str) -> subprocess.Popen[str]:
        """Start a command with a home and a temporary folder of its own."""
        environ = {
            "PATH": "/usr/bin:/bin", "HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp"),
            "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables,
        }
        return subprocess.Popen(
            list(map(str, command)), cwd=self.root / "work", env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    def run(self, *command: object, status: int = 0, **variables: str) -> str:
        """Run a command to its end and return what it printed."""
        process = self.start(*command, **variables)
        out, err = process.communicate(timeout=120)
        assert process.returncode == status, err
        return out

    def pip(self, *arguments: object) -> str:
        """Run stock pip in pipfast's environment."""
        return self.run(self.env / "bin" / "python", "-m", "pip", *arguments)

    def serve(self, python: str, **variables: str) -> subprocess.Popen[str]:
        """Start pipfast with all its hooks for an environment of another Python; it fails at the end."""
        target = self.root / f"target-{Path(python).name}"
        if not target.exists():
            subprocess.run([python, "-m", "venv", "--without-pip", target], check=True)
        arguments = ("install", "--no-index", "absent")
        return self.start(self.env / "bin" / "pipfast", *arguments, VIRTUAL_ENV=str(target), **variables)

    def has_served(self, process: subprocess.Popen[str]) -> None:
        """Wait until that is over: nothing was said that pip alone would not have said."""
        out, err = process.communicate(timeout=120)
        assert process.returncode == 1, out
        assert [line for line in err.splitlines() if not line.startswith("ERROR: ")] == []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return an environment with the running pip, and nothing else."""
    place = Place(tmp_path)
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place.env], check=True)
    spec = importlib.util.find_spec("pip")
    assert spec is not None and spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, place.site_packages / "pip",
                    ignore=shutil.ignore_patterns("__pycache__"))
    return place


def wheel(folder: Path, version: str) -> Path:
    """Pack the running pipfast, as a wheel has it."""
    files: dict[str, str | bytes] = {}
    for package in ("pipfast", "pipfast_hooks"):
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        root = Path(spec.origin).parents[1]
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(root).as_posix()] = path.read_bytes()
    files["pipfast/__init__.py"] = f'__version__ = "{version}"\n'
    console = {"pipfast": "pipfast.__main__:main"}
    built = Wheel("pipfast", version, files=files, console=console, compression=zipfile.ZIP_STORED).build()
    path = folder / built.filename
    path.write_bytes(built.data)
    return path


@pytest.mark.once
def test_nothing_is_left(place: Place) -> None:
    """Installed, used by another Python, upgraded, used, uninstalled."""
    before = place.files()
    other = next(iter(OTHERS.values()), sys.executable)
    place.pip("install", "--no-index", wheel(place.root, __version__))
    listed = place.record()
    place.run(place.env / "bin" / "python", "-m", "pipfast", "--version")
    assert place.record() == listed
    assert not place.foreign()

    place.has_served(place.serve(other, PYTHONOPTIMIZE="1"))
    parts = ("pipfast/__pycache__/", "pipfast/bundled/packaging/__pycache__/", "pipfast_hooks/__pycache__/")
    assert all(any(name.startswith(part) for name in place.foreign()) for part in parts)
    assert place.record() == listed + "pipfast,,\r\npipfast_hooks,,\r\n"
    assert place.pip("check") == "No broken requirements found.\n"

    place.pip("install", "--no-index", "--no-compile", "--upgrade", wheel(place.root, NEXT))
    assert not place.foreign()
    place.has_served(place.serve(other, PYTHONOPTIMIZE="1"))
    assert place.foreign() and place.record(NEXT).endswith("pipfast,,\r\npipfast_hooks,,\r\n")

    place.pip("uninstall", "--yes", "pipfast")
    assert place.files() == before
    assert not list((place.root / "tmp").iterdir())
    left = {path.relative_to(place.root / "home").as_posix() for path in (place.root / "home").rglob("*")}
    # The store, which `pipfast store purge` removes, and which README names.
    assert all(each == ".cache" or each.startswith((".cache/pipfast", ".cache/pip")) for each in left)


@pytest.mark.slow
@pytest.mark.skipif(len(OTHERS) < 2, reason="there are no two other Pythons here")
def test_nothing_is_left_by_many(place: Place) -> None:
    """At the same time, attached ones among them; and its own with bytecode of another level."""
    before = place.files()
    place.pip("install", "--no-index", wheel(place.root, __version__))
    started = [place.serve(python, PYTHONOPTIMIZE=level) for python in OTHERS.values() for level in ("", "1", "2")]
    for process in started:
        place.has_served(process)
    assert place.record().endswith("pipfast,,\r\npipfast_hooks,,\r\n")
    assert place.record().count("pipfast,,") == 1

    attached, (version, python) = place.root / "attached", next(iter(OTHERS.items()))
    subprocess.run([python, "-m", "venv", attached], check=True)
    runner = f"pipfast/__pycache__/runner.cpython-{version.replace('.', '')}.pyc"
    place.run(place.env / "bin" / "pipfast", "attach", "--python", attached / "bin" / "python")
    # As a script it is not cached.
    assert runner not in place.foreign()
    place.run(attached / "bin" / "python", "-m", "pip", "list")
    assert runner in place.foreign()
    place.run(place.env / "bin" / "pipfast", "detach", "--python", attached / "bin" / "python")

    place.pip("uninstall", "--yes", "pipfast")
    assert place.files() == before


@pytest.mark.slow
def test_nothing_is_left_by_optimised_code(place: Place) -> None:
    """pip knows the bytecode that its own Python would write as it runs."""
    before = place.files()
    place.pip("install", "--no-index", wheel(place.root, __version__))
    place.run(place.env / "bin" / "python", "-O", "-m", "pipfast", "list")
    assert place.foreign()
    place.pip("uninstall", "--yes", "pipfast")
    assert place.files() == before


@pytest.mark.slow
@pytest.mark.skipif(not OTHERS, reason="there is no other Python here")
def test_what_an_earlier_pipfast_left_goes(place: Place) -> None:
    """Bytecode without rows, of a version that wrote none: the next start adds them."""
    before = place.files()
    place.pip("install", "--no-index", wheel(place.root, __version__))
    listed = place.record()
    python = next(iter(OTHERS.values()))
    place.has_served(place.serve(python))
    (place.site_packages / f"pipfast-{__version__}.dist-info" / "RECORD").write_bytes(listed.encode())
    place.pip("uninstall", "--yes", "pipfast")
    assert place.files() > before
    place.pip("install", "--no-index", wheel(place.root, __version__))
    place.has_served(place.serve(python))
    place.pip("uninstall", "--yes", "pipfast")
    assert place.files() == before
