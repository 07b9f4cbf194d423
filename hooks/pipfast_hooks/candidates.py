"""pip's candidates, made when somebody looks at them, and pip's choice among them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pip._internal.models.candidate import InstallationCandidate
from pip._internal.models.link import Link
from pip._vendor.packaging.version import parse as parse_version

from pipfast.index.pages import WHEEL, YANKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipfast.index.pages import PageTable


class PageCandidates:
    """The candidates of one evaluated page, as pip's finder holds them."""

    __slots__ = ("_in_order", "_page_url", "_table", "_versions", "in_page_order", "name", "representatives")

    def __init__(self, name: str, page_url: str, table: PageTable) -> None:
        self.name = name
        self._page_url = page_url
        self._table = table
        self._versions: list[Any] = [None] * len(table.versions)
        self._in_order = [PageCandidate(self, row) for row in range(len(table.rows))]
        by_position = sorted(range(len(table.rows)), key=lambda row: table.rows[row][2])
        self.in_page_order = [self._in_order[row] for row in by_position]
        self.representatives = self._one_of_each_version()

    def _one_of_each_version(self) -> list[PageCandidate]:
        found: dict[int, PageCandidate] = {}
        for candidate, row in zip(self._in_order, self._table.rows, strict=True):
            found.setdefault(row[0], candidate)
        return list(found.values())

    def version(self, row: int) -> Any:
        """Return a file's parsed version."""
        number = self._table.rows[row][0]
        known = self._versions[number]
        if known is None:
            known = self._versions[number] = parse_version(self._table.versions[number])
        return known

    def link(self, row: int) -> Any:
        """Return pip's link to a file."""
        described = json.loads(self._table.files[row])
        if self._table.base is None:
            return Link.from_json(described, self._page_url)
        return Link.from_element(described, page_url=self._page_url, base_url=self._table.base)

    def version_text(self, row: int) -> str:
        """Return a file's version as its name has it."""
        return self._table.versions[self._table.rows[row][0]]

    def of_versions(self, chosen: Iterable[PageCandidate], *, prefer_binary: bool) -> list[PageCandidate]:
        """Return all files of the versions of ``chosen``, in ascending order of preference."""
        rows = self._table.rows
        numbers = {rows[candidate.row][0] for candidate in chosen}
        if len(numbers) == len(self._versions):
            found = list(self._in_order)
        else:
            found = [self._in_order[row] for row, (number, _, _) in enumerate(rows) if number in numbers]
        if prefer_binary:
            # Of the sorting key only this is not a property of the page.
            found.sort(key=lambda candidate: (
                not rows[candidate.row][1] & YANKED, bool(rows[candidate.row][1] & WHEEL)
            ))
        return found


class PageCandidate:
    """Stands for an `InstallationCandidate` until its link is wanted."""

    __slots__ = ("_link", "page", "row")

    locked = False

    def __init__(self, page: PageCandidates, row: int) -> None:
        self.page = page
        self.row = row
        self._link: Any = None

    @property
    def name(self) -> str:
        """Return the project's name."""
        return self.page.name

    @property
    def version(self) -> Any:
        """Return the parsed version."""
        return self.page.version(self.row)

    @property
    def link(self) -> Any:
        """Return pip's link."""
        if self._link is None:
            self._link = self.page.link(self.row)
        return self._link

    @property
    def real(self) -> Any:
        """Return pip's own candidate."""
        return InstallationCandidate(self.page.name, self.page.version_text(self.row), self.link)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PageCandidate):
            return self is other or self.real == other.real
        return bool(self.real == other)

    def __hash__(self) -> int:
        return hash(self.real)

    def __str__(self) -> str:
        return str(self.real)

    __repr__ = __str__


class BestCandidate:
    """What pip's `BestCandidateResult` says, of every pip, without making every candidate."""

    def __init__(self, evaluator: Any, candidates: list[Any], applicable: list[Any]) -> None:
        self._evaluator = evaluator
        self.all_candidates = candidates
        self.applicable_candidates = applicable

    @property
    def best_candidate(self) -> Any:
        """Return the one that pip prefers, or None."""
        return self._evaluator.sort_best_candidate(self.applicable_candidates)

    def iter_all(self) -> Iterator[Any]:
        """Iterate through all candidates."""
        return iter(self.all_candidates)

    def iter_applicable(self) -> Iterator[Any]:
        """Iterate through the applicable candidates."""
        return iter(self.applicable_candidates)


def choose(evaluator: Any, candidates: list[Any]) -> BestCandidate | None:
    """Return pip's choice among candidates of one page; None if they are not, or pip must choose.

    Which versions apply is decided by pip's own filter, asked about one file of each version: it
    looks at nothing else. What remains is the page's order, or pip's own where digests matter.
    """
    page = getattr(candidates[0], "page", None) if candidates else None
    if page is None or len(page.in_page_order) != len(candidates) or candidates[-1] is not page.in_page_order[-1]:
        return None
    hashes, evaluator._hashes = evaluator._hashes, None
    evaluator._sort_key = _no_order
    try:
        chosen = evaluator.get_applicable_candidates(page.representatives)
    finally:
        del evaluator._sort_key
        evaluator._hashes = hashes
    applicable = page.of_versions(chosen, prefer_binary=evaluator._prefer_binary)
    if hashes:
        applicable = evaluator.get_applicable_candidates(_in_page_order(page, applicable))
    return BestCandidate(evaluator, candidates, applicable)


def _no_order(candidate: Any) -> int:
    return 0


def _in_page_order(page: PageCandidates, found: list[PageCandidate]) -> list[PageCandidate]:
    wanted = {candidate.row for candidate in found}
    return [candidate for candidate in page.in_page_order if candidate.row in wanted]
