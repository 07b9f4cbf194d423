"""What is kept comes first (``PIPFAST_OFFLINE=prefer``): the answers are pip's while the index stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.index import Manners
from support.twin import pip
from support.wheels import Wheel, sdist, wheel

if TYPE_CHECKING:
    from support.index import Index
    from support.twin import Twins

PREFER = {"PIPFAST_OFFLINE": "prefer"}


@pytest.fixture
def index(twins: Twins) -> Index:
    index = twins.server.index(manners=Manners(cache_control="no-cache"))
    index.add(wheel("demo", "1.0"), wheel("demo", "2.0", "leaf>=1"), sdist("demo", "3.0", "leaf>9"))
    index.add(Wheel("demo", "4.0", requires_python="<3").build(), wheel("demo", "5.0rc1"))
    return index.add(wheel("leaf", "0.9"), wheel("leaf", "1.5"))


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("install", ["demo"]), ("install", ["demo<2", "leaf<1"]), ("install", ["--pre", "--no-deps", "demo"]),
        ("download", ["-d", "got", "demo"]), ("install", ["--dry-run", "demo"]),
    ],
    ids=["install", "older", "pre", "download", "dry-run"],
)
def test_a_command_is_as_under_pip(twins: Twins, index: Index, command: str, options: list[str]) -> None:
    """Cold, where the network is asked, and warm, where it need not be."""
    twins.agree(pip(command, *index.args, "--only-binary", ":all:", *options), environ=PREFER, kept=True)


def test_what_is_on_no_index_is_missing_as_under_pip(twins: Twins, index: Index) -> None:
    """Both ask, and ours adds that kept pages decided."""
    twins.agree(
        pip("install", *index.args, "nowhere", fails=True), pip("install", *index.args, "demo==7", fails=True),
        environ=PREFER, kept=True, notes=True,
    )
