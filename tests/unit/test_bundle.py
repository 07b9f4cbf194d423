"""Bundle of libraries: its pins, what is unpacked, and the build hook."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest

from pipfast import dependencies
from support.house import CHECKOUT
from support.wheels import Wheel

BUNDLED = Path(dependencies.FOLDER)


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("bundle", CHECKOUT / "pipx_fast" / "bundle.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return the script, for one library and one Python, with folders of the test's own."""
    made = load_script()
    (tmp_path / "checkout" / "pipfast").mkdir(parents=True)
    for name, value in {
        "LIBRARIES": ("demo",), "PYTHONS": ("3.11",), "MACHINES": ("x86_64",),
        "PINS": tmp_path / "checkout" / "bundle.txt", "FOLDER": tmp_path / "checkout" / "pipfast" / "bundled",
    }.items():
        monkeypatch.setattr(made, name, value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return made


def offer(folder: Path, version: str = "1.0", code: str = "") -> Path:
    """Put a wheel where pip finds it."""
    built = Wheel("demo", version, files={
        "demo/__init__.py": code, "demo/_c.c": "", "demo/py.typed": "", "demo-stubs/__init__.pyi": "",
        f"demo-{version}.dist-info/licenses/LICENSE.txt": "Copy it.",
    }).build()
    (folder / built.filename).write_bytes(built.data)
    return folder / built.filename


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


def test_pins_are_whole() -> None:
    """One digest for each wheel: a pure library has one, a compiled one has one for each Python and machine."""
    script = load_script()
    text = (CHECKOUT / "pipx_fast" / "bundle.txt").read_text("utf-8")
    blocks = re.findall(r"^([\w-]+)==[\d.]+((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", text, re.MULTILINE)
    compiled = len(script.PYTHONS) * len(script.MACHINES)
    assert {name: hashes.count("--hash") for name, hashes in blocks} == {
        "isal": compiled, "packaging": 1, "platformdirs": 1, "wrapt": compiled
    }
    assert text.count("==") == len(blocks)


def test_bundle_in_use_is_the_pinned_one() -> None:
    script = load_script()
    assert (BUNDLED / "bundle.txt").read_bytes() == script.PINS.read_bytes()
    for name in ("isal/isal_zlib", "wrapt/_wrappers"):
        for python in script.PYTHONS:
            for machine in script.MACHINES:
                assert (BUNDLED / f"{name}.cpython-{python.replace('.', '')}-{machine}-linux-gnu.so").is_file()
    for library in script.LIBRARIES:
        assert list((BUNDLED / "licenses" / library).iterdir())
    assert not list(BUNDLED.rglob("*.pyi")) and not list(BUNDLED.rglob("*.c"))


def test_pythons_are_those_of_the_project() -> None:
    pyproject = (CHECKOUT / "pyproject.toml").read_text("utf-8")
    assert tuple(re.findall(r"Python :: (3\.\d+)", pyproject)) == load_script().PYTHONS


def test_update_pins_the_newest_and_fills_the_folder(bundle: Any, tmp_path: Path) -> None:
    """And nothing more is fetched while the pins stay."""
    offer(tmp_path, "1.0")
    newest = offer(tmp_path, "2.0", "new = True")
    bundle.main(["update"])
    found = contents(bundle.FOLDER)
    assert found.pop("bundle.txt") == bundle.PINS.read_text("utf-8") == bundle.pins([newest])
    found.pop("stamp")
    assert found == {"demo/__init__.py": "new = True", "licenses/demo/LICENSE.txt": "Copy it."}
    assert bundle.is_current(bundle.FOLDER)
    newest.unlink()
    bundle.Bundle.initialize(SimpleNamespace(), "standard", {})
    bundle.PINS.write_text("# other pins\n", "utf-8")
    assert not bundle.is_current(bundle.FOLDER)


def test_wheel_with_another_digest_changes_nothing(bundle: Any, tmp_path: Path) -> None:
    bundle.PINS.write_text(bundle.pins([offer(tmp_path)]), "utf-8")
    bundle.FOLDER.mkdir()
    (bundle.FOLDER / "old").write_text("it serves", "utf-8")
    before = contents(bundle.FOLDER)
    offer(tmp_path, code="raise SystemError('swapped')")
    with pytest.raises(SystemExit, match=r"(?s)ERROR: pip cannot fetch.*DO NOT MATCH THE HASHES"):
        bundle.main([])
    assert contents(bundle.FOLDER) == before
    assert [path.name for path in bundle.FOLDER.parent.iterdir()] == ["bundled"]


@pytest.mark.parametrize("version", ["standard", "editable"])
def test_read_only_checkout(bundle: Any, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is made aside and goes into the archive; an editable installation needs it in the checkout."""
    bundle.PINS.write_text(bundle.pins([offer(tmp_path)]), "utf-8")
    monkeypatch.setattr(bundle.os, "access", lambda path, mode: False)
    hook: Any = SimpleNamespace(target_name="wheel")
    data: dict[str, Any] = {"force_include": {}}
    if version == "editable":
        with pytest.raises(bundle.BundleError, match="is read-only"):
            bundle.Bundle.initialize(hook, version, data)
        return
    bundle.Bundle.initialize(hook, version, data)
    (aside, inside), = data["force_include"].items()
    assert inside == "pipfast/bundled" and bundle.is_current(Path(aside)) and not bundle.FOLDER.exists()
    bundle.Bundle.finalize(hook, version, data, "")
    assert not Path(aside).exists()


def test_wheels_that_do_not_go_together(bundle: Any, tmp_path: Path) -> None:
    """One file cannot serve two Pythons if their wheels differ in it."""
    bundle.unpack(offer(tmp_path), tmp_path / "made")
    bundle.unpack(offer(tmp_path), tmp_path / "made")
    with pytest.raises(bundle.BundleError, match=r"demo/__init__\.py is not the same"):
        bundle.unpack(offer(tmp_path, code="other = True"), tmp_path / "made")


def test_member_that_leads_out(bundle: Any, tmp_path: Path) -> None:
    path = tmp_path / "demo-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        archive.writestr("demo/../../out.py", "")
    with pytest.raises(bundle.BundleError, match="has a member"):
        bundle.unpack(path, tmp_path / "made")
    assert not (tmp_path / "out.py").exists()


def test_usage(bundle: Any) -> None:
    with pytest.raises(SystemExit, match="usage: "):
        bundle.main(["upgrade"])
