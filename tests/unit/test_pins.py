"""Pins of what the tests install: all that is asked for, with hashes."""

from __future__ import annotations

from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.house import CHECKOUT


def pins(name: str) -> list[tuple[Requirement, int]]:
    """Return a file's requirements, each with the number of its hashes."""
    text = (CHECKOUT / "tests" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = line.split(" --hash=sha256:")
            found.append((Requirement(requirement), len(hashes)))
    return found


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": "test"})


@pytest.mark.parametrize("name", ["requirements.txt", "checks.txt"])
def test_each_is_one_version_with_hashes(name: str) -> None:
    for requirement, hashes in pins(name):
        assert [each.operator for each in requirement.specifier] == ["=="]
        assert hashes, requirement.name


def test_what_the_extra_asks_for_is_pinned() -> None:
    pinned = {
        canonicalize_name(each.name): next(iter(each.specifier)).version
        for each, _ in pins("requirements.txt") if applies(each)
    }
    asked = [Requirement(each) for each in requires("pipfast") or () if "extra" in each]
    for requirement in asked:
        if applies(requirement):
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement.name
