"""Requirements and specifiers, also those that nobody can read."""

from __future__ import annotations

import pytest

from pipfast.requirements import allows, applies, joined, may_allow, read_requirement


@pytest.mark.parametrize("text", ["./folder", "-r other.txt", "https://host/torch-1.0.tar.gz", ""])
def test_what_is_no_requirement_is_none(text: str) -> None:
    assert read_requirement(text) is None


def test_a_marker_holds_with_an_extra_that_was_asked_for() -> None:
    requirement = read_requirement("torch>=2 ; extra == 'gpu'")
    assert requirement is not None
    assert not applies(requirement.marker)
    assert applies(requirement.marker, ["gpu"])


@pytest.mark.parametrize(("specifiers", "version", "allowed"), [
    (">=1,<2", "1.5", True), (">=1,<2", "2.0", False), ("<2", "2.0rc1", False), (">=2.0rc1", "2.0rc1", True),
    ("what", "1.0", True),
])
def test_a_version_within_specifiers(specifiers: str, version: str, allowed: bool) -> None:
    """Specifiers that cannot be read refuse nothing."""
    assert allows(specifiers, version) is allowed


@pytest.mark.parametrize(("specifiers", "may"), [
    ("", True), ("==99", True), ("==99.*", True), ("~=1.4.2", True), (">1.5,<1.6", True), ("<0.1", True),
    (">=2.0rc1", True), (">2.0rc1,!=3", True), ("===local", True), ("==1.0+cpu", True), ("what", True),
    (">=2,<2", False), ("==1,==2", False), ("<1,>1", False), ("==1.*,>=2", False), ("<0", False),
])
def test_specifiers_that_contradict_each_other(specifiers: str, may: bool) -> None:
    assert may_allow(specifiers) is may


def test_specifiers_are_joined_once_each() -> None:
    assert joined(">=1, <2,,>=1") == ">=1,<2"
