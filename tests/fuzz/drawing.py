"""Strategies that draw random worlds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fuzz.places import SECOND, Present
from fuzz.wheels import HARMLESS, Oddity
from fuzz.worlds import Command, Release, World
from support.twin import Twin

NAMES = ("alpha", "Beta", "gamma.ray", "delta_1")
VERSIONS = ("0.9", "1.0", "1.0.post1", "1.1", "2.0rc1", "2.0", "3.0.dev1")
SPECIFIERS = (*[""] * 12, ">=1.0", "==1.0", "<2", "!=2.0", "~=1.0", ">1.0,<3", "==1.*", "===1.0", ">=2.0rc1",
              "==9")
MARKERS = (*[""] * 8, ' ; python_version >= "3"', ' ; python_version < "3"', ' ; sys_platform == "linux"')


def _requirement(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(NAMES))
    extra = draw(st.sampled_from(("", "", "", "[more]")))
    return f"{name}{extra}{draw(st.sampled_from(SPECIFIERS))}"


@st.composite
def requirements(draw: st.DrawFn) -> str:
    """Draw a requirement, perhaps with a marker."""
    return _requirement(draw) + draw(st.sampled_from(MARKERS))


@st.composite
def targets(draw: st.DrawFn) -> tuple[str, ...]:
    """Draw what an installation may name: most often a requirement, else a file, a folder or an address."""
    others = ("file", "folder", "editable", "url", "url named", "file url")
    kind = draw(st.sampled_from((*["requirement"] * 9, *others)))
    if kind == "requirement":
        return (draw(requirements()),)
    name = draw(st.sampled_from(NAMES))
    extra = draw(st.sampled_from(("", "", "[more]")))
    return {
        "file": (f"./{{file:{name}}}{extra}",),
        "folder": (f"./local/{name}{extra}",),
        "editable": ("-e", f"./local/{name}{extra}"),
        "url": (f"{{url:{name}}}",),
        "url named": (f"{name}{extra} @ {{url:{name}}}",),
        "file url": (f"{name}{extra} @ file://{{work}}/{{file:{name}}}",),
    }[kind]


@st.composite
def releases(draw: st.DrawFn) -> Release:
    """Draw a release; most are what most are."""
    often = draw(st.integers(0, 9))
    return Release(
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(VERSIONS)),
        draw(st.sampled_from((("wheel",),) * 16 + (("sdist",),) * 2 + (("wheel", "sdist"),) * 2 + (("made",),))),
        tuple(draw(st.lists(requirements(), max_size=2))),
        tuple(draw(st.lists(requirements(), max_size=1))),
        draw(st.sampled_from((None, None, None, ">=3.8", ">=4", "<3"))) if often < 3 else None,
        draw(st.sampled_from((None, "", "broken"))) if often == 9 else None,
        draw(st.sampled_from(("", "digest", "metadata", "content"))) if often == 8 else "",
        tuple(draw(st.lists(st.sampled_from(HARMLESS if often < 8 else tuple(Oddity)), max_size=3, unique=True))),
        draw(st.integers(0, 3)) == 0,
    )


@st.composite
def present(draw: st.DrawFn) -> tuple[Release, Present]:
    """Draw what is installed before."""
    wanted = tuple(draw(st.lists(requirements(), max_size=1)))
    release = Release(draw(st.sampled_from(NAMES)), draw(st.sampled_from(VERSIONS)), requires=wanted)
    return release, draw(st.sampled_from((*[Present.BY_PIP] * 6, *Present)))


_INSTALL_OPTIONS = (
    ("--pre",), ("--no-deps",), ("-U",), ("-U", "--upgrade-strategy", "eager"), ("--force-reinstall",),
    ("--ignore-installed",), ("--no-compile",), ("--only-binary", ":all:"), ("--prefer-binary",), ("--dry-run",),
    ("--target", "target"), ("--prefix", "prefix"), ("-c", "constraints.txt"), ("-q",), ("--root", "{work}/root"),
    ("--report", "report.json"), ("-q", "--dry-run", "--report", "-"), ("--user",), ("--require-virtualenv",),
    ("--ignore-requires-python",), ("--no-cache-dir",), ("--no-warn-conflicts",), ("--progress-bar", "off"),
    ("--no-clean",), ("--no-build-isolation",), ("--log", "pip.log"), ("-v",), ("--no-binary", ":all:"),
    ("--config-settings", "a=b"), ("--trusted-host", "127.0.0.1"), ("--find-links", "files"),
    ("--find-links", "{links}"), ("--no-index", "--find-links", "{work}/files"), ("-r", "requirements.txt"),
    ("--uploaded-prior-to", "2020-01-01"), ("--use-feature", "fast-deps"), ("--target", "target", "-U"),
)
_BOTH = ("-i", "{index}", "--extra-index-url", "{extra}")
_INDEXES = (("-i", "{index}"), ("-i", "{index}"), _BOTH, _BOTH, ("-i", "{extra}"))
_DOWNLOAD_OPTIONS = (
    (), (), ("--no-deps",), ("--pre",), ("--no-binary", ":all:"), ("--find-links", "files"),
    ("--only-binary", ":all:", "--platform", "win_amd64"), ("--only-binary", ":all:", "--python-version", "3.7"),
)
_OTHERS = (
    ("uninstall", "-y", "-r", "requirements.txt"), ("lock", "-i", "{index}", "-o", "-", "alpha"),
    ("cache", "list"),
    ("list", "--format", "json"), ("list", "--outdated", "-i", "{index}"), ("freeze", "-r", "requirements.txt"),
    ("index", "versions", "-i", "{index}", "alpha"), ("hash", "constraints.txt"), ("inspect",),
)
"""Commands that are drawn as they are."""


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """Draw a command: an installation, most often; now and then one for the second environment."""
    args = _arguments(draw)
    return Command(("--python", SECOND, *args) if draw(st.integers(0, 11)) == 0 else args)


def _arguments(draw: st.DrawFn) -> tuple[str, ...]:
    verb = draw(st.sampled_from(("install",) * 8 + (
        "uninstall", "download", "wheel", "freeze", "check", "list", "show", "install -r", "install hashed",
        "other",
    )))
    index = draw(st.sampled_from(_INDEXES))
    wanted = tuple(part for each in draw(st.lists(targets(), min_size=1, max_size=2)) for part in each)
    if verb == "uninstall":
        return ("uninstall", "-y", *(draw(st.sampled_from(NAMES)) for _ in range(2)))
    if verb in ("freeze", "check", "list"):
        return (verb,)
    if verb == "other":
        return draw(st.sampled_from(_OTHERS))
    if verb == "show":
        return ("show", "-f", draw(st.sampled_from(NAMES)))
    if verb == "download":
        return ("download", *index, *draw(st.sampled_from(_DOWNLOAD_OPTIONS)), "-d", "downloads", *wanted)
    if verb == "wheel":
        return ("wheel", *index, "-w", "wheels", *wanted)
    chosen = draw(st.lists(st.sampled_from(_INSTALL_OPTIONS), max_size=2, unique=True))
    options = tuple(part for option in chosen for part in option)
    if verb == "install -r":
        return ("install", *index, *options, "-r", "requirements.txt")
    if verb == "install hashed":
        return ("install", *index, *options, "--require-hashes", "-r", "hashed.txt")
    return ("install", *index, *options, *wanted)


_MANNERS: dict[str, st.SearchStrategy[Any]] = {
    "pages": st.sampled_from(("html", "json")),
    "compressed": st.just(value=False),
    "core_metadata": st.just(value=False),
    "hashes": st.just(value=False),
    "upload_times": st.just(value=False),
    "ranges": st.just(value=False),
    "lengths": st.just(value=False),
    "validators": st.just(value=False),
    "cache_control": st.sampled_from((None, "no-store", "max-age=0", "no-cache")),
}

FAMILIES = ("builds", "downloads", "index", "install", "installed", "metadata", "program", "resolution")
SETTINGS = (
    ("PIPFAST_CONNECTIONS", "1"), ("PIPFAST_WORKERS", "1"), ("PIPFAST_LINK_MODE", "copy"),
    ("PIPFAST_LINK_MODE", "hardlink"), ("PIPFAST_BUILDS", "1"), ("SOURCE_DATE_EPOCH", "1580608922"),
    ("PIPFAST_OFFLINE", "prefer"), ("PIPFAST_OFFLINE", "prefer"),
    *(("PIPFAST_DISABLE", family) for family in FAMILIES),
)
_LINES = st.one_of(requirements(), requirements(), requirements(), targets().map(" ".join))
_OPTIONS = st.sampled_from(("--pre", "--find-links files", "-c constraints.txt", "--prefer-binary", "# a comment"))
_NESTED = st.sampled_from(("-c ../constraints.txt", "--find-links ../files", "-i {extra}", "alpha \\", "Beta>0.1"))


def _with_something_of_each(drawn: list[Release]) -> tuple[Release, ...]:
    """Add a plain release of each project: most requirements can be satisfied."""
    return (*drawn, *(Release(name, "1.0.1") for name in NAMES))


def _seldom(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Draw nothing, as often as not."""
    return st.one_of(st.just(()), st.lists(strategy, min_size=1, max_size=2).map(tuple))


def worlds() -> st.SearchStrategy[World]:
    """Return the strategy that draws whole worlds."""
    manners = st.fixed_dictionaries({}, optional=_MANNERS)
    several = st.lists(
        releases(), min_size=1, max_size=8, unique_by=lambda each: (each.name, each.version, each.second)
    )
    return st.builds(
        World,
        several.map(_with_something_of_each),
        st.lists(commands(), min_size=1, max_size=4).map(tuple),
        st.tuples(manners, manners),
        st.lists(st.one_of(_LINES, _LINES, _LINES, _OPTIONS), min_size=1, max_size=3).map(tuple),
        _seldom(st.one_of(_LINES, _NESTED)),
        st.lists(requirements().filter(lambda each: "[" not in each), max_size=2).map(tuple),
        st.lists(releases(), max_size=3, unique_by=lambda each: each.name).map(tuple),
        st.lists(present(), max_size=2, unique_by=lambda each: each[0].name).map(tuple),
        st.sampled_from((-1, -1, -1, 0o077, 0o027, 0o002)),
        st.lists(st.sampled_from(SETTINGS), max_size=2, unique_by=lambda each: each[0]).map(dict),
        st.one_of(st.just(0), st.just(0), st.integers(1, 999)),
        st.sampled_from((*[()] * 6, (Twin.OURS,), (Twin.STOCK, Twin.OURS))),
    )
