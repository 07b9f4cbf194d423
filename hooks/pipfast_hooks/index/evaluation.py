"""Judgement of an index page by pip's rules for one interpreter.

Answers that depend on a part of a file's name only (the tags, the version, ``Requires-Python``) are pip's own for
the first file that has that part; a file whose name or address is not of the plain kind is judged by pip's own
code.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import InvalidWheelFilename
from pip._internal.index.collector import HTMLLinkParser
from pip._internal.index.package_finder import LinkType
from pip._internal.models.candidate import InstallationCandidate
from pip._internal.models.link import Link
from pip._internal.models.wheel import Wheel
from pip._internal.utils.misc import splitext
from pip._internal.utils.unpacking import SUPPORTED_EXTENSIONS
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import InvalidVersion
from pip._vendor.packaging.version import parse as parse_version

from pipfast.index.pages import WHEEL, YANKED, PageTable
from pipfast_hooks.output import records

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN_URL = re.compile(r"(?:https?://[A-Za-z0-9.-]+(?::[0-9]+)?|(?:\.\.)?)(?:/[A-Za-z0-9_.~-]+)+")
"""Addresses that need no quoting and have no query: relative to the page, or complete."""

_DIGEST_FRAGMENT = re.compile(r"#sha256=[0-9a-f]{64}\Z")

_PLAIN_VERSION = re.compile(
    r"[0-9]{1,9}(?:\.[0-9]{1,9})*(?:(?:a|b|rc)[0-9]{1,9})?(?:\.post[0-9]{1,9})?(?:\.dev[0-9]{1,9})?"
)
"""Versions in the version specifiers specification's normal form, but for leading zeros."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

_JSON = "application/vnd.pypi.simple.v1+json"

_NOT_READ = ("filename", "provenance", "gpg-sig")
"""Facts about a file that neither pip's links nor we need."""


class OddPage(Exception):
    """A page that is left to pip's code, whole."""


class Warned(logging.Handler):
    """Notes whether pip warns meanwhile: a page with a warning is judged anew each time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.any = False

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        self.any = True

    def __enter__(self) -> Warned:
        """Begin to listen."""
        logging.getLogger("pip").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        logging.getLogger("pip").removeHandler(self)


class Judge:
    """pip's answers for one interpreter and one run; shared by all projects with the same options."""

    def __init__(self, tags: list[Any]) -> None:
        self._tags = frozenset(tags)
        self.fits = functools.cache(self._fits)
        """Tells whether a wheel with these three tags (``cp311-cp311-linux_x86_64``) can be installed."""
        self._preference: dict[str, tuple[Any, ...]] = {}
        self._python: dict[tuple[Any, ...], str | None] = {}

    def _fits(self, tags: str) -> bool:
        try:
            return bool(Wheel(f"x-1-{tags}.whl").supported(self._tags))
        except InvalidWheelFilename:
            return False

    def preference(self, tags: str, evaluator: Any) -> tuple[Any, ...]:
        """Return the last parts of pip's sorting key: how well the tags fit, and the build tag."""
        if tags not in self._preference:
            link = Link(f"https://x/x-1-{tags}.whl" if tags else "https://x/x-1.tar.gz")
            self._preference[tags] = evaluator._sort_key(InstallationCandidate("x", "1", link))[4:]
        return self._preference[tags]

    def other_python(self, requires: str, evaluator: Any) -> str | None:
        """Return pip's objection to a file with this ``Requires-Python``, or None."""
        key = (requires, evaluator._target_python.py_version_info, evaluator._ignore_requires_python)
        if key not in self._python:
            link = Link(f"https://x/{evaluator._canonical_name}-1.tar.gz", requires_python=requires)
            probe = type(evaluator)(
                project_name=evaluator._canonical_name, canonical_name=evaluator._canonical_name,
                formats=frozenset({"binary", "source"}), target_python=evaluator._target_python,
                allow_yanked=True, ignore_requires_python=evaluator._ignore_requires_python,
            )
            # With -v pip tells of the link that it objects to.
            with records.held_back([]):
                result, detail = probe.evaluate_link(link)
            self._python[key] = None if result == LinkType.candidate else detail.removeprefix("1 ")
        return self._python[key]


class PageEvaluation:
    """One page for one project."""

    def __init__(self, judge: Judge, link_evaluator: Any, candidate_evaluator: Any) -> None:
        self._judge = judge
        self._links = link_evaluator
        self._candidates = candidate_evaluator
        self._is_own_name = functools.cache(self._is_plain_own_name)
        self._wheel_version = functools.cache(lambda version: str(Wheel(f"x-{version}-py3-none-any.whl").version))
        self._parse = functools.cache(parse_version)
        self._rejected: set[str] = set()
        self._left_to_pip: set[str] = set()

    def table(self, page: Any) -> PageTable:
        """Judge all files of a page. Raises OddPage: pip's own code must do it."""
        base = None
        if page.content_type.lower().startswith(_JSON):
            files = json.loads(page.content).get("files", [])
            described = self._from_json(files, page.url)
        else:
            parser = HTMLLinkParser(page.url)
            parser.feed(page.content.decode(page.encoding or "utf-8"))
            base = parser.base_url or page.url
            described = self._from_anchors(parser.anchors, page.url, base)
        rows = sorted(described, key=itemgetter(2))
        versions = {version: number for number, version in enumerate(dict.fromkeys(row[0] for row in rows))}
        return PageTable(
            tuple(versions), tuple((versions[row[0]], row[1], row[3]) for row in rows),
            [json.dumps(row[4], separators=(",", ":")).encode("ascii") for row in rows],
            tuple(sorted(self._rejected)), base,
        )

    def _from_json(self, files: list[dict[str, Any]], page_url: str) -> Iterator[tuple[Any, ...]]:
        seen: set[str] = set()
        for position, file in enumerate(files):
            url = file.get("url")
            if url in seen:
                continue
            judged = None
            if isinstance(url, str):
                seen.add(url)
                judged = self._plain(url, file.get("requires-python"), bool(file.get("yanked")))
            if judged is None:
                judged = self._by_pip(Link.from_json(file, page_url))
            if judged:
                kept = {name: value for name, value in file.items() if name not in _NOT_READ}
                yield (*judged, position, kept)

    def _from_anchors(
        self, anchors: list[dict[str, str | None]], page_url: str, base_url: str
    ) -> Iterator[tuple[Any, ...]]:
        seen: set[str] = set()
        for position, anchor in enumerate(anchors):
            href = anchor.get("href")
            if not href or href in seen:
                continue
            seen.add(href)
            judged = self._plain(
                _DIGEST_FRAGMENT.sub("", href), anchor.get("data-requires-python"),
                anchor.get("data-yanked") is not None,
            )
            if judged is None:
                judged = self._by_pip(Link.from_element(anchor, page_url=page_url, base_url=base_url))
            if judged:
                yield (*judged, position, anchor)

    def _plain(self, url: str, requires: object, yanked: bool) -> tuple[Any, ...] | None:
        """Judge a file of the plain kind: (version, flags, key), or () against it, or None for pip."""
        if _PLAIN_URL.fullmatch(url) is None or "macosx10" in url:
            return None
        filename = url.rpartition("/")[2]
        if filename.endswith(".whl"):
            # Not packaging's `parse_wheel_filename`: it takes 10 µs a file, and pages have thousands.
            parts = filename[:-4].split("-")
            if len(parts) != 5:
                return None
            name, version, tags = parts[0], parts[1], "-".join(parts[2:])
            if not self._judge.fits(tags):
                return ()
        else:
            stem, extension = splitext(filename)
            if extension not in SUPPORTED_EXTENSIONS:
                return ()
            name, _, version = stem.rpartition("-")
            tags = ""
        is_plain = self._is_own_name(name) and _PLAIN_VERSION.fullmatch(version) is not None
        if not is_plain or (requires and not isinstance(requires, str)):
            return None
        if (yanked and not self._links._allow_yanked) or (
            ("binary" if tags else "source") not in self._links._formats
        ):
            return ()
        if tags:
            version = self._wheel_version(version)
        against = self._judge.other_python(requires, self._links) if isinstance(requires, str) else None
        if against is not None:
            self._rejected.add(f"{version} {against}")
            return ()
        flags = (YANKED if yanked else 0) | (WHEEL if tags else 0)
        return version, flags, (-yanked, self._parse(version), *self._judge.preference(tags, self._candidates))

    def _is_plain_own_name(self, name: str) -> bool:
        return bool(_PLAIN_NAME.fullmatch(name)) and canonicalize_name(name) == self._links._canonical_name

    def _by_pip(self, link: Any) -> tuple[Any, ...]:
        if link is None:
            return ()
        if link.egg_fragment:
            raise OddPage("a link with an egg fragment")
        if link.url in self._left_to_pip:
            return ()
        self._left_to_pip.add(link.url)
        result, detail = self._links.evaluate_link(link)
        if result != LinkType.candidate:
            if result == LinkType.requires_python_mismatch:
                self._rejected.add(detail)
            return ()
        try:
            candidate = InstallationCandidate(self._links.project_name, detail, link)
        except InvalidVersion:
            return ()
        key = self._candidates._sort_key(candidate)
        flags = (YANKED if link.is_yanked else 0) | (WHEEL if link.is_wheel else 0)
        return detail, flags, (key[1], *key[3:])
