"""Notes about a resolution: empty, warm, stale, damaged, of another version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.damage import DAMAGES
from support.index import Manners
from support.twin import pip, stock
from support.wheels import Wheel, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.environments import Places
    from support.index import Index
    from support.twin import Twins


def filled(index: Index) -> Index:
    index.add(wheel("demo", "1.0"), wheel("demo", "2.0", "leaf>=1"), sdist("demo", "3.0", "leaf>9"))
    return index.add(wheel("leaf", "0.9"), wheel("leaf", "1.5"))


@pytest.mark.parametrize("pages", ["json", "html"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_entries_are_made_again(
    twins: Twins, damage: Callable[[Places], None], pages: str
) -> None:
    """Nothing of them is believed and nothing is said of them."""
    index = filled(twins.server.index(manners=Manners(pages="json" if pages == "json" else "html")))
    twins.agree(
        pip("install", *index.args, "--only-binary", ":all:", "demo"),
        pip("install", *index.args, "--only-binary", ":all:", "demo==7", fails=True),
        between=damage, installed={"demo": "2.0", "leaf": "1.5"},
    )


@pytest.mark.parametrize("cache_control", ["max-age=600", "no-cache", None, "max-age=0, must-revalidate"])
def test_an_index_that_has_changed(twins: Twins, cache_control: str | None) -> None:
    """What is kept counts for as long as pip's own cache says; then the new page is what pip gets."""
    index = filled(twins.server.index(manners=Manners(cache_control=cache_control)))
    twins.agree(
        pip("install", *index.args, "--only-binary", ":all:", "demo"),
        between=lambda places: index.add(wheel("demo", "2.5")), installed={"demo": "2.0", "leaf": "1.5"},
    )


@pytest.mark.parametrize("change", ["truncated", "other-bytes"])
def test_damaged_cache_of_pips(twins: Twins, change: str) -> None:
    """Whatever this pip makes of a damaged page in its own cache."""
    index = filled(twins.server.index())

    def damage(places: Places) -> None:
        for path in places.cache.rglob("*.body"):
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2] if change == "truncated" else b"x" * len(content))

    twins.agree(
        pip("install", *index.args, "--only-binary", ":all:", "demo", fails=None), prepare=damage,
    )


def test_other_options_are_other_entries(twins: Twins) -> None:
    """Each way to judge one page has its own entry; none is taken for another's."""
    index = filled(twins.server.index())
    index.add(Wheel("demo", "4.0", requires_python="<3").build(), wheel("demo", "5.0rc1"))
    twins.agree(
        pip("install", *index.args, "--dry-run", "--only-binary", ":all:", "demo"),
        pip("install", *index.args, "--dry-run", "--only-binary", ":all:", "--pre", "demo"),
        pip("install", *index.args, "--dry-run", "--only-binary", ":all:", "--ignore-requires-python", "demo"),
        pip("install", *index.args, "--dry-run", "--only-binary", ":all:", "demo<2"),
    )


@pytest.mark.parametrize("cached", [True, False])
def test_server_that_gives_no_lengths(twins: Twins, cached: bool) -> None:
    """Where pip is not told a size, none is said, whether the store has the file or not."""
    index = filled(twins.server.index(manners=Manners(lengths=False)))
    # pip caches nothing that comes over plain HTTP from elsewhere than a trusted host.
    trusted = ("--trusted-host", "127.0.0.1") if cached else ()
    command = ("download", *index.args, *trusted, "--no-deps", "leaf")
    twins.agree(pip(*command), pip(*command, "--dest", "again"))


def test_archive_that_pip_has_cached_before(twins: Twins) -> None:
    """It is out of pip's cache that pip would take it the next time, too."""
    index = filled(twins.server.index())
    command = ("download", *index.args, "--trusted-host", "127.0.0.1", "--no-deps", "leaf", "--dest")
    twins.agree(stock(*command, "a"), pip(*command, "b"), pip(*command, "c"))


def test_metadata_that_came_ahead(twins: Twins) -> None:
    """What this run has put into pip's cache is not what pip would have found there."""
    index = filled(twins.server.index())
    index.add(wheel("other"), wheel("third"))
    # Meanwhile all the others come.
    twins.server.delay("a/files/leaf-1.5-py3-none-any.whl.metadata", 0.5)
    twins.agree(pip("install", *index.args, "--trusted-host", "127.0.0.1", "leaf", "demo<3", "other", "third"))
