"""Our answers about a page are this pip's, file by file and choice by choice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pip._internal.exceptions import InvalidWheelFilename
from pip._internal.index.collector import IndexContent, LinkCollector, parse_links
from pip._internal.index.package_finder import PackageFinder
from pip._internal.models.format_control import FormatControl
from pip._internal.models.search_scope import SearchScope
from pip._internal.models.selection_prefs import SelectionPreferences
from pip._internal.models.target_python import TargetPython
from pip._internal.network.session import PipSession
from pip._internal.utils.hashes import Hashes
from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
from pip._vendor.packaging.version import InvalidVersion

from pipfast.settings import Settings
from pipfast_hooks.index.candidates import PageCandidates, choose
from pipfast_hooks.index.evaluation import OddPage, PageEvaluation
from pipfast_hooks.index.finder import EvaluatedPages
from pipfast_hooks.run import Run

if TYPE_CHECKING:
    from pipfast.index.pages import PageTable

# Older pips use what they say is deprecated: versions that are any text, and pkg_resources.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PAGE = "https://index.test/simple/proj-ect/"
NAMES = ("proj-ect", "proj_ect", "Proj.Ect", "proj", "proj-ect-2", "pröject", "proj--ect")
VERSIONS = (
    "1.0", "1.00", "2.0rc1", "2.0.post1", "3!1.0", "1.0+cpu", "1.0.dev3", "v1.0", "1_0", "01.2", "2.0-1", "",
    "junk", "1.0-py2.7", "10.0", "9.0a1",
)
TAGS = (
    "py3-none-any", "py2-none-any", "py2.py3-none-any", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp39-abi3-manylinux_2_17_x86_64", "cp310-cp310-linux_x86_64", "cp312-cp312-manylinux_2_17_x86_64",
    "cp313-cp313-win_amd64", "py3-none-manylinux2014_x86_64", "none-any", "3-py3-none-any", "3b-py3-none-any",
    "macosx10", "cp311-cp311-macosx10_9_x86_64",
)
SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".egg", ".exe", ".tar.xz", ".TAR.GZ", ".whl", "")
PLACES = (
    "https://files.test/a/b/", "../../files/", "/files/", "https://u:p@files.test/", "https://files.test/a%20b/",
    "https://files.test/x y/", "files/",
)
ENDS = ("", "", "", "#sha256=" + "ab" * 32, "?token=1", "#egg=proj-ect", "#sha512=00")
PYTHONS = (None, "", ">=3.6", "<3", "==3.11.*", ">=2.7,!=3.0.*", "nonsense", ">=4")
SPECIFIERS = (
    "", ">=1.0", "<2", "==1.0", "===1.0", "!=1.0", ">=2.0rc1", "==2.*", "~=1.0", ">99", ">=9.0a0", "==1.0+cpu",
)

FILES: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    place=st.sampled_from(PLACES), name=st.sampled_from(NAMES), version=st.sampled_from(VERSIONS),
    kind=st.one_of(st.sampled_from(TAGS).map(lambda tags: f"-{tags}.whl"), st.sampled_from(SUFFIXES)),
    end=st.sampled_from(ENDS), python=st.sampled_from(PYTHONS),
    yanked=st.sampled_from((None, False, True, "", "bad")),
    digest=st.sampled_from((None, "ab" * 32, "cd" * 32)),
)
OPTIONS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    yanked=st.booleans(), prefer_binary=st.booleans(), ignore_python=st.booleans(),
    formats=st.sampled_from(((), (":all:", ""), ("", ":all:"))),
    python=st.sampled_from((None, (3, 9, 0), (2, 7, 18))),
)


def url(file: dict[str, Any]) -> str:
    return f"{file['place']}{file['name']}-{file['version']}{file['kind']}{file['end']}"


def as_json(files: list[dict[str, Any]]) -> IndexContent:
    described = []
    for file in files:
        entry: dict[str, Any] = {"url": url(file), "size": 1, "hashes": {}}
        if file["digest"]:
            entry["hashes"] = {"sha256": file["digest"]}
        if file["python"] is not None:
            entry["requires-python"] = file["python"]
        if file["yanked"] is not None:
            entry["yanked"] = file["yanked"]
        described.append(entry)
    return IndexContent(
        json.dumps({"files": [*described, {"filename": "no address"}]}).encode(),
        "application/vnd.pypi.simple.v1+json", None, PAGE, cache_link_parsing=False,
    )


def as_html(files: list[dict[str, Any]]) -> IndexContent:
    lines = ["<html><head><base href='https://base.test/x/'></head><a name='nothing'>"]
    for file in files:
        python = "" if file["python"] is None else f' data-requires-python="{file["python"]}"'.replace("<", "&lt;")
        reason = f' data-yanked="{file["yanked"]}"'
        yanked = {None: "", False: "", True: " data-yanked"}.get(file["yanked"], reason)
        lines.append(f'<a href="{url(file)}"{python}{yanked}>x</a>')
    return IndexContent(
        "\n".join(lines).encode(), "text/html; charset=utf-8", "utf-8", PAGE, cache_link_parsing=False,
    )


def finder(options: dict[str, Any]) -> Any:
    control = FormatControl(*({each} - {""} for each in options["formats"] or ("", "")))
    return PackageFinder.create(
        link_collector=LinkCollector(session=PipSession(), search_scope=SearchScope([], [], False)),
        selection_prefs=SelectionPreferences(
            allow_yanked=options["yanked"], prefer_binary=options["prefer_binary"], format_control=control,
            ignore_requires_python=options["ignore_python"],
        ),
        target_python=TargetPython(py_version_info=options["python"]),
    )


def evaluated(found: Any, page: IndexContent) -> PageTable:
    """Return our evaluation of a page."""
    known = EvaluatedPages(Run(Settings(), 0o022), found)
    links = found.make_link_evaluator("proj-ect")
    return PageEvaluation(known.judge, links, known.candidate_evaluator).table(page)


def facts(candidate: Any) -> tuple[Any, ...]:
    link = candidate.link
    return (
        candidate.name, str(candidate.version), link.url, link.requires_python, link.yanked_reason, link.hash,
        link.hash_name, link.comes_from, str(candidate),
    )


def stock(found: Any, page: IndexContent) -> list[Any]:
    """Return pip's own candidates, in the order of ``find_all_candidates``."""
    return list(found.evaluate_links(found.make_link_evaluator("proj-ect"), list(parse_links(page))))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(FILES, max_size=12), OPTIONS, st.sampled_from((as_json, as_html)), st.sampled_from(SPECIFIERS),
    st.booleans(),
)
@example([], {"yanked": True, "prefer_binary": False, "ignore_python": False, "formats": (), "python": None},
         as_json, "", False)
def test_candidates_and_choice_are_pips(
    files: list[dict[str, Any]], options: dict[str, Any], as_page: Any, specifier: str, hashed: bool
) -> None:
    page = as_page(files)
    theirs = finder(options)
    try:
        expected = stock(theirs, page)
    except Exception:
        # A page that pip fails on is for pip to fail on.
        return
    ours = finder(options)
    try:
        table = evaluated(ours, page)
    except (OddPage, InvalidWheelFilename, InvalidVersion):
        return
    found = PageCandidates("proj-ect", page.url, table).in_page_order
    by_page = {facts(each) for each in found}
    assert by_page == {facts(each) for each in expected}
    assert len(found) == len(expected)
    assert list(table.rejected) == sorted(theirs.requires_python_skipped_reasons())
    if not expected or [facts(each) for each in found] != [facts(each) for each in expected]:
        # pip puts links with an egg fragment last.
        assert not expected or any("#egg" in url(file) for file in files)
        return
    hashes = Hashes({"sha256": ["ab" * 32]}) if hashed else None
    kinds = {"project_name": "proj-ect", "specifier": SpecifierSet(specifier), "hashes": hashes}
    try:
        wanted: Any = theirs.make_candidate_evaluator(**kinds).compute_best_candidate(expected)
    except InvalidSpecifier:
        return
    chosen = choose(ours.make_candidate_evaluator(**kinds), found)
    assert chosen is not None
    applicable = wanted.iter_applicable() if hasattr(wanted, "iter_applicable") else wanted.applicable_candidates
    assert [facts(each) for each in chosen.iter_applicable()] == [facts(each) for each in applicable]
    assert (chosen.best_candidate is None) == (wanted.best_candidate is None)
    if wanted.best_candidate is not None:
        assert facts(chosen.best_candidate) == facts(wanted.best_candidate)


def test_an_evaluation_is_not_trivial() -> None:
    """The comparison above sees candidates, rejected ones and yanked ones."""
    options = {"yanked": True, "prefer_binary": False, "ignore_python": False, "formats": (), "python": None}
    files: list[dict[str, Any]] = [
        {"place": PLACES[0], "name": "proj_ect", "version": "1.0", "kind": "-py3-none-any.whl", "end": "",
         "python": python, "yanked": yanked, "digest": None}
        for python, yanked in ((">=3.6", None),)
    ]
    files.append({**files[0], "version": "2.0", "python": "<3"})
    files.append({**files[0], "version": "3.0", "yanked": "bad"})
    ours = finder(options)
    table = evaluated(ours, as_json(files))
    assert table.versions == ("3.0", "1.0")
    assert table.rejected == ("2.0 Requires-Python <3",)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(("page", "files")), st.lists(FILES, max_size=6)), min_size=2, max_size=4),
    OPTIONS, st.sampled_from(SPECIFIERS), st.booleans(),
)
def test_choice_among_several_sources_is_pips(
    parts: list[tuple[str, list[dict[str, Any]]]], options: dict[str, Any], specifier: str, hashed: bool
) -> None:
    """Pages of several indexes and links that were found elsewhere, with the same versions and with others."""
    theirs, ours = finder(options), finder(options)
    expected: list[Any] = []
    found: list[Any] = []
    try:
        for kind, files in parts:
            page = as_json(files)
            candidates = stock(theirs, page)
            expected += candidates
            if kind == "page":
                lazy = PageCandidates("proj-ect", page.url, evaluated(ours, page)).in_page_order
                if [facts(each) for each in lazy] != [facts(each) for each in candidates]:
                    return
                found += lazy
            else:
                found += candidates
    except Exception:
        # What pip fails on, or is left to pip, is the other test's.
        return
    hashes = Hashes({"sha256": ["ab" * 32]}) if hashed else None
    kinds = {"project_name": "proj-ect", "specifier": SpecifierSet(specifier), "hashes": hashes}
    chosen = choose(ours.make_candidate_evaluator(**kinds), found)
    if chosen is None:
        pages = {id(each.page) for each in found if hasattr(each, "page")}
        assert not pages or ((hashed or options["prefer_binary"]) and len(pages) + len(found) > 2)
        return
    wanted: Any = theirs.make_candidate_evaluator(**kinds).compute_best_candidate(expected)
    applicable = wanted.iter_applicable() if hasattr(wanted, "iter_applicable") else wanted.applicable_candidates
    assert [facts(each) for each in chosen.iter_applicable()] == [facts(each) for each in applicable]
    assert (chosen.best_candidate is None) == (wanted.best_candidate is None)


@pytest.mark.parametrize("broken", ["a part of a page", "a page twice"])
def test_candidates_that_are_no_whole_pages_are_left_to_pip(broken: str) -> None:
    options = {"yanked": True, "prefer_binary": False, "ignore_python": False, "formats": (), "python": None}
    file = {"place": PLACES[0], "name": "proj_ect", "version": "1.0", "kind": ".tar.gz", "end": "", "python": None,
            "yanked": None, "digest": None}
    ours = finder(options)
    table = evaluated(ours, as_json([file, {**file, "version": "2.0"}]))
    candidates: list[Any] = PageCandidates("proj-ect", PAGE, table).in_page_order
    candidates = candidates[:1] if broken == "a part of a page" else candidates * 2
    assert choose(ours.make_candidate_evaluator(project_name="proj-ect"), candidates) is None
    stocks: Any = ours.make_candidate_evaluator(project_name="proj-ect").compute_best_candidate(candidates)
    assert str(stocks.best_candidate.version) == ("1.0" if broken == "a part of a page" else "2.0")
