"""Links made aside, and moved into an environment by renaming."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from pipfast.install.aside import Unmovable, arrange, move, move_info
from pipfast.wheel.scheme import SCHEME_KEYS
from support.stores import UMASK, prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipfast.store.layout import Layout
    from pipfast.store.prepared import Prepared

DEMO = Wheel(
    "demo",
    files={"space/demo.py": "x = 1\n", "space/data.txt": "y\n", "top.py": "z = 1\n"},
    data={"data/share/demo/one.txt": "1\n", "scripts/tool": "#!python\n", "purelib/more.py": "w = 1\n"},
).build()

MINE = "mine\n"


@pytest.fixture
def prepared(layout: Layout, tmp_path: Path) -> Prepared:
    return prepare(layout, DEMO, tmp_path)


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Path]:
    before = os.umask(UMASK)
    (tmp_path / "env" / "lib").mkdir(parents=True)
    yield tmp_path / "env"
    os.umask(before)


def arranged(prepared: Prepared, env: Path) -> Path:
    folder = env.parent / "aside"
    assert arrange(prepared, folder, "hardlink", UMASK, lambda: True)
    return folder


def schemes(env: Path) -> dict[str, str]:
    return {key: str(env / ("lib" if key.endswith("lib") else key)) for key in SCHEME_KEYS}


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def moved(prepared: Prepared, env: Path) -> None:
    folder, info_dir = arranged(prepared, env), prepared.manifest.info_dir
    move(folder, info_dir, str(env / "lib"), schemes(env))
    if not (env / "lib" / info_dir).exists():
        assert (folder / "lib" / info_dir / "RECORD").exists()
    move_info(folder, info_dir, str(env / "lib"))


def test_new_environment_gets_everything_but_scripts(prepared: Prepared, env: Path) -> None:
    """Links, and a copy of RECORD, which is this environment's own; scripts are rewritten."""
    moved(prepared, env)
    found = files(env)
    assert {"lib/space/demo.py", "lib/space/data.txt", "lib/top.py", "lib/more.py", "data/share/demo/one.txt",
            "lib/demo-1.0.dist-info/METADATA"} <= found
    assert sum(name.endswith(".pyc") for name in found) == 3
    assert "scripts/tool" not in found
    assert (env / "lib/demo-1.0.dist-info/RECORD").stat().st_nlink == 1
    stored = prepared.tree / "tree" / "space" / "demo.py"
    assert (env / "lib/space/demo.py").samefile(stored)
    assert (env / "lib/space").stat().st_mode & 0o777 == 0o777 & ~UMASK


def test_what_is_there_is_merged_into(prepared: Prepared, env: Path) -> None:
    """A folder that another package shares keeps its files; a file of the same name is replaced, as pip does."""
    (env / "lib/space/__pycache__").mkdir(parents=True)
    (env / "lib/space/other.py").write_text(MINE)
    (env / "lib/space/data.txt").write_text(MINE)
    (env / "data/share").mkdir(parents=True)
    moved(prepared, env)
    assert (env / "lib/space/other.py").read_text() == MINE
    assert (env / "lib/space/data.txt").read_text() == "y\n"
    assert list((env / "lib/space/__pycache__").iterdir())
    assert (env / "data/share/demo/one.txt").read_text() == "1\n"


def test_linked_folder_is_followed(prepared: Prepared, env: Path) -> None:
    (env / "elsewhere").mkdir()
    (env / "lib/space").symlink_to(env / "elsewhere")
    moved(prepared, env)
    assert (env / "lib/space").is_symlink()
    assert (env / "elsewhere/demo.py").read_text() == "x = 1\n"


@pytest.mark.parametrize("stand", ["a file for a folder", "a folder for a file"])
def test_what_cannot_be_replaced(stand: str, prepared: Prepared, env: Path) -> None:
    if stand == "a file for a folder":
        (env / "lib/space").write_text(MINE)
    else:
        (env / "lib/top.py").mkdir()
    with pytest.raises(OSError, match=r"top\.py|space"):
        moved(prepared, env)


@pytest.mark.parametrize("name", ["lib/top.py", "lib/space/data.txt"])
def test_linked_file_is_not_replaced(name: str, prepared: Prepared, env: Path) -> None:
    (env / name).parent.mkdir(exist_ok=True)
    (env / name).symlink_to(env / "nowhere")
    with pytest.raises(Unmovable, match="symbolic link"):
        moved(prepared, env)
    assert (env / name).readlink() == env / "nowhere"


def test_folder_that_gives_its_group(prepared: Prepared, env: Path) -> None:
    (env / "lib").chmod(0o2755)
    with pytest.raises(Unmovable, match="group"):
        moved(prepared, env)
    assert files(env) == set()


def test_folder_of_another_group(prepared: Prepared, env: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder another group")
    os.chown(env / "lib", -1, 12345)
    with pytest.raises(Unmovable):
        moved(prepared, env)


def test_folder_with_an_access_list_for_what_is_in_it(prepared: Prepared, env: Path) -> None:
    (env / "lib/space").mkdir()
    nobody = 0xFFFFFFFF
    entries = [(0x01, 7, nobody), (0x04, 5, nobody), (0x20, 0, nobody)]
    try:
        os.setxattr(
            env / "lib/space", "system.posix_acl_default",
            struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries),
        )
    except (OSError, AttributeError):
        pytest.skip("this filesystem has no access lists")
    with pytest.raises(Unmovable, match="access list"):
        moved(prepared, env)


def test_changed_file_is_not_linked(prepared: Prepared, env: Path) -> None:
    (prepared.tree / "tree" / "top.py").write_text("changed = 1\n")
    assert not arrange(prepared, env.parent / "aside", "hardlink", UMASK, lambda: True)


def test_what_was_moved_is_not_moved_again(prepared: Prepared, env: Path) -> None:
    """Otherwise the second environment would have a RECORD and no files."""
    moved(prepared, env)
    with pytest.raises(Unmovable, match="nothing of demo"):
        move(env.parent / "aside", prepared.manifest.info_dir, str(env / "lib"), schemes(env))


def test_copies_are_not_made_aside(prepared: Prepared, env: Path) -> None:
    assert not arrange(prepared, env.parent / "aside", "copy", UMASK, lambda: True)
