"""Strategies that draw random worlds."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from fuzz.places import SECOND, Present
from fuzz.wheels import HARMLESS, Oddity
from fuzz.worlds import Command, Release, World
from support.environments import Kind
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


_ANY = tuple(each for each in Oddity if each is not Oddity.HUGE)
_LIES = ("", "digest", "metadata", "content", "file", "metadata file")
_TAGS = (
    "", "py2.py3-none-any", "2-py3-none-any", "10x-py3-none-any", "py2-none-any", "py3-none-win_amd64",
    "py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64", "py3-none-linux_aarch64", "cp39-abi3-linux_x86_64",
)


@st.composite
def releases(draw: st.DrawFn) -> Release:
    """Draw a release; most are what most are."""
    often = draw(st.integers(0, 9))
    oddities = draw(st.lists(st.sampled_from(HARMLESS if often < 8 else _ANY), max_size=3, unique=True))
    return Release(
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(VERSIONS)),
        draw(st.sampled_from((("wheel",),) * 16 + (("sdist",),) * 2 + (("wheel", "sdist"),) * 2 + (("made",),))),
        tuple(draw(st.lists(requirements(), max_size=2))),
        tuple(draw(st.lists(requirements(), max_size=1))),
        draw(st.sampled_from((None, None, None, ">=3.8", ">=4", "<3"))) if often < 3 else None,
        draw(st.sampled_from((None, "", "broken"))) if often == 9 else None,
        draw(st.sampled_from(_LIES)) if often == 8 else "",
        (Oddity.HUGE,) if often == 8 and draw(st.integers(0, 7)) == 7 else tuple(oddities),
        draw(st.integers(0, 3)) == 0,
        draw(st.sampled_from(_TAGS)) if often == 7 else "",
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
    ("--target", "target", "--platform", "win_amd64", "--only-binary", ":all:"), ("-qq",), ("--no-color",),
    ("--compile",), ("--only-deps",), ("--break-system-packages",), ("--root-user-action", "ignore"),
    ("--require-hashes",), ("--no-binary", "alpha"), ("--only-binary", "Beta", "--no-binary", ":none:"),
    ("--upgrade-strategy", "only-if-needed", "-U"), ("--prefix", "prefix", "--ignore-installed"),
    ("--dry-run", "--ignore-installed", "--report", "report.json"), ("--use-deprecated", "legacy-resolver"),
    ("--retries", "0"), ("--no-warn-script-location",), ("--src", "src"),
    ("--build-constraint", "constraints.txt"), ("--use-pep517",),
    ("--check-build-dependencies",), ("--pre", "-U"), ("--user", "-U"), ("-U", "--no-deps"),
    ("-r", "nested/more.txt"), ("--cache-dir", "cache"), ("--group", "alpha"), ("--no-such-option",),
)
_BOTH = ("-i", "{index}", "--extra-index-url", "{extra}")
_INDEXES = (("-i", "{index}"), ("-i", "{index}"), _BOTH, _BOTH, ("-i", "{extra}"))
_DOWNLOAD_OPTIONS = (
    (), (), ("--no-deps",), ("--pre",), ("--no-binary", ":all:"), ("--find-links", "files"),
    ("--only-binary", ":all:", "--platform", "win_amd64"), ("--only-binary", ":all:", "--python-version", "3.7"),
    ("-r", "requirements.txt"), ("--require-hashes", "-r", "hashed.txt"), ("-c", "constraints.txt"), ("-q",),
)
_WHEEL_OPTIONS = (
    (), (), ("--no-deps",), ("-r", "requirements.txt"), ("-c", "constraints.txt"), ("--no-binary", ":all:"),
    ("--pre",), ("--require-hashes", "-r", "hashed.txt"),
)
_OTHERS = (
    ("uninstall", "-y", "-r", "requirements.txt"), ("lock", "-i", "{index}", "-o", "-", "alpha"),
    ("cache", "list"),
    ("list", "--format", "json"), ("list", "--outdated", "-i", "{index}"), ("freeze", "-r", "requirements.txt"),
    ("index", "versions", "-i", "{index}", "alpha"), ("hash", "constraints.txt"), ("inspect",),
    ("freeze", "--all"), ("freeze", "--user"), ("freeze", "--path", "target"), ("list", "--not-required"),
    ("freeze", "--exclude-editable"), ("list", "--path", "target", "--format", "freeze"), ("inspect", "--local"),
    ("list", "-i", "{index}", "--outdated", "--pre", "--format", "json"), ("show", "alpha", "nothing"),
    ("uninstall", "-y", "nothing"), ("uninstall", "-y", "-r", "nested/more.txt"), ("cache", "purge"),
    ("cache", "remove", "alpha"), ("list", "--editable"), ("uninstall", "-y"), ("help", "check"),
)
"""Commands that are drawn as they are."""


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """Draw a command: an installation, most often; now and then one for the second environment."""
    args = _arguments(draw)
    # The ends of a range are drawn more often than what is between them.
    return Command(("--python", SECOND, *args) if draw(st.integers(0, 19)) == 7 else args)


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
        return ("wheel", *index, *draw(st.sampled_from(_WHEEL_OPTIONS)), "-w", "wheels", *wanted)
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
    "credentials": st.sampled_from((None, None, None, ("someone", "s3cret"))),
}

FAMILIES = ("builds", "downloads", "index", "install", "installed", "metadata", "program", "resolution")
SETTINGS = (
    ("PIPFAST_CONNECTIONS", "1"), ("PIPFAST_WORKERS", "1"), ("PIPFAST_LINK_MODE", "copy"),
    ("PIPFAST_LINK_MODE", "hardlink"), ("PIPFAST_BUILDS", "1"), ("SOURCE_DATE_EPOCH", "1580608922"),
    ("PIPFAST_OFFLINE", "prefer"), ("PIPFAST_OFFLINE", "prefer"),
    *(("PIPFAST_DISABLE", family) for family in FAMILIES),
)
"""Variables of ours, and ``SOURCE_DATE_EPOCH``."""

_VARIABLES = (
    ("PIP_CONSTRAINT", "constraints.txt"), ("PIP_NO_BINARY", "alpha"), ("PIP_NO_DEPS", "1"), ("PIP_PRE", "1"),
    ("PIP_REQUIRE_VIRTUALENV", "1"), ("PIP_FIND_LINKS", "files"), ("PIP_NO_COMPILE", "1"), ("PIP_QUIET", "1"),
    ("PIP_UPGRADE", "1"), ("PIP_TARGET", "target"), ("PIP_REQUIREMENT", "requirements.txt"), ("PIP_USER", "1"),
    ("PIP_NO_CACHE_DIR", "1"), ("PIP_IGNORE_INSTALLED", "1"), ("PIP_REQUIRE_HASHES", "1"), ("NO_COLOR", "1"),
    ("PIP_PREFER_BINARY", "1"), ("PIP_DRY_RUN", "1"),
)
"""Variables of pip's: options that are not in the command line."""
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
        st.lists(commands(), min_size=1, max_size=3).map(tuple),
        st.tuples(manners, manners),
        st.lists(st.one_of(_LINES, _LINES, _LINES, _OPTIONS), min_size=1, max_size=3).map(tuple),
        _seldom(st.one_of(_LINES, _NESTED)),
        st.lists(requirements().filter(lambda each: "[" not in each), max_size=2).map(tuple),
        st.lists(releases(), max_size=3, unique_by=lambda each: each.name).map(tuple),
        st.lists(present(), max_size=2, unique_by=lambda each: each[0].name).map(tuple),
        st.sampled_from((-1, -1, -1, 0o077, 0o027, 0o002)),
        st.lists(
            st.one_of(st.sampled_from(SETTINGS), st.sampled_from(SETTINGS), st.sampled_from(_VARIABLES)),
            max_size=2,
            unique_by=lambda each: each[0],
        ).map(dict),
        st.one_of(st.just(0), st.just(0), st.integers(1, 999)),
        st.sampled_from((*[()] * 40, (Twin.OURS,), (Twin.STOCK, Twin.OURS))),
        st.sampled_from((*[Kind.VENV] * 7, Kind.BARE)),
        st.integers(0, 15).map(lambda each: each == 7),
        st.integers(0, 5).map(lambda each: each == 3),
        st.sampled_from(("", "", "", "wrong", "missing", "sha512")),
    )


def numbered(number: int) -> World:
    """Draw the world of a number, always the same.

    Of many examples Hypothesis would make some by small changes of others, and none could be had alone. The first
    is always the simplest.
    """
    drawn: list[World] = []

    @seed(number)
    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(world=worlds())
    def draw(world: World) -> None:
        drawn.append(world)

    draw()
    return drawn[-1]
