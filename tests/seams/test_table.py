"""The table of seams in itself."""

from __future__ import annotations

import importlib
import inspect
from itertools import pairwise

import pytest

from pipfast.settings import FAMILIES, WITHOUT_HOOKS
from pipfast_hooks.attach import load_wrapper
from pipfast_hooks.seams import NEWEST_TESTED, OLDEST, SEAMS, Seam, Version, parse_version

PIPS: tuple[Version, ...] = (
    (23, 0, 1), (23, 2, 1), (24, 2), (25, 1), (25, 2), (25, 3), (26, 1, 2), (26, 2, 1), (26, 3),
)


def test_each_row_is_of_a_known_family() -> None:
    """A family that ``PIPFAST_DISABLE`` cannot name could not be switched off."""
    assert {seam.family for seam in SEAMS} == set(FAMILIES) - WITHOUT_HOOKS


def test_no_name_has_two_rows_for_one_pip() -> None:
    """Two rows of one family for one name would wrap it twice."""
    for pip in PIPS:
        labels = [(seam.family, seam.label) for seam in SEAMS if seam.fits(pip)]
        assert len(labels) == len(set(labels)), pip


def test_rows_for_one_purpose_follow_each_other() -> None:
    """Of the rows of one module with one wrapper, each begins where the one before it ends."""
    purposes: dict[tuple[str, str], list[Seam]] = {}
    for seam in SEAMS:
        if seam.wrapper:
            purposes.setdefault((seam.module, seam.wrapper), []).append(seam)
    for rows in purposes.values():
        rows.sort(key=lambda seam: seam.since)
        for first, second in pairwise(rows):
            assert first.before == second.since, first.label


@pytest.mark.parametrize("seam", [seam for seam in SEAMS if seam.wrapper], ids=lambda seam: seam.label)
def test_wrapper_exists(seam: Seam) -> None:
    """A wrapper takes a call, or the original that it replaces, and is named for what it is."""
    # As in a run, where pip's commands are imported by then; on 25.1, the modules we import cannot be first.
    importlib.import_module("pip._internal.commands.install")
    wrapper = load_wrapper(seam)
    assert list(inspect.signature(wrapper).parameters) == ["original" if seam.plain else "call"]
    assert wrapper.__name__.startswith("_instead_of_" if seam.plain else "_around_")


def test_needed_rows_stand_above() -> None:
    """Rows are attached from the top: what a row needs has been tried before it."""
    for number, seam in enumerate(SEAMS):
        assert set(seam.needs) <= {above.label for above in SEAMS[:number]}, seam.label


def test_ranges_lie_within_the_supported_pips() -> None:
    """A row that begins before the oldest pip, or after the newest tested one, is never used."""
    for seam in SEAMS:
        assert OLDEST <= seam.since <= NEWEST_TESTED
        assert seam.before is None or seam.since < seam.before <= NEWEST_TESTED


@pytest.mark.parametrize("text, version", [
    ("26.3", (26, 3)), ("26.3.dev0", (26, 3)), ("23.0.1", (23, 0, 1)), ("25.1b1", (25, 1)), ("", ()),
])
def test_pip_version_is_its_release_numbers(text: str, version: Version) -> None:
    """A development version counts as its release, which has its seams."""
    assert parse_version(text) == version
