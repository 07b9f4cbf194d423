"""What is the same in two environments, and what is not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipfast.memo.again.elsewhere import HERE, LARGEST, Environment
from pipfast.memo.facts import changed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(("text", "neutral"), [
    ("/x/e1", "*"),
    ("'/x/e1/bin:/usr/bin:/x/e1'", "'*/bin:/usr/bin:*'"),
    ("/x/e10/bin:/x/e1-old:/x/e1.d:/x/e1", "/x/e10/bin:/x/e1-old:/x/e1.d:*"),
    ("nothing of it", "nothing of it"),
])
def test_folder_is_left_out_where_it_is_a_whole_path(text: str, neutral: str) -> None:
    environment = Environment("/x/e1")
    assert environment.neutral(text) == neutral.replace("*", HERE)
    assert environment.full_bytes(environment.neutral_bytes(text.encode())) == text.encode()


def test_paths_of_an_environment() -> None:
    environment = Environment("/x/e1")
    assert environment.has("/x/e1") and environment.has("/x/e1/bin/python") and not environment.has("/x/e10")
    assert environment.full(environment.relative("/x/e1/lib")) == "/x/e1/lib"
    assert Environment("/other").full(environment.relative("/x/e1/lib")) == "/other/lib"
    assert environment.full("/usr/lib") == "/usr/lib"


def made(folder: Path) -> Environment:
    (folder / "lib" / "pip").mkdir(parents=True)
    (folder / "lib" / "pip" / "it.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "bin").mkdir()
    (folder / "bin" / "tool").write_text(f"#!{folder}/bin/python\n", encoding="utf-8")
    (folder / "lib64").symlink_to(folder / "lib")
    (folder / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ncommand = python -m venv {folder}\nprompt = {folder.name}\n", encoding="utf-8")
    return Environment(str(folder))


LOOKS = (
    ("lib", "N"), ("lib/pip", "F"), ("lib/pip/it.py", "F"), ("bin/tool", "F"), ("lib64", "L"), ("pyvenv.cfg", "F"),
    ("missing", "F"), ("bin", f"A{os.W_OK}"), ("lib/pip/it.py/below", "F"), ("", "L"),
)


def facts_of(environment: Environment) -> list[tuple[str, str]]:
    paths = [(f"{environment.prefix}/{name}".rstrip("/"), way) for name, way in LOOKS]
    return [(environment.relative(path), environment.look(path, way)) for path, way in paths]


def test_environments_made_alike_look_alike(tmp_path: Path) -> None:
    assert changed(facts_of(made(tmp_path / "one")), made(tmp_path / "another")) == ""


def edit(folder: Path) -> None:
    path = folder / "lib/pip/it.py"
    found = path.stat()
    path.write_text("x = 2\n", encoding="utf-8")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def pipe(folder: Path) -> None:
    (folder / "lib/pip/it.py").unlink()
    os.mkfifo(folder / "lib/pip/it.py")


@pytest.mark.parametrize("change", [
    edit,
    lambda folder: (folder / "lib/more.pth").touch(),
    lambda folder: (folder / "lib/pip/it.py").chmod(0o600),
    lambda folder: (folder / "bin/tool").write_text("#!/x/bin/python\n", encoding="utf-8"),
    lambda folder: (folder / "pyvenv.cfg").write_text("home = /opt/bin\n", encoding="utf-8"),
    lambda folder: (folder / "missing").touch(),
    lambda folder: ((folder / "lib64").unlink(), (folder / "lib64").symlink_to("/usr/lib")),
    pipe,
    lambda folder: (folder / "lib/pip/it.py").write_bytes(b"#" * (LARGEST + 1)),
])
def test_each_change_is_seen(change: Callable[[Path], object], tmp_path: Path) -> None:
    facts, other = facts_of(made(tmp_path / "one")), made(tmp_path / "another")
    change(tmp_path / "another")
    assert changed(facts, other).startswith(other.prefix)


def test_facts_of_any_environment_need_one() -> None:
    assert changed([(HERE, "F 2")])


def test_large_file_is_never_the_same(tmp_path: Path) -> None:
    environment = made(tmp_path / "one")
    (tmp_path / "one/lib/pip/it.py").write_bytes(b"#" * (LARGEST + 1))
    assert changed(facts_of(environment), environment)


def test_link_on_the_way_is_found(tmp_path: Path) -> None:
    made(tmp_path / "one")
    (tmp_path / "link").symlink_to(tmp_path / "one")
    assert Environment(str(tmp_path.resolve() / "one")).is_plain()
    assert not Environment(str(tmp_path / "link")).is_plain()
