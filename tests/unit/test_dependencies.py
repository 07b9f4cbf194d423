"""Our libraries: where they come from, and messages about those that do not serve."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipfast
from pipfast import dependencies

OURS = Path(str(pipfast.__file__)).parent
LIBRARIES = (*dependencies.NEEDED, *dependencies.OPTIONAL)


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
    """Return a folder that holds pipfast, as links."""
    bundled = tmp_path / "site" / "pipfast" / "bundled"
    bundled.mkdir(parents=True)
    for path in OURS.iterdir():
        if path.name != "bundled":
            (bundled.parent / path.name).symlink_to(path)
    for name in LIBRARIES:
        (bundled / name).symlink_to(OURS / "bundled" / name)
    return tmp_path / "site"


@pytest.fixture
def bundled(root: Path) -> Path:
    """Return the folder of its libraries."""
    return root / "pipfast" / "bundled"


PROBLEMS = "from pipfast import dependencies as d; print(*d.problems(), sep=chr(10))"


def plant(folder: Path, name: str, text: str) -> Path:
    """Put a package there, in the place of a linked one."""
    if (folder / name).is_symlink():
        (folder / name).unlink()
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "__init__.py").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("text", ["raise RuntimeError('broken')", "__version__ = '0.1'"], ids=["broken", "old"])
def test_what_stands_on_the_users_path_is_not_ours(
    root: Path, bundled: Path, tmp_path: Path, name: str, text: str
) -> None:
    """A broken or older one, beside us or on PYTHONPATH, is passed over; the user's own import still finds it."""
    other = plant(tmp_path / "other", name, f"print('theirs')\n{text}")
    plant(root, name, text)
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
    assert second == f"{bundled / name / '__init__.py'} True"
    assert third == "theirs"


@pytest.mark.parametrize("name", ["wrapt", "packaging", "platformdirs"])
def test_what_is_imported_already_stays_the_users(root: Path, tmp_path: Path, name: str) -> None:
    other = plant(tmp_path / "other", name, "__version__ = '0.1'")
    assert python(root, f"""
import {name}
from pipfast import dependencies
print(dependencies.problems(), {name}.__version__, sys.modules[{name!r}] is {name})
""", PYTHONPATH=str(other)) == "[] 0.1 True"


def test_library_that_imports_itself_by_its_name(root: Path, bundled: Path, tmp_path: Path) -> None:
    """platformdirs up to 4 does, and the extensions of wrapt and isal: what they get is their own, loaded once."""
    plant(bundled, "platformdirs", "print('once')\nimport platformdirs.version\n"
          "from platformdirs.version import __version__")
    (bundled / "platformdirs" / "version.py").write_text("__version__ = '4.0'", encoding="utf-8")
    other = plant(tmp_path / "other", "platformdirs", "raise RuntimeError('broken')")
    printed = "print({'platformdirs', 'wrapt'} & {*sys.modules})"
    found = python(root, f"{PROBLEMS}\n{printed}", PYTHONPATH=str(other))
    assert found.split() == ["once", "set()"]


@pytest.mark.parametrize("name", dependencies.NEEDED)
def test_what_is_wrong_is_said(root: Path, bundled: Path, name: str) -> None:
    """One line about each: it is missing or broken."""
    kept = bundled / name
    where = f"({kept})"
    plant(bundled, name, "1 / 0")
    assert python(root, PROBLEMS) == f"{name} is broken: ZeroDivisionError: division by zero {where}"
    plant(bundled, name, "import nowhere")
    assert python(root, PROBLEMS) == f"{name} is broken: ModuleNotFoundError: No module named 'nowhere' {where}"
    plant(bundled, name, "")
    assert python(root, PROBLEMS) == f"{name} is broken: it has no version {where}"
    plant(bundled, name, "from . import nothing_of_that_name")
    assert "dependencies" not in python(root, PROBLEMS)
    # What a clumsy clean-up leaves.
    (kept / "__init__.py").unlink()
    assert python(root, PROBLEMS).startswith(f"{name} is ")
    shutil.rmtree(kept)
    assert python(root, PROBLEMS) == f"{name} is missing {where}"


@pytest.mark.parametrize("damage", ["raise RuntimeError", None], ids=["broken", "missing"])
def test_without_isal_zlib_inflates(root: Path, bundled: Path, damage: str | None) -> None:
    (bundled / "isal").unlink()
    if damage:
        plant(bundled, "isal", damage)
    assert python(root, "from pipfast.system.inflate import inflater; print(inflater.__name__)") == "zlib"


def test_another_python_uses_the_pure_parts(root: Path, bundled: Path) -> None:
    """Compiled modules of other Pythons and machines are passed over."""
    for name in ("wrapt", "isal"):
        (bundled / name).unlink()
        shutil.copytree(OURS / "bundled" / name, bundled / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (bundled / name).glob("*.so"):
            path.rename(path.with_name(f"{path.name.partition('.')[0]}.cpython-99-x86_64-linux-gnu.so"))
    found = python(root, """
from pipfast import dependencies
from pipfast.system.inflate import version
wrapt = dependencies.load("wrapt")
print(dependencies.problems(), version, wrapt.FunctionWrapper(len, lambda wrapped, _, args, kwargs: 7)("ab"))
print([name for name in sys.modules if name.endswith("_wrappers")])
""")
    assert found.splitlines() == ["[] None 7", "[]"]


def test_versions_are_those_of_the_libraries() -> None:
    versions = dependencies.versions()
    assert sorted(versions) == sorted(LIBRARIES)
    assert versions == {name: dependencies.load(name).__version__ for name in LIBRARIES}
