"""One installation of pipfast, and environments of every kind: each command does what their own pip does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from pipfast.targets.start import NAME
from support.index import serving
from support.pips import PIP
from support.targets import Target, differences, install_once, make_prefix, pythons, run_all
from support.wheels import Wheel, sdist

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


PYTHONS = pythons()
SYSTEM = "/usr/bin/python3"
NOBODY = 65534

STEPS = {
    "install": "install --index-url {index} app source",
    "list": "list",
    "list json": "list --format json --verbose",
    "freeze": "freeze",
    "freeze all": "freeze --all",
    "check": "check",
    "inspect": "inspect",
    "show": "show --files app pip",
    "download": "download --index-url {index} --dest there app",
    "wheel": "wheel --index-url {index} --wheel-dir built source",
    "config": "config list",
    "config debug": "config debug",
    "cache dir": "cache dir",
    "cache list": "cache list",
    "help": "help",
    "help install": "help install",
    "version": "--version",
    "mistake": "list --nonsense",
    "none": "install --index-url {index} absent",
    "upgrade": "install --index-url {index} --upgrade app==2",
    "uninstall": "uninstall --yes app library source",
    "list after": "list",
}
"""Command lines by name, run in this order."""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Return a folder that any user can read, at a short path."""
    folder = Path(tempfile.mkdtemp(prefix="pf-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def one(place: Path) -> Path:
    """Return the command of the one installation; the system's Python is where any user can run it."""
    return install_once(place / "one", SYSTEM if _is_new(SYSTEM) else sys.executable)


def _is_new(python: str) -> bool:
    code = "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))"
    return Path(python).exists() and not subprocess.run([python, "-c", code], check=False).returncode


@pytest.fixture(scope="module")
def steps() -> Iterator[dict[str, str]]:
    """Return the command lines, with an index on loopback."""
    with serving() as server:
        index = server.index()
        for version in ("1.0", "2.0"):
            index.add(Wheel("app", version, requires=["library"], console={"app": "app:main"}).build())
        index.add(Wheel("library").build(), sdist("source"))
        yield {name: step.replace("{index}", index.url) for name, step in STEPS.items()}


def compare(target: Target, steps: Mapping[str, str]) -> list[int]:
    """Run all steps by stock pip and by pipfast; print a row, and return the exit codes, which are the same."""
    theirs, mine = run_all(target, target.stock, steps), run_all(target, target.ours, steps)
    found = {name: differences(theirs[name], mine[name]) for name in steps}
    print("cells:", *("differs" if found[name] else f"same({theirs[name][0]})" for name in steps))
    assert not [f"{name}: {each}" for name, lines in found.items() for each in lines]
    return [code for code, *_ in theirs.values()]


def make_venv(place: Path, python: str, *options: str) -> Path:
    env = place / "env"
    shutil.rmtree(env, ignore_errors=True)
    subprocess.run([python, "-m", "venv", *(options or ["--without-pip"]), env], check=True)
    return env


def with_pip(env: Path, version: str, cache: Path) -> None:
    """Install a pip; it comes from the index that this machine has."""
    wheels = cache / "pips"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    if not list(wheels.glob(f"pip-{version}-*")):
        subprocess.run([*pip, "download", "--no-deps", "-d", wheels, f"pip=={version}"], check=True)
    wheel = next(wheels.glob(f"pip-{version}-*"))
    subprocess.run([*pip, "--python", env, "install", wheel], check=True)


def target_of(place: Path, one: Path, env: Path, variable: str = "VIRTUAL_ENV", user: int = 0) -> Target:
    """Return an active environment, with its own pip."""
    variables = {variable: str(env), NAME: "pip"}
    return Target(place, str(env / "bin" / "python"), env, [str(env / "bin" / "pip")], [str(one)], variables, user)


def without_own_pip(place: Path, one: Path, env: Path) -> Target:
    """Return an active environment, with the pip that pipfast is installed with."""
    stock = [str(one.with_name("python")), "-m", "pip", "--python", str(env)]
    return replace(target_of(place, one, env), stock=stock)


@pytest.mark.once
def test_another_python(place: Path, one: Path, steps: dict[str, str]) -> None:
    """A sample of the matrix."""
    others = [
        each for version, each in PYTHONS.items()
        # The oldest pip imports what 3.12 no longer has.
        if _is_new(each) and (Version("23.1") <= PIP or version not in ("3.12", "3.13"))
    ]
    if not others:
        pytest.skip("there is no Python here")
    python = others[0] if sys.version_info[:2] != (3, 10) else others[-1]
    few = {name: steps[name] for name in ("install", "list", "version", "uninstall")}
    codes = compare(without_own_pip(place, one, make_venv(place, python)), few)
    assert codes == [0] * len(few)


@pytest.mark.slow
@pytest.mark.parametrize("pip", ["23.0.1", "24.2", "26.3"])
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_virtual_environments(place: Path, one: Path, steps: dict[str, str], version: str, pip: str) -> None:
    if version not in PYTHONS or (pip == "23.0.1" and version in ("3.12", "3.13")):
        pytest.skip("there is no such Python here, or this pip is not for it")
    env = make_venv(place, PYTHONS[version])
    with_pip(env, pip, place)
    compare(target_of(place, one, env), steps)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.8", "3.9"])
def test_passed_on(place: Path, one: Path, steps: dict[str, str], version: str) -> None:
    """pip runs alone there; a line says so, which is no difference here."""
    if version not in PYTHONS:
        pytest.skip("there is no such Python here")
    # Newer pips cannot put one there.
    target = target_of(place, one, make_venv(place, PYTHONS[version], "--clear"))
    theirs, mine = run_all(target, target.stock, steps), run_all(target, target.ours, steps)
    note = f"pipfast: pip runs alone: Python {version} is older than 3.10, the oldest supported"
    found = {name: differences(theirs[name], mine[name]) for name in steps}
    assert found == {name: [note] for name in steps}
    print("cells:", *(f"same({theirs[name][0]})" for name in steps))


@pytest.mark.slow
def test_without_pip(place: Path, one: Path, steps: dict[str, str]) -> None:
    """As ``pip --python`` with the pip that pipfast is installed with."""
    compare(without_own_pip(place, one, make_venv(place, PYTHONS["3.12"])), steps)


@pytest.mark.slow
def test_option(place: Path, one: Path, steps: dict[str, str]) -> None:
    """``pipfast --python`` against ``pip --python``, where both have the same pip."""
    env = make_venv(place, PYTHONS["3.13"])
    with_pip(env, "26.3", place)
    stock, ours = [str(env / "bin" / "pip"), "--python", str(env)], [str(one), "--python", str(env)]
    compare(Target(place, str(env / "bin" / "python"), env, stock, ours, {NAME: "pip"}), steps)


@pytest.mark.slow
def test_with_the_systems_packages(place: Path, one: Path, steps: dict[str, str]) -> None:
    env = make_venv(place, SYSTEM, "--without-pip", "--system-site-packages")
    with_pip(env, "24.2", place)
    compare(target_of(place, one, env), steps)


@pytest.mark.slow
def test_condas(place: Path, one: Path, steps: dict[str, str]) -> None:
    """A prefix that is no virtual environment, and is active by conda's variable."""
    env = place / "conda"
    make_prefix(env, PYTHONS["3.12"])
    with_pip(env, "24.2", place)
    compare(target_of(place, one, env, "CONDA_PREFIX"), steps)


@pytest.mark.slow
def test_systems_own(place: Path, one: Path, steps: dict[str, str]) -> None:
    """Externally managed, with the system's own pip, by what is on PATH."""
    if not Path("/usr/bin/pip").exists():
        pytest.skip("this system has no pip")
    compare(Target(place, SYSTEM, None, ["/usr/bin/pip"], [str(one)], {NAME: "pip"}), steps)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("kind", ["read-only", "another user's", "root on another user's"])
def test_others(place: Path, one: Path, steps: dict[str, str], kind: str) -> None:
    """What may not be written is refused by pip; root may write everything."""
    env = make_venv(place, SYSTEM)
    with_pip(env, "24.2", place)
    user = 0 if kind.startswith("root") else NOBODY
    if kind == "read-only":
        subprocess.run(["chmod", "-R", "a-w", env], check=True)
    owner = "1234:1234" if kind != "read-only" else f"{NOBODY}:{NOBODY}"
    subprocess.run(["chown", "-Rh", owner, env], check=True)
    compare(target_of(place, one, env, user=user), steps)
