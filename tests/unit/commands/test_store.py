"""``pipfast store``: its output and its exit codes."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.commands import command_line
from pipfast.commands.output import display_size
from pipfast.commands.store import age_in_seconds, main
from pipfast.settings import Settings, size_in_bytes
from pipfast.store.archives import add_archive, sha256_of
from pipfast.store.layout import open_layout
from support.stores import keep, prepare
from support.wheels import Wheel, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout = open_layout(tmp_path / "store")
    prepare(layout, wheel("demo"), tmp_path)
    prepare(layout, wheel("other"), tmp_path, compile_=False)
    keep(layout, sdist("source"), tmp_path)
    # Its lock counts as long as it is there.
    layout.release()
    return layout.root


@pytest.fixture
def run(root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: str, store: Path = root) -> tuple[int, str, str]:
        status = command_line.run(main, list(arguments), Settings(store=store))
        said = capsys.readouterr()
        return status, said.out, said.err

    return command


def test_path_prints_the_folder_only(run: Callable[..., Any], root: Path) -> None:
    assert run("path") == (0, f"{root}\n", "")


def test_names_of_archives_move_no_cursor(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    """They are the ends of addresses."""
    source = tmp_path / "source"
    source.write_bytes(b"x")
    name = "evil\x1b[2J\n1.0.tar.gz"
    assert add_archive(open_layout(root), source, sha256_of(source), name, move=False)
    shown = run("list", "evil*")[1]
    assert shown.startswith(r"evil\x1b[2J\n1.0.tar.gz  ") and shown.count("\n") == 1
    next(root.glob(f"archives-v0/*/{sha256_of(source)}/bytes")).write_bytes(b"y")
    assert r"Damaged: evil\x1b[2J\n1.0.tar.gz: " in run("verify", "--dry-run")[1]


def test_info(run: Callable[..., Any], root: Path) -> None:
    status, out, _ = run("info", "--json")
    facts = json.loads(out)
    assert status == 0 and facts["path"] == str(root) and facts["entries"] == 6
    assert {name: facts["buckets"][name]["entries"] for name in facts["buckets"]} == {
        "archives-v0": 3, "trees-v1": 2, "bytecode-v1": 1, "urls-v0": 0,
        "pages-v0": 0, "answers-v0": 0, "learnt-v0": 0, "built-v0": 0, "expected-v0": 0, "patterns-v0": 0,
            "memo-v0": 0,
        "remote-v0": 0,
    }
    assert sum(bucket["bytes"] for bucket in facts["buckets"].values()) <= facts["bytes"]
    assert facts["leftovers"] == facts["in_use"] == facts["shared_bytes"] == 0
    shown = run("info")[1]
    assert "trees-v1: 2 entries" in shown and "unpacked" in shown


def test_linked_files_count_as_shared(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    before = json.loads(run("info", "--json")[1])
    held = next((root / "archives-v0").glob("*/*/bytes"))
    (tmp_path / "linked").hardlink_to(held)
    after = json.loads(run("info", "--json")[1])
    assert after["bytes"] == before["bytes"] and after["shared_bytes"] == held.stat().st_blocks * 512


def info_of(root: Path, bound: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what ``store info`` says of the bound, without the program's name."""
    assert main(["info"], Settings(store=root, store_size=bound)) == 0
    line = next((each for each in capsys.readouterr().out.splitlines() if "above the bound" in each), "")
    return re.sub("`.*?`", "`P`", line)


_GOES = ": each command that downloads or installs removes some of what was not used for longest, `P` all of it"


def test_info_says_how_much_is_above_the_bound(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what can be done, as far as anything can: files of running commands go with these."""
    held = sum(each.stat().st_blocks * 512 for each in root.glob("*-v*/**/*")) + 4096 * 3
    assert info_of(root, 10 * held, capsys) == ""
    assert re.fullmatch(r"It is above the bound by [\d.]+ [kM]B" + _GOES, info_of(root, held // 2, capsys))

    layout = open_layout(root)
    (layout.new_staging() / "part").write_bytes(b"x" * 10 * held)
    line = info_of(root, held // 2, capsys)
    held_back = "cannot go while running commands use it"
    assert re.fullmatch(rf"It is above the bound by [\d.]+ MB{_GOES}; [\d.]+ MB of it {held_back}", line)
    main(["purge"], Settings(store=root))
    line = info_of(root, held // 2, capsys)
    assert re.fullmatch(rf"It is above the bound by [\d.]+ MB: [\d.]+ MB {held_back}", line)
    layout.release()


def test_prune_brings_the_store_below_its_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was not used for longest goes, of what environments share the last; a dry run only counts."""
    layout = open_layout(tmp_path / "store")
    layout.release()
    entries = []
    for number in range(4):
        data = os.urandom(1_000_000).hex()
        held = keep(layout, Wheel(f"demo{number}", files={f"demo{number}/data": data}).build(), tmp_path)
        entries.append(held.parent)
        os.utime(held.parent, (1e9 + number, 1e9 + number))
    (tmp_path / "linked").hardlink_to(entries[0] / "bytes")
    size = (entries[0] / "bytes").stat().st_size

    def pruned(bound: int, *options: str) -> list[bool]:
        assert main(["prune", *options], Settings(store=layout.root, store_size=bound)) == 0
        return [entry.is_dir() for entry in entries]

    assert pruned(1 << 40) == [True] * 4
    assert pruned(int(2.5 * size), "--dry-run") == [True] * 4
    assert "Would remove 1 entry," in capsys.readouterr().out
    assert pruned(int(2.5 * size)) == [True, False, True, True]
    assert pruned(0) == [False] * 4


def test_list(run: Callable[..., Any]) -> None:
    rows = json.loads(run("list", "--json")[1])
    assert [row["name"] for row in rows] == [
        "demo-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl", "source-1.0.tar.gz",
    ]
    assert [row["unpacked"] for row in rows] == [True, True, False]
    assert [len(row["bytecode"]) for row in rows] == [1, 0, 0]
    lines = run("list", "DEMO*")[1].splitlines()
    assert len(lines) == 1 and lines[0].startswith("demo-1.0-py3-none-any.whl  ")


def test_verify(run: Callable[..., Any], root: Path) -> None:
    assert run("verify")[0] == 0
    held = next((root / "archives-v0").glob("*/*/bytes"))
    held.write_bytes(b"damaged")
    status, out, _ = run("verify", "--dry-run", "--json")
    document = json.loads(out)
    assert status == 1 and [each["removed"] for each in document["damaged"]] == [False]
    status, out, _ = run("verify")
    assert status == 1 and out.startswith("Removed: ") and f" ({held.parent})\n" in out
    assert run("verify")[0] == 0


def test_damage_is_told_of_a_package_and_of_a_file_in_it(run: Callable[..., Any], root: Path) -> None:
    """With the entry's folder once, whatever else has gone by then; and no number of an error."""
    source = next((root / "trees-v1").glob("*/*/tree/demo/__init__.py"))
    code = next((root / "bytecode-v1").glob("*/*/*/tree/demo/__pycache__/*.pyc"))
    source.write_text("changed")
    code.unlink()
    os.mkfifo(code)
    page = root / "pages-v0" / "ab" / f"ab{'0' * 62}"
    page.parent.mkdir()
    os.mkfifo(page)
    expected = [
        f"demo 1.0: demo/__init__.py was changed ({source.parents[2]})",
        f"demo 1.0: demo/__pycache__/{code.name} is no regular file ({code.parents[3]})",
        f"an index page or metadata: it is no regular file ({page})",
    ]
    for arguments, done in (["--dry-run"], "Damaged"), ([], "Removed"):
        lines = run("verify", *arguments)[1].splitlines()
        assert lines[:-1] == [f"{done}: {each}" for each in expected]


def test_list_has_columns_without_internal_names(run: Callable[..., Any]) -> None:
    lines = run("list")[1].splitlines()
    assert len({re.search(r"\d{4}-\d\d-\d\d", line).start() for line in lines}) == 1  # type: ignore[union-attr]
    assert lines[0].endswith(f"  unpacked, compiled for {sys.implementation.cache_tag}")
    assert lines[1].endswith("  unpacked") and lines[2].endswith("  archive only")


def test_prune_says_what_lives_on_in_environments(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    held = next((root / "archives-v0").glob("*/*/bytes"))
    (tmp_path / "linked").hardlink_to(held)
    shared = display_size(held.stat().st_blocks * 512)
    out = run("prune", "--max-size", "0")[1]
    assert f" freed; {shared} more are on the disk until environments give them up\n" in out


@pytest.mark.parametrize("action", ["path", "info", "list", "verify", "prune", "purge"])
def test_looking_makes_no_store(action: str, run: Callable[..., Any], tmp_path: Path) -> None:
    """Nor its parent folder."""
    missing = tmp_path / "not" / "there"
    assert run(action, store=missing)[0] == 0
    if action != "path":
        document = json.loads(run(action, "--json", store=missing)[1])
        assert document == [] if action == "list" else document["path"] == str(missing)
    assert not missing.parent.exists()


def test_place_that_cannot_have_a_store(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, out, err = run("info", store=tmp_path / "file" / "store")
    assert (status, out) == (1, "") and err.startswith("ERROR: not using the store ")
    assert ": Not a directory\nhint: " in err


@pytest.mark.parametrize(("arguments", "said"), [
    (["nosuch-*"], 'No archives stored for pattern "nosuch-*".\n'),
    (["--built"], "No wheels of rescued builds stored.\n"),
    (["--built", "x"], 'No wheels of rescued builds stored for pattern "x".\n'),
], ids=str)
def test_an_empty_list_is_said(arguments: list[str], said: str, run: Callable[..., Any]) -> None:
    assert run("list", *arguments) == (0, said, "")
    assert run("list", *arguments, "--json") == (0, "[]\n", "")


def test_leftovers_have_a_size(run: Callable[..., Any], root: Path) -> None:
    """A killed build can leave gigabytes; `prune` tells what they were."""
    (root / "tmp" / f"4711-{16 * '0'}-{8 * '0'}").write_bytes(b"x" * 100_000)
    info = json.loads(run("info", "--json")[1])
    assert info["leftovers"] == 1 and 100_000 <= info["leftover_bytes"] <= info["bytes"]
    size = display_size(info["leftover_bytes"])
    assert f"\nLeftovers of killed commands: 1, {size} (" in run("info")[1]
    assert run("prune")[1] == f"Removed 0 entries, 0 orphans and 1 leftover ({size}): {size} freed\n"
    assert run("info")[1].endswith("\nLeftovers of killed commands: 0\n")
    (root / "tmp" / f"4711-{16 * '0'}-{8 * '0'}").write_bytes(b"x" * 100_000)
    removed = json.loads(run("prune", "--json")[1])
    assert removed.pop("kept") and not removed.pop("removed") and not removed.pop("dry_run")
    assert removed == {
        "path": str(root), "entries": 0, "orphans": 0, "leftovers": 1, "leftover_bytes": info["leftover_bytes"],
        "bytes": info["leftover_bytes"], "shared_bytes": 0, "in_use": 0,
    }


def test_prune_and_purge(run: Callable[..., Any], root: Path) -> None:
    assert run("prune")[1].startswith("Removed 0 entries")
    assert run("prune", "--older-than", "1d")[1].startswith("Removed 0 entries")
    assert run("prune", "--max-size", "0")[0] == 0
    assert json.loads(run("list", "--json")[1]) == []
    assert run("purge")[0] == 0 and not root.exists()
    assert run("purge")[0] == 0


def test_prune_for_a_ci_cache_says_what_it_keeps(run: Callable[..., Any], root: Path) -> None:
    before = sorted(root.rglob("*"))
    planned = run("prune", "--ci", "--dry-run")
    assert sorted(root.rglob("*")) == before
    lines = planned[1].splitlines()
    assert re.fullmatch(r"Kept: unpacked wheels 1 \(.*\), bytecode 1 \(.*\)", lines[0])
    assert re.fullmatch(r"Would drop: archives 3 \(.*\), unpacked wheels 1 \(.*\)", lines[1])
    assert lines[2].startswith("Would remove 4 entries, 0 orphans")
    document = json.loads(run("prune", "--ci", "--json")[1])
    assert document["kept"].keys() == {"trees-v1", "bytecode-v1"} and not document["dry_run"]
    assert {name: count["entries"] for name, count in document["removed"].items()} == {
        "archives-v0": 3, "trees-v1": 1,
    }
    assert sum(count["bytes"] for count in document["removed"].values()) == document["bytes"]
    assert run("prune", "--ci")[1].splitlines()[1] == "Dropped: nothing"


def test_purge_of_a_folder_that_is_no_store(run: Callable[..., Any], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("x")
    status, _, err = run("purge", store=home)
    assert status == 1 and "is not a store" in err and "hint: " in err
    assert (home / "precious").exists()


@pytest.mark.parametrize("action", ["info", "list", "verify", "prune"])
def test_unusable_store(action: str, run: Callable[..., Any], root: Path) -> None:
    root.chmod(0o777)
    status, out, err = run(action)
    assert (status, out) == (1, "")
    assert "others can write" in err and "hint: " in err


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "Need an action (info, list, path, prune, purge, verify) to perform."),
    (["what"], "Need an action (info, list, path, prune, purge, verify) to perform."),
    (["info", "more"], "Too many arguments"),
    (["list", "a", "b"], "Too many arguments"),
], ids=str)
def test_what_cannot_be_done_is_an_error_as_pips(
    arguments: list[str], said: str, run: Callable[..., Any]
) -> None:
    assert run(*arguments) == (1, "", f"ERROR: {said}\n")


@pytest.mark.parametrize(("arguments", "said"), [
    (["prune", "--max-size", "5X"], "option --max-size: '5X' is no size such as 500M or 5G"),
    (["prune", "--older-than", "30"], "option --older-than: '30' is no age such as 12h, 30d or 2w"),
    (["prune", "--max-size=-1"], "option --max-size: '-1' is no size such as 500M or 5G"),
    (["prune", "--older-than"], "--older-than option requires 1 argument"),
    (["info", "--max-size", "0"], "info has no option --max-size"),
    (["path", "--json"], "path has no option --json"),
    (["--what"], "no such option: --what"),
], ids=str)
def test_options_that_cannot_be_read_end_it_as_pip(
    arguments: list[str], said: str, run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is removed, in particular."""
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert err.startswith("\nUsage:   \n") and err.endswith(f"\n\n{said}\n")


def test_sizes_and_ages() -> None:
    sizes = {"0": 0, "5G": 5 * 10**9, "500M": 5 * 10**8, "1.5 kB": 1500, "7b": 7}
    assert {text: size_in_bytes(text) for text in sizes} == sizes
    assert [age_in_seconds(text) for text in ("12h", "30d", "2w", "1.5m")] == [43_200, 2_592_000, 1_209_600, 90]
    for text in ("", "G", "5 apples", "\u0665G"):
        with pytest.raises(ValueError):
            size_in_bytes(text)


def test_sizes_are_shown_as_pip_shows_them() -> None:
    from importlib import import_module

    format_size = import_module(".".join(["pip", "_internal", "utils", "misc"])).format_size
    for size in (0, 1, 999, 1000, 1001, 1050, 9999, 10_000, 10_001, 999_999, 1_000_000, 1_000_001, 10**9):
        assert display_size(size) == format_size(size)
    # pip has no larger unit than MB.
    assert display_size(64_358_500_000) == "64.4 GB"


@pytest.mark.parametrize("action", ["prune", "purge"])
def test_nothing_is_removed_while_a_setting_cannot_be_read(
    root: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    """The default store would be purged in the place of the one that was meant."""
    settings = Settings.from_environ({"PIPFAST_STORE": "relative"})
    before = sorted(root.rglob("*"))
    assert command_line.run(main, [action], replace(settings, store=root)) == 1
    said = capsys.readouterr()
    assert "PIPFAST_STORE" in said.err and "nothing is removed" in said.err and said.out == ""
    assert sorted(root.rglob("*")) == before


def test_a_misspelt_variable_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["path"], replace(Settings.from_environ({"PIPFAST_STROE": "/elsewhere"}), store=root)) == 0
    said = capsys.readouterr()
    assert said.out == f"{root}\n" and "PIPFAST_STROE" in said.err
