"""Settings in pip's own configuration files, through the whole program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box


def test_the_store_that_the_file_names_is_used(box: Box, index: Index) -> None:
    """Installing, doctor and the store's own commands mean the same folder."""
    own = box.root / "own"
    (box.root / "own.conf").write_text(f"[pipfast]\nstore = {own}\nlink-mode = copy\n", encoding="utf-8")
    variables = {"PIP_CONFIG_FILE": str(box.root / "own.conf"), "PIPFAST_STORE": ""}
    assert box.pipfast("install", *index.args, "library", **variables).status == 0
    assert list(own.glob("archives-v*/*/*")) and not box.entries()
    assert box.pipfast("store", "path", **variables).out == f"{own}\n"
    document = json.loads(box.pipfast("doctor", "--json", **variables).out)
    assert document["settings"]["PIPFAST_STORE"] == str(own) == document["store"]["path"]
    assert document["settings"]["PIPFAST_LINK_MODE"] == "copy"


def test_switched_off_in_the_file(box: Box, index: Index) -> None:
    """pip runs alone."""
    (box.root / "own.conf").write_text("[pipfast]\nenabled = off\n", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "library", PIP_CONFIG_FILE=str(box.root / "own.conf"))
    assert ended.status == 0 and not ended.err
    assert not box.entries()


def test_a_slip_in_the_file_is_said_once(box: Box, index: Index) -> None:
    """With the file's name for it, and the installation goes on."""
    (box.root / "own.conf").write_text("[pipfast]\nconnections = many\n", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "library", PIP_CONFIG_FILE=str(box.root / "own.conf"))
    assert ended.status == 0
    assert ended.err.count("[pipfast] connections is 'many'") == 1


@pytest.mark.parametrize("how", ["option", "variable", "file"])
def test_pip_s_cache_folder_takes_the_store_with_it(box: Box, index: Index, how: str) -> None:
    """What caches the folder that `pip cache dir` prints brings the store along; what pip says of it stays."""
    cache = box.root / "cache"
    variables = {"PIPFAST_STORE": ""}
    arguments: list[str] = []
    if how == "option":
        arguments = ["--cache-dir", str(cache)]
    elif how == "variable":
        variables["PIP_CACHE_DIR"] = str(cache)
    else:
        (box.root / "pip.conf").write_text(f"[global]\ncache-dir = {cache}\n")
        variables["PIP_CONFIG_FILE"] = str(box.root / "pip.conf")
    assert box.pipfast("install", *index.args, *arguments, "app", **variables).status == 0
    assert (cache / "pipfast" / "CACHEDIR.TAG").exists() and not box.store.exists()
    assert not (box.root / "home" / ".cache" / "pipfast").exists()
    path = box.pipfast(*arguments, "store", "path", **variables)
    assert path.out == f"{cache / 'pipfast'}\n", path.err
    for command in ("info", "list", "dir"):
        theirs = box.pip("cache", command, *arguments, **variables)
        assert theirs == box.pipfast("cache", command, *arguments, **variables)
    assert box.pipfast("cache", "purge", *arguments, **variables).status == 0
    assert list((cache / "pipfast").glob("trees-v*/*/*"))


def test_named_store_is_used_where_pip_has_no_cache(box: Box, index: Index) -> None:
    """A container's arbitrary user id: HOME cannot be written, so pip keeps nothing."""
    (box.root / "home").mkdir(exist_ok=True)
    home = box.root / "no-folder"
    home.write_text("")
    ended = box.pipfast("install", *index.args, "app", HOME=str(home))
    assert ended.status == 0, ended.err
    assert list(box.store.glob("trees-v*/*/*"))
    for explicit in ({"PIP_NO_CACHE_DIR": "1"}, {}):
        box.pipfast("store", "purge")
        arguments = [] if explicit else ["--no-cache-dir"]
        ended = box.pipfast("install", "--force-reinstall", *arguments, *index.args, "app", **explicit)
        assert ended.status == 0 and not list(box.store.glob("trees-v*/*/*"))


def test_what_makes_it_slower_is_said_once_a_day(box: Box, index: Index) -> None:
    in_use = box.root / "in-use"
    in_use.mkdir()
    (in_use / "notes.txt").write_text("")
    said = [box.pipfast("install", *index.args, *more, "--force-reinstall", "app", PIPFAST_STORE=str(in_use)).err
            for more in ((), (), ("-q",))]
    assert [text.count("not using the store") for text in said] == [1, 0, 0]
    assert [text.count("hint: ") for text in said] == [1, 0, 0]
    quiet = box.pipfast("install", "-q", *index.args, "--force-reinstall", "app", PIPFAST_STORE=str(box.root))
    assert (quiet.status, quiet.err) == (0, "")
