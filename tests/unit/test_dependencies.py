"""Places of our libraries, and messages about those that do not serve."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import pipfast
from pipfast import dependencies

OURS = Path(str(pipfast.__file__)).parent
PLACES = [each for each in dependencies.places() if "site-packages" in each]


def python(root: Path, code: str, **variables: str) -> str:
    """Run code in a process that has our package in ``root`` and nothing of site-packages."""
    ended = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.append({str(root)!r})\n{code}"],
        capture_output=True, text=True, timeout=60, env=variables, cwd=root.parent,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder that holds pipfast and, beside it, what it needs."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "pipfast").symlink_to(OURS)
    for name in ("wrapt", "packaging", "platformdirs", "isal"):
        for place in PLACES:
            if (Path(place) / name).is_dir():
                (tmp_path / "site" / name).symlink_to(Path(place) / name)
                break
    return tmp_path / "site"


PROBLEMS = "from pipfast import dependencies as d; print(*d.problems(), sep=chr(10))"


def plant(folder: Path, name: str, text: str) -> Path:
    """Put a package there, in the place of a linked one."""
    if (folder / name).is_symlink():
        (folder / name).unlink()
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "__init__.py").write_text(text, encoding="utf-8")
    return folder


def test_what_is_needed_is_what_the_project_declares() -> None:
    declared = {each.name: str(each.specifier) for each in map(Requirement, requires("pipfast") or [])
                if each.marker is None or "extra" not in str(each.marker)}
    needed = dependencies.NEEDED | dependencies.OPTIONAL
    assert {name: f">={version}" for name, version in needed.items()}.items() <= declared.items()


@pytest.mark.parametrize("name", ["wrapt", "packaging", "platformdirs", "isal"])
@pytest.mark.parametrize("text", ["raise RuntimeError('broken')", "__version__ = '0.1'"], ids=["broken", "old"])
def test_what_stands_on_the_users_path_is_not_ours(root: Path, tmp_path: Path, name: str, text: str) -> None:
    """A broken or older one on PYTHONPATH is passed over; the user's own import still finds it."""
    other = plant(tmp_path / "other", name, f"print('theirs')\n{text}")
    found = python(root, f"""
from pipfast import dependencies
from pipfast.system.inflate import version
print(dependencies.problems(), {name!r} in sys.modules)
print(dependencies.load({name!r}).__file__, version is not None)
try:
    import {name}
except RuntimeError:
    pass
""", PYTHONPATH=str(other))
    first, second, third = found.splitlines()
    assert first == "[] False"
    assert second == f"{root / name / '__init__.py'} True"
    assert third == "theirs"


@pytest.mark.parametrize("name", ["wrapt", "packaging", "platformdirs"])
def test_what_is_imported_already_stays_the_users(root: Path, tmp_path: Path, name: str) -> None:
    other = plant(tmp_path / "other", name, "__version__ = '0.1'")
    assert python(root, f"""
import {name}
from pipfast import dependencies
print(dependencies.problems(), {name}.__version__, sys.modules[{name!r}] is {name})
""", PYTHONPATH=str(other)) == "[] 0.1 True"


def test_library_that_imports_itself_by_its_name(root: Path, tmp_path: Path) -> None:
    """platformdirs up to 4 does, and the extensions of wrapt and isal: what they get is their own, loaded once."""
    plant(root, "platformdirs", "print('once')\nimport platformdirs.version\n"
          "from platformdirs.version import __version__")
    (root / "platformdirs" / "version.py").write_text("__version__ = '4.0'", encoding="utf-8")
    other = plant(tmp_path / "other", "platformdirs", "raise RuntimeError('broken')")
    printed = "print({'platformdirs', 'wrapt'} & {*sys.modules})"
    found = python(root, f"{PROBLEMS}\n{printed}", PYTHONPATH=str(other))
    assert found.split() == ["once", "set()"]


@pytest.mark.parametrize("name", sorted(dependencies.NEEDED))
def test_what_is_wrong_is_said(root: Path, name: str) -> None:
    """One line about each: it is missing, too old, or broken."""
    kept = root / name
    plant(root, name, "__version__ = '0.1'")
    where = f"({kept})"
    assert python(root, PROBLEMS) == f"{name} 0.1 is too old, {dependencies.NEEDED[name]} is needed {where}"
    plant(root, name, "1 / 0")
    assert python(root, PROBLEMS) == f"{name} is broken: ZeroDivisionError: division by zero {where}"
    plant(root, name, "import nowhere_at_all")
    assert python(root, PROBLEMS) == f"{name} is broken: No module named 'nowhere_at_all' {where}"
    plant(root, name, "")
    assert python(root, PROBLEMS) == f"{name} is broken: it has no version, or it is not that library {where}"
    plant(root, name, "from . import nothing_of_that_name")
    assert "pipfast" not in python(root, PROBLEMS).replace(where, "")
    # What an uninstallation leaves of a folder that something else has files in, too.
    (kept / "__init__.py").unlink()
    assert python(root, PROBLEMS).startswith(f"{name} is ")
    shutil.rmtree(kept)
    assert python(root, PROBLEMS) == f"{name} is missing"


@pytest.mark.parametrize("damage", ["raise RuntimeError", None], ids=["broken", "missing"])
def test_without_isal_zlib_inflates(root: Path, damage: str | None) -> None:
    (root / "isal").unlink()
    if damage:
        plant(root, "isal", damage)
    assert python(root, "from pipfast.system.inflate import inflater; print(inflater.__name__)") == "zlib"


def test_hint_can_be_pasted() -> None:
    error = dependencies.Unusable("wrapt", "is missing")
    assert error.hint == f'{sys.executable} -m pip install --force-reinstall "wrapt>=1.16"'
    line, hint = dependencies.summary([error, dependencies.Unusable("packaging", "is missing")])
    assert line == "wrapt is missing; packaging is missing"
    assert hint.endswith('--force-reinstall "wrapt>=1.16" "packaging>=23.1"')
