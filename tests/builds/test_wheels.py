"""What was built once is not built again, nor handed out against another torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.program import make_box

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box, Ended


def another(box: Box, name: str) -> Box:
    """Return a fresh environment with the first one's store and pip cache."""
    made = make_box(box.root / name)
    return type(box)(made.root, {"PIPFAST_STORE": str(box.store), "HOME": str(box.root / "home")})


def install(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    """Install from the index; it succeeds."""
    ended = box.pipfast("install", *index.args, *arguments, **variables)
    assert ended.status == 0, ended.err
    return ended


def seen(box: Box) -> str:
    """Return the torch that needy was built against."""
    return (box.site_packages / "needy" / "seen.txt").read_text(encoding="utf-8")


@pytest.mark.once
def test_second_environment_gets_the_wheel(box: Box, index: Index) -> None:
    """The source is known: nothing is built, and nothing needs to be said."""
    install(box, index, "torch==1.0", "needy")
    second = another(box, "second")
    ended = install(second, index, "torch==1.0", "needy")
    assert seen(second) == "1.0"
    assert "Building wheel for needy (" not in ended.out
    assert "error" not in ended.out
    assert ended.err == ""


@pytest.mark.once
def test_wheel_is_the_same_beside_a_torch_that_is_there_and_one_that_is_to_come(box: Box, index: Index) -> None:
    """What counts is what torch consists of, not whether it is in the environment already."""
    install(box, index, "torch==1.0")
    install(box, index, "needy")
    second = another(box, "second")
    ended = install(second, index, "torch==1.0", "needy")
    assert seen(second) == "1.0"
    assert "Building wheel for needy (" not in ended.out
    third = another(box, "third")
    install(third, index, "torch==1.0")
    ended = install(third, index, "needy")
    assert "Building wheel for needy (" not in ended.out


def test_another_torch_has_it_built_again_and_the_first_one_finds_it(box: Box, index: Index) -> None:
    """Upgrade and reinstall: rebuilt; back again: from the cache. pip's own cache has nothing of it."""
    install(box, index, "torch==1.0", "needy")
    install(box, index, "torch==2.0")
    ended = install(box, index, "--force-reinstall", "--no-deps", "needy")
    assert seen(box) == "2.0"
    assert "Building wheel for needy (" in ended.out
    install(box, index, "torch==1.0")
    ended = install(box, index, "--force-reinstall", "--no-deps", "needy")
    assert seen(box) == "1.0"
    assert "Building wheel for needy (" not in ended.out
    assert "needy" not in box.pip("cache", "list").out


@pytest.mark.once
def test_run_that_upgrades_builds_against_the_new_one(box: Box, index: Index) -> None:
    """What counts is what is there afterwards, not what was there when the metadata was asked for."""
    install(box, index, "torch==1.0")
    install(box, index, "--upgrade", "torch", "needy")
    assert (box.site_packages / "torch-2.0.dist-info").is_dir()
    assert seen(box) == "2.0"


@pytest.mark.once
def test_variables_that_steer_builds_are_part_of_the_key(box: Box, index: Index) -> None:
    """A wheel that was built with other flags is another wheel."""
    install(box, index, "torch==1.0", "needy")
    ended = install(box, index, "--force-reinstall", "--no-deps", "needy", FLASH_ATTENTION_FORCE_BUILD="TRUE")
    assert "Building wheel for needy (" in ended.out


@pytest.mark.once
def test_store_lists_what_was_built(box: Box, index: Index) -> None:
    """``store list --built`` names the wheel and what it was built against."""
    install(box, index, "torch==1.0", "needy")
    out = box.pipfast("store", "list", "--built").out
    assert "needy-1.0-py3-none-any.whl" in out
    assert "torch 1.0" in out
    assert box.pipfast("store", "verify").status == 0


@pytest.mark.once
def test_upgrade_that_leaves_a_package_behind_is_named(box: Box, index: Index) -> None:
    """needy goes on standing beside a torch that it was not built against: a warning, and a row in doctor."""
    install(box, index, "torch==1.0", "needy")
    assert "needy" not in box.pipfast("doctor").out
    ended = install(box, index, "torch==2.0")
    assert "needy" in ended.err and "torch 1.0" in ended.err
    assert "needy 1.0 was built against torch 1.0" in box.pipfast("doctor").out


@pytest.mark.once
def test_nothing_is_kept_without_a_cache(box: Box, index: Index) -> None:
    """Under ``--no-cache-dir`` the build is rescued, and forgotten."""
    install(box, index, "--no-cache-dir", "torch==1.0", "needy")
    assert seen(box) == "1.0"
    assert not list(box.store.glob("built-v*/*/*"))


@pytest.mark.once
def test_builds_without_isolation_by_choice(box: Box, index: Index) -> None:
    """Their wheels are kept with all that was there; pip's cache would hand them out beside anything."""
    install(box, index, "torch==1.0")
    arguments = ("--no-build-isolation", "--no-deps", "--force-reinstall", "needy")
    assert "Building wheel for needy (" in install(box, index, *arguments).out
    assert "needy" not in box.pip("cache", "list").out
    install(box, index, "torch==2.0")
    assert "Building wheel for needy (" in install(box, index, *arguments).out
    assert seen(box) == "2.0"
    second = another(box, "second")
    install(second, index, "torch==1.0")
    install(second, index, "--no-deps", "needy")
    ended = install(second, index, *arguments)
    assert seen(second) == "1.0"
    again = install(second, index, *arguments)
    assert "Building wheel for needy (" not in again.out, ended.out
    assert again.err == ""
