"""Rescued wheels are not built again, nor handed out against another torch."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.program import make_box

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box, Ended

pytestmark = pytest.mark.many


def another(box: Box, name: str) -> Box:
    """Return a fresh environment with the first one's store and pip cache."""
    made = make_box(box.root / name)
    return type(box)(made.root, {"PIPFAST_STORE": str(box.store), "HOME": str(box.root / "home")})


def install(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    """Install from the index; it succeeds."""
    ended = box.pipfast("install", *index.args, *arguments, **variables)
    assert ended.status == 0, ended.err
    return ended


def seen(box: Box, package: str = "needy") -> str:
    """Return the torch that a package was built against."""
    return (box.site_packages / package / "seen.txt").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("package", ["needy", "late"])
def test_another_torch_has_it_built_again_and_the_first_one_finds_it(box: Box, index: Index, package: str) -> None:
    """Upgrade and reinstall: rebuilt; back again: from the store. pip's own cache has nothing of it."""
    install(box, index, "torch==1.0", package)
    assert package not in cached(box)
    install(box, index, "torch==2.0")
    ended = install(box, index, "--force-reinstall", "--no-deps", package)
    assert seen(box, package) == "2.0"
    assert f"Building wheel for {package} (" in ended.out
    install(box, index, "torch==1.0")
    ended = install(box, index, "--force-reinstall", "--no-deps", package)
    assert seen(box, package) == "1.0"
    assert f"Building wheel for {package} (" not in ended.out
    assert package not in cached(box)
    assert not list((box.root / "home").rglob(f"{package}-*.whl"))


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
    hint = "install --force-reinstall --no-deps needy==1.0"
    assert ended.err == (
        "pipfast: needy 1.0 was built against torch 1.0, and 2.0 is here\n"
        f"hint: build it again:\n  pipfast {hint}\n"
    )
    assert "needy 1.0 was built against torch 1.0" in box.pipfast("doctor").out
    install(box, index, *hint.split()[1:])
    assert seen(box) == "2.0"


@pytest.mark.once
def test_nothing_is_kept_without_a_cache(box: Box, index: Index) -> None:
    """Under ``--no-cache-dir`` the build is rescued, and forgotten."""
    install(box, index, "--no-cache-dir", "torch==1.0", "needy")
    assert seen(box) == "1.0"
    assert not list(box.store.glob("built-v*/*/*"))


OPEN = ("--no-build-isolation", "--no-deps", "--force-reinstall", "needy")


def cached(box: Box) -> str:
    """Return what pip itself lists of its cache."""
    return box.pip("cache", "list").out


def test_builds_without_isolation_by_choice_go_into_pips_cache(box: Box, index: Index) -> None:
    """As pip puts them there, standard output and all; the second time it is the cached wheel, as under pip."""
    own = {"PIP_CACHE_DIR": str(box.root / "pips")}
    install(box, index, "torch==1.0")
    for number in "12":
        arguments = ("wheel", *index.args, "--no-build-isolation", "--no-deps", "-w", f"{number}/pips", "needy")
        pip, ended = box.pip(*arguments, **own), box.pipfast(*(each.removesuffix("/pips") for each in arguments))
        assert pip.status == ended.status == 0
        assert without_places(ended.out) == without_places(pip.out)
        assert ended.err == ""
    assert "needy-1.0-py3-none-any.whl" in cached(box)
    assert "built against" not in box.pipfast("doctor").out


def without_places(out: str) -> str:
    """Return standard output without digests and the folders of caches and temporary files."""
    return re.sub(r"Saved \S+|sha256=\w+|/\S+/(pips|pip)/wheels|pip-ephem-wheel-cache-\w+|size=\d+", "", out)


def test_cached_wheel_is_passed_over_beside_another_torch(box: Box, index: Index) -> None:
    """One line says why; then the cache has the new one. What was installed besides is no matter."""
    install(box, index, "torch==1.0")
    install(box, index, *OPEN)
    install(box, index, "late", "torch==2.0")
    ended = install(box, index, *OPEN)
    assert seen(box) == "2.0"
    line = "pipfast: needy 1.0 in pip's cache was built against torch 1.0, and 2.0 is here: building it again\n"
    assert ended.err.count(line) == 1
    assert "Stored in directory" in ended.out
    assert install(box, index, *OPEN).err == ""
    install(box, index, "torch==1.0")
    assert "needy 1.0 was built against torch 2.0, and 1.0 is here" in box.pipfast("doctor").out


@pytest.mark.parametrize("package", ["needy", "late"])
def test_cached_wheel_is_taken_where_it_cannot_be_built_again(box: Box, index: Index, package: str) -> None:
    """pip succeeds with it; needy fails when its metadata is asked for, late in the end."""
    arguments = (*OPEN[:-1], package)
    install(box, index, "torch==1.0")
    install(box, index, *arguments)
    install(box, index, "torch==2.0")
    (box.work / "broken").mkdir()
    (box.work / "broken" / "torch.py").write_text("raise SystemExit('no')\n", encoding="utf-8")
    ended = install(box, index, *arguments, PYTHONPATH=str(box.work / "broken"))
    assert (box.site_packages / package / "seen.txt").read_text(encoding="utf-8") == "1.0"
    line = f"pipfast: {package}-1.0-py3-none-any.whl of pip's cache is taken, which pip alone would have taken: "
    assert ended.err.count(line) == 1
    assert install(box, index, *arguments).err.count("building it again") == 1


@pytest.mark.once
def test_cached_wheel_is_pips_to_hand_out(box: Box, index: Index) -> None:
    """Where torch is not there at all, where no build could do better, and where it is another file."""
    install(box, index, "torch==1.0")
    install(box, index, *OPEN)
    fresh = another(box, "fresh")
    assert "Building wheel for needy (" not in install(fresh, index, *OPEN).out
    assert seen(fresh) == "1.0"
    other = another(box, "other")
    install(other, index, "torch==2.0")
    ended = install(other, index, "--no-deps", "needy", PIPFAST_BUILD_RESCUE="off")
    assert "building it again" not in ended.err and seen(other) == "1.0"
    install(box, index, "torch==2.0")
    wheel = next((box.root / "home").rglob("needy-1.0-*.whl"))
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.comment = b"another file"
    assert "building it again" not in install(box, index, *OPEN).err
    assert seen(box) == "1.0"


@pytest.mark.once
def test_rescued_builds_without_isolation_stay_out_of_pips_cache(box: Box, index: Index) -> None:
    """What pip could not have built is not in its cache, whatever the user wished."""
    (box.work / "constraints.txt").write_text("torch==1.0\n", encoding="utf-8")
    install(box, index, "-c", "constraints.txt", *OPEN)
    assert seen(box) == "1.0"
    assert "needy" not in cached(box)
