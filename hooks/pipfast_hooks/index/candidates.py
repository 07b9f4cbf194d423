"""Candidates made on demand, and pip's choice among them."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pip._internal.models.candidate import InstallationCandidate
from pip._internal.models.link import Link
from pip._vendor.packaging.version import parse as parse_version

from pipfast.index.pages import WHEEL, YANKED, PageTable
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Sizes(Part):
    """Bytes of files by address, of links that were made."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.by_address: dict[str, int] = {}

    def of(self, link: Any, unknown: int) -> int:
        """Return the bytes of the file behind pip's link; ``unknown`` if no page told."""
        return self.by_address.get(link.url_without_fragment, unknown)


class PageCandidates:
    """The candidates of one evaluated page, as pip's finder holds them."""

    __slots__ = (
        "_in_order", "_page_url", "_sizes", "_table", "_versions", "in_page_order", "name", "representatives",
    )

    def __init__(self, name: str, page_url: str, table: PageTable, sizes: dict[str, int] | None = None) -> None:
        """:param sizes: gets the bytes of each file whose link is made, by address."""
        self.name = name
        self._page_url = page_url
        self._table = table
        self._sizes = sizes
        self._versions: list[Any] = [None] * len(table.versions)
        self._in_order = [PageCandidate(self, row) for row in range(len(table.rows))]
        by_position = sorted(range(len(table.rows)), key=lambda row: table.rows[row][2])
        self.in_page_order = [self._in_order[row] for row in by_position]
        first: dict[int, PageCandidate] = {}
        for candidate, row in zip(self._in_order, table.rows, strict=True):
            first.setdefault(row[0], candidate)
        self.representatives = list(first.values())
        """One file of each version."""

    @property
    def entries(self) -> Sequence[bytes]:
        """Return what the page says of each file."""
        return self._table.files

    def restricted(self, rows: list[int]) -> PageCandidates:
        """Return the page as if it had these files alone."""
        table = replace(self._table, rows=tuple(self._table.rows[row] for row in rows),
                        files=[self._table.files[row] for row in rows])
        return PageCandidates(self.name, self._page_url, table, self._sizes)

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
            link = Link.from_json(described, self._page_url)
            if self._sizes is not None and link is not None and isinstance(described.get("size"), int):
                self._sizes[link.url_without_fragment] = described["size"]
            return link
        return Link.from_element(described, page_url=self._page_url, base_url=self._table.base)

    def is_yanked(self, row: int) -> bool:
        """Tell whether a file is yanked."""
        return bool(self._table.rows[row][1] & YANKED)

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
    """pip's `BestCandidateResult`, of any version, without a candidate object for each file."""

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
    """Return pip's choice among candidates of pages and files; None if pip must choose.

    Which versions apply is decided by pip's own filter, asked about one file of each version and page: it
    looks at nothing else. What remains is the order of a page, or pip's own where digests matter and where
    several sources have the same version.
    """
    sources = _sources(candidates)
    if sources is None or not any(isinstance(each, PageCandidates) for each in sources):
        return None
    alone = sources[0] if len(sources) == 1 else None
    if alone is None and (evaluator._hashes or evaluator._prefer_binary):
        return None
    hashes, evaluator._hashes = evaluator._hashes, None
    evaluator._sort_key = lambda _: 0
    try:
        chosen = evaluator.get_applicable_candidates(
            [each for source in sources for each in getattr(source, "representatives", (source,))]
        )
    finally:
        del evaluator._sort_key
        evaluator._hashes = hashes
    if alone is None:
        applicable = _merged(evaluator, candidates, sources, chosen)
    else:
        applicable = alone.of_versions(chosen, prefer_binary=evaluator._prefer_binary)
        if hashes:
            wanted = {each.row for each in applicable}
            applicable = evaluator.get_applicable_candidates(
                [each for each in alone.in_page_order if each.row in wanted]
            )
    return BestCandidate(evaluator, candidates, applicable)


def _sources(candidates: list[Any]) -> list[Any] | None:
    """Return the sources of the candidates, in order: whole pages, and single candidates of pip's."""
    sources: list[Any] = []
    position = 0
    while position < len(candidates):
        first = candidates[position]
        page = getattr(first, "page", None)
        size = len(page.in_page_order) if page is not None else 1
        if page is not None and (
            page in sources or first is not page.in_page_order[0]
            or candidates[position + size - 1 : position + size] != page.in_page_order[-1:]
        ):
            return None
        sources.append(first if page is None else page)
        position += size
    return sources


def _merged(evaluator: Any, candidates: list[Any], sources: list[Any], chosen: list[Any]) -> list[Any]:
    """Return the applicable candidates of several sources, in pip's ascending order of preference.

    First comes whether a file is yanked, then its version. Only where both are the same and the sources are
    not, files are looked at one by one.
    """
    applicable = []
    for number, source in enumerate(sources):
        if isinstance(source, PageCandidates):
            of_page = [each for each in chosen if getattr(each, "page", None) is source]
            found = source.of_versions(of_page, prefer_binary=False)
        else:
            found = [source] if any(each is source for each in chosen) else []
        for each in found:
            is_yanked = each.page.is_yanked(each.row) if isinstance(each, PageCandidate) else each.link.is_yanked
            applicable.append(((not is_yanked, each.version), number, each))
    applicable.sort(key=lambda entry: entry[0])
    merged: list[Any] = []
    places: dict[int, int] = {}
    for _, group in itertools.groupby(applicable, key=lambda entry: entry[0]):
        entries = list(group)
        alike = [each for _, _, each in entries]
        if len({number for _, number, _ in entries}) > 1:
            places = places or {id(each): place for place, each in enumerate(candidates)}
            alike.sort(key=lambda each: places[id(each)])
            alike.sort(key=evaluator._sort_key)
        merged += alike
    return merged
