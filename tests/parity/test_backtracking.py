"""Where the resolver goes back: pip's answer, pip's words, and no trace of what was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.index import Manners
from support.twin import pip
from support.wheels import Wheel, sdist, wheel

if TYPE_CHECKING:
    from support.index import Index
    from support.twin import Twins
    from support.wheels import Archive


def versions(name: str, count: int, *requires: str) -> list[Archive]:
    """Return wheels of versions 1.0, 2.0, …; ``{}`` in a requirement is the wheel's own number."""
    return [wheel(name, f"{number}.0", *(each.format(number) for each in requires))
            for number in range(1, count + 1)]


def far_back(index: Index) -> None:
    """Only the oldest of eight versions fits what is asked for beside it."""
    index.add(*versions("deep", 8, "shared=={}.0"), *versions("shared", 8), wheel("keeper", "1.0", "shared<2"))


def two_ways(index: Index) -> None:
    """Each of two projects is tried back and forth until their versions of a third one meet."""
    index.add(*versions("left", 5, "middle>={}.0"), *versions("right", 5, "middle<{}.0"), *versions("middle", 5))


def below(index: Index) -> None:
    """The conflict is three steps below what was asked for."""
    index.add(wheel("top", "1.0", "second"), *versions("second", 4, "third>={}.0"),
              *versions("third", 4, "base=={}.0"), *versions("base", 4), wheel("other", "1.0", "base<3"))


def sources(index: Index) -> None:
    """Of the versions that are tried some have to be built to be known."""
    index.add(sdist("built", "3.0", "shared>3"), sdist("built", "2.0", "shared>2"),
              wheel("built", "1.0", "shared"), *versions("shared", 2))


def extras(index: Index) -> None:
    """What an extra requires sends the resolver back."""
    index.add(*(Wheel("plain", f"{number}.0", extras={"more": [f"helper>={number}.0"]}).build()
                for number in range(1, 5)),
              *versions("helper", 4))


CASES = {
    "far-back": (far_back, ["deep", "keeper"], {"deep": "1.0", "shared": "1.0"}),
    "two-ways": (two_ways, ["left", "right"], {"left": "4.0", "right": "5.0", "middle": "4.0"}),
    "below": (below, ["top", "other"], {"second": "2.0", "third": "2.0", "base": "2.0"}),
    "sources": (sources, ["built"], {"built": "1.0", "shared": "2.0"}),
    "extras": (extras, ["plain[more]", "helper<3"], {"plain": "2.0", "helper": "2.0"}),
}


@pytest.mark.parametrize("core_metadata", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_the_way_back(twins: Twins, case: str, core_metadata: bool) -> None:
    """Whether metadata comes alone or in archives; none is fetched more often than by pip."""
    fill, wanted, installed = CASES[case]
    index = twins.server.index(manners=Manners(core_metadata=core_metadata))
    fill(index)
    twins.agree(pip("install", *index.args, *wanted), installed=installed, stock_once=True)


def chain(index: Index) -> None:
    index.add(*versions("first", 4, "second=={}.0"), *versions("second", 4, "third=={}.0"), *versions("third", 4),
              wheel("against", "1.0", "third>9"))


def nobody(index: Index) -> None:
    index.add(*versions("first", 4, "absent>={}.0"))


def circle(index: Index) -> None:
    index.add(*versions("first", 3, "second=={}.0"), *versions("second", 3, "first>{}.0"))


@pytest.mark.parametrize(("fill", "wanted"), [
    (chain, ["first", "against"]), (nobody, ["first"]), (circle, ["first"]),
    (two_ways, ["left>4", "right<4"]), (far_back, ["deep>1", "keeper"]),
], ids=["chain", "nobody", "circle", "two-ways", "far-back"])
def test_no_way(twins: Twins, fill: object, wanted: list[str]) -> None:
    """pip's whole explanation, and nothing installed."""
    index = twins.server.index()
    assert callable(fill)
    fill(index)
    twins.agree(pip("install", *index.args, *wanted, fails=True), stock_once=True)
