"""Random small worlds: indexes, files, settings and a sequence of pip commands."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from fuzz.wheels import HARMLESS, Oddity, odd_wheel
from support.index import Manners
from support.twin import Scenario, Step
from support.wheels import normalize, sdist_of, source_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.environments import Places
    from support.index import Index
    from support.twin import Twins
    from support.wheels import Archive

NAMES = ("alpha", "Beta", "gamma.ray", "delta_1")
VERSIONS = ("0.9", "1.0", "1.0.post1", "1.1", "2.0rc1", "2.0", "3.0.dev1")
SPECIFIERS = (*[""] * 12, ">=1.0", "==1.0", "<2", "!=2.0", "~=1.0", ">1.0,<3", "==1.*", "===1.0", ">=2.0rc1",
              "==9")
MARKERS = (*[""] * 8, ' ; python_version >= "3"', ' ; python_version < "3"', ' ; sys_platform == "linux"')


@dataclass(frozen=True)
class Release:
    """One version of a project, as a wheel, a source distribution or both."""

    name: str
    version: str
    forms: tuple[str, ...] = ("wheel",)
    requires: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """What the extra ``more`` requires."""
    requires_python: str | None = None
    yanked: str | None = None
    lies: str = ""
    """What the index says wrongly of it: ``digest``, ``metadata`` or ``content``."""
    oddities: tuple[Oddity, ...] = ()
    second: bool = False
    """On the second index instead."""


@dataclass(frozen=True)
class Command:
    """One pip command; ``{index}`` and the like in its arguments are filled in by the world."""

    args: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """All that both twins find, and what they do there."""

    releases: tuple[Release, ...]
    commands: tuple[Command, ...]
    manners: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    """What differs from ``Manners()``, for the first and the second index."""
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    umask: int = -1
    settings: tuple[tuple[str, str], ...] = ()
    """Variables of ours."""
    wound: int = 0
    """Seed of what happens to the store between the rounds; 0 for nothing."""

    def run(self, twins: Twins) -> list[str]:
        """Do it all and return the differences."""
        server = twins.server
        server.clear()
        indexes = [
            server.index(prefix, Manners(**manners)) for prefix, manners in zip("ab", self.manners, strict=True)
        ]
        archives = [(release, archive) for release in self.releases for archive in _archives(release)]
        for release, archive in archives:
            _add(indexes[release.second], release, archive)
        twins.write({
            "requirements.txt": "".join(f"{line}\n" for line in self.requirements),
            "hashed.txt": _hashed(self.requirements, [archive for _, archive in archives]),
            "constraints.txt": "".join(f"{line}\n" for line in self.constraints),
        })
        values = {"{index}": indexes[0].url, "{extra}": indexes[1].url}
        steps = tuple(
            Step(tuple(values.get(part, part) for part in each.args), fails=None) for each in self.commands
        )
        scenario = Scenario(
            steps,
            environ=dict(self.settings),
            umask=self.umask,
            inspect=True,
            # What is wrong with the store, or slower than it could be, is said.
            notes=bool(self.wound),
            between=wounding(self.wound) if self.wound else None,
            # Each command may fetch ahead for nothing.
            more_requests=bool(self.wound) or len(steps) > 1,
        )
        return [str(each) for each in twins.differences(scenario)]


def _archives(release: Release) -> list[Archive]:
    found = []
    if "wheel" in release.forms:
        found.append(odd_wheel(
            release.name, release.version, release.requires, release.more, release.requires_python,
            release.oddities,
        ))
    if "sdist" in release.forms:
        tree = source_tree(
            release.name, release.version, release.requires,
            extras={"more": release.more} if release.more else None, requires_python=release.requires_python,
        )
        found.append(sdist_of(release.name, release.version, tree, requires_python=release.requires_python))
    return found


def _add(index: Index, release: Release, archive: Archive) -> None:
    options: dict[str, Any] = {"yanked": release.yanked}
    if release.lies == "digest":
        options["sha256"] = "0" * 64
    elif release.lies == "content":
        options["served"] = archive.data[:-7] + b"garbage"
    elif release.lies == "metadata" and archive.metadata is not None:
        options["metadata"] = archive.metadata + b"Requires-Dist: nowhere\n"
    index.add(archive, **options)


def _hashed(requirements: tuple[str, ...], archives: list[Archive]) -> str:
    """Pin each required project to its first wheel, with its hash."""
    lines = []
    for requirement in requirements:
        project = normalize(requirement.partition(" ")[0].partition("[")[0].rstrip("=<>!~0123456789.,*rc"))
        for archive in archives:
            if archive.project == project and archive.filename.endswith(".whl"):
                version = archive.filename.split("-")[1]
                lines.append(f"{project}=={version} --hash=sha256:{archive.sha256}\n")
                break
    return "".join(dict.fromkeys(lines))


def wounding(seed: int) -> Callable[[Places], None]:
    """Return what damages a few files of the store, or takes them away."""

    def wound(places: Places) -> None:
        chance = random.Random(seed)
        files = sorted(path for path in places.store.rglob("*") if path.is_file() and path.parent != places.store)
        for path in chance.sample(files, min(len(files), 3)):
            kind = chance.choice(["flip", "cut", "empty", "gone", "folder", "chmod", "touch", "drop"])
            content = path.read_bytes() if path.is_file() else b""
            if not path.exists():
                continue
            if kind == "flip" and content:
                at = chance.randrange(len(content))
                flipped = content[at] ^ 1 << chance.randrange(8)
                path.write_bytes(content[:at] + bytes([flipped]) + content[at + 1 :])
            elif kind == "cut":
                path.write_bytes(content[: len(content) // 2])
            elif kind == "empty":
                path.write_bytes(b"")
            elif kind == "chmod":
                path.chmod(0o600)
            elif kind == "touch":
                path.touch()
            elif kind == "drop":
                shutil.rmtree(path.parent)
            else:
                path.unlink()
                if kind == "folder":
                    path.mkdir()

    return wound


def _requirement(draw: st.DrawFn) -> str:
    name = draw(st.sampled_from(NAMES))
    extra = draw(st.sampled_from(("", "", "", "[more]")))
    return f"{name}{extra}{draw(st.sampled_from(SPECIFIERS))}"


@st.composite
def requirements(draw: st.DrawFn) -> str:
    """Draw a requirement, perhaps with a marker."""
    return _requirement(draw) + draw(st.sampled_from(MARKERS))


@st.composite
def releases(draw: st.DrawFn) -> Release:
    """Draw a release; most are what most are."""
    often = draw(st.integers(0, 9))
    return Release(
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(VERSIONS)),
        draw(st.sampled_from((("wheel",),) * 8 + (("sdist",), ("wheel", "sdist")))),
        tuple(draw(st.lists(requirements(), max_size=2))),
        tuple(draw(st.lists(requirements(), max_size=1))),
        draw(st.sampled_from((None, None, None, ">=3.8", ">=4", "<3"))) if often < 3 else None,
        draw(st.sampled_from((None, "", "broken"))) if often == 9 else None,
        draw(st.sampled_from(("", "digest", "metadata", "content"))) if often == 8 else "",
        tuple(draw(st.lists(st.sampled_from(HARMLESS if often < 8 else tuple(Oddity)), max_size=3, unique=True))),
        draw(st.integers(0, 3)) == 0,
    )


_INSTALL_OPTIONS = (
    ("--pre",), ("--no-deps",), ("-U",), ("-U", "--upgrade-strategy", "eager"), ("--force-reinstall",),
    ("--ignore-installed",), ("--no-compile",), ("--only-binary", ":all:"), ("--prefer-binary",), ("--dry-run",),
    ("--target", "target"), ("--prefix", "prefix"), ("-c", "constraints.txt"), ("-q",),
    ("--report", "report.json"),
    ("--ignore-requires-python",), ("--no-cache-dir",), ("--no-warn-conflicts",), ("--progress-bar", "off"),
    ("--no-clean",), ("--no-build-isolation",), ("--log", "pip.log"), ("-v",),
)
_BOTH = ("-i", "{index}", "--extra-index-url", "{extra}")
_INDEXES = (("-i", "{index}"), ("-i", "{index}"), _BOTH, _BOTH, ("-i", "{extra}"))


@st.composite
def commands(draw: st.DrawFn) -> Command:
    """Draw a command: an installation, most often."""
    verb = draw(st.sampled_from(("install",) * 6 + (
        "uninstall", "download", "wheel", "freeze", "check", "list", "show", "install -r", "install hashed",
    )))
    index = draw(st.sampled_from(_INDEXES))
    wanted = tuple(draw(st.lists(requirements(), min_size=1, max_size=2)))
    if verb == "uninstall":
        return Command(("uninstall", "-y", *(draw(st.sampled_from(NAMES)) for _ in range(2))))
    if verb in ("freeze", "check", "list"):
        return Command((verb,))
    if verb == "show":
        return Command(("show", "-f", draw(st.sampled_from(NAMES))))
    if verb == "download":
        return Command(("download", *index, "-d", "downloads", *wanted))
    if verb == "wheel":
        return Command(("wheel", *index, "-w", "wheels", *wanted))
    chosen = draw(st.lists(st.sampled_from(_INSTALL_OPTIONS), max_size=2, unique=True))
    options = tuple(part for option in chosen for part in option)
    if verb == "install -r":
        return Command(("install", *index, *options, "-r", "requirements.txt"))
    if verb == "install hashed":
        return Command(("install", *index, *options, "--require-hashes", "-r", "hashed.txt"))
    return Command(("install", *index, *options, *wanted))


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

SETTINGS = (
    ("PIPFAST_CONNECTIONS", "1"), ("PIPFAST_WORKERS", "1"), ("PIPFAST_LINK_MODE", "copy"),
    ("PIPFAST_LINK_MODE", "hardlink"), ("PIPFAST_BUILDS", "1"), ("SOURCE_DATE_EPOCH", "1580608922"),
    *(("PIPFAST_DISABLE", family) for family in (
        "builds", "downloads", "index", "install", "installed", "metadata", "program", "resolution",
    )),
)


def _with_something_of_each(drawn: list[Release]) -> tuple[Release, ...]:
    """Add a plain release of each project: most requirements can be satisfied."""
    return (*drawn, *(Release(name, "1.0.1") for name in NAMES))


def worlds() -> st.SearchStrategy[World]:
    """Return the strategy that draws whole worlds."""
    manners = st.fixed_dictionaries({}, optional=_MANNERS)
    return st.builds(
        World,
        st.lists(releases(), min_size=1, max_size=8, unique_by=lambda each: (each.name, each.version, each.second))
        .map(_with_something_of_each),
        st.lists(commands(), min_size=1, max_size=4).map(tuple),
        st.tuples(manners, manners),
        st.lists(requirements(), min_size=1, max_size=3).map(tuple),
        st.lists(requirements().filter(lambda each: "[" not in each), max_size=2).map(tuple),
        st.sampled_from((-1, -1, -1, 0o077, 0o027, 0o002)),
        st.lists(st.sampled_from(SETTINGS), max_size=1).map(tuple),
        st.one_of(st.just(0), st.just(0), st.integers(1, 999)),
    )
