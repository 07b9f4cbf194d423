"""Random small worlds: indexes, files, settings and a sequence of pip commands."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz.places import Present, add_second_environment, place, wounding
from fuzz.wheels import Oddity, odd_wheel
from pipfast.plugin.files import own_folder
from support.environments import Kind
from support.index import Manners
from support.sources import backend, built_with
from support.twin import OURS, Scenario, Step, Twin
from support.wheels import normalize, sdist_of, source_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from support.environments import Places
    from support.index import Index, Server
    from support.twin import Difference, Twins
    from support.wheels import Archive

_PLACEHOLDER = re.compile(r"\{(?P<kind>[a-z]+)(?::(?P<name>[^}]*))?\}")

_ASKING = frozenset(("install", "download", "wheel", "lock", "index", "--outdated"))


@dataclass(frozen=True)
class Release:
    """One version of a project, as a wheel, a source distribution or both."""

    name: str
    version: str
    forms: tuple[str, ...] = ("wheel",)
    """``wheel``, ``sdist``, and ``made`` for an sdist whose backend is on the first index."""
    requires: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    """What the extra ``more`` requires."""
    requires_python: str | None = None
    yanked: str | None = None
    lies: str = ""
    """What the index says wrongly of it: ``digest``, ``metadata``, ``content``, or that it has it (``file``, or
    ``metadata file``)."""
    oddities: tuple[Oddity, ...] = ()
    second: bool = False
    """On the second index instead."""
    tag: str = ""
    """Of its wheel, where that is not for every Python 3."""

    def archives(self) -> list[Archive]:
        """Build its files, wheels first."""
        found = []
        if "wheel" in self.forms:
            found.append(odd_wheel(
                self.name, self.version, self.requires, self.more, self.requires_python, self.oddities,
                self.tag,
            ))
        if "sdist" in self.forms:
            found.append(sdist_of(self.name, self.version, self.tree(), requires_python=self.requires_python))
        if "made" in self.forms:
            found.append(built_with("maker", self.name, self.version, scripts={}, requires=self.requires))
        return found

    def tree(self) -> dict[str, bytes]:
        """Return the files of its source."""
        extras = {"more": self.more} if self.more else None
        return source_tree(
            self.name, self.version, self.requires, extras=extras, requires_python=self.requires_python
        )


@dataclass(frozen=True)
class Command:
    """One pip command. ``{index}`` and the like in its arguments are filled in by the world."""

    args: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """All that both twins find, and what they do there.

    In arguments and requirements, ``{index}`` and ``{extra}`` are the indexes, ``{links}`` is a page of links to
    the files of the second one, ``{work}`` is the current folder, ``{url:NAME}`` is the address of a project's
    file, and ``{file:NAME}`` the name of one in the folder ``files``; ``local/NAME`` has its source.
    """

    releases: tuple[Release, ...] = ()
    commands: tuple[Command, ...] = ()
    manners: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    """What differs from ``Manners()``, for the first and the second index."""
    requirements: tuple[str, ...] = ()
    """The lines of ``requirements.txt``."""
    nested: tuple[str, ...] = ()
    """The lines of ``nested/more.txt``, which that one names if there are any."""
    constraints: tuple[str, ...] = ()
    local: tuple[Release, ...] = ()
    """What lies in the current folder, as sources and as archives."""
    present: tuple[tuple[Release, Present], ...] = ()
    """What is installed before."""
    umask: int = -1
    settings: dict[str, str] = field(default_factory=dict)
    """Variables of ours."""
    wound: int = 0
    """Seed of what happens to the store between the rounds; 0 for nothing."""
    real: tuple[Twin, ...] = ()
    """Whose commands are processes that start and import anew, not forks."""
    kind: Kind = Kind.VENV
    alias: bool = False
    """pipfast is another installation's, as with the alias of a shell, and no fork."""
    closer: bool = False
    """``inspect`` is compared after each command, and an uninstall of everything at the end."""
    hashing: str = ""
    """What is odd in ``hashed.txt``: digests are ``wrong``, one is ``missing``, or they are ``sha512``."""

    def is_sound(self) -> bool:
        """Tell whether every command that asks an index asks one of these: a public one would be waited for."""
        return all(
            _ASKING.isdisjoint(args) or "--no-index" in args or (
                "-i" in args[:-1] and args[args.index("-i") + 1] in ("{index}", "{extra}")
            )
            for args in (command.args for command in self.commands)
        )

    def run(self, twins: Twins, sabotage: Callable[[Places], object] | None = None) -> list[Difference]:
        """Do it all and return the differences."""
        server = twins.server
        server.clear()
        indexes = [
            server.index(prefix, Manners(**manners)) for prefix, manners in zip("ab", self.manners, strict=True)
        ]
        archives = [(release, archive) for release in self.releases for archive in release.archives()]
        for release, archive in archives:
            _add(server, indexes[release.second], release, archive)
        if any("made" in release.forms for release in (*self.releases, *self.local)):
            indexes[0].add(backend())
        anchors = [
            f'<a href="{indexes[1].file_url(archive)}">{archive.filename}</a>\n'
            for release, archive in archives
            if release.second
        ]
        credentials = [manners.get("credentials") for manners in self.manners]
        addresses = [
            index.authenticated(*known) if known else index.url
            for index, known in zip(indexes, credentials, strict=True)
        ]
        values = {
            "{index}": addresses[0],
            "{extra}": addresses[1],
            "{links}": server.file("links/", f"<!DOCTYPE html><html><body>{''.join(anchors)}</body></html>"),
            "{work}": str(twins.places.work),
        }
        for release, archive in reversed(archives):
            values[f"{{url:{release.name}}}"] = indexes[release.second].file_url(archive)
        values |= self._write_local(twins)
        filled = _filling(values)
        nested = ("-r nested/more.txt",) if self.nested else ()
        twins.write({
            "requirements.txt": _lines(map(filled, (*self.requirements, *nested))),
            "nested/more.txt": _lines(map(filled, self.nested)),
            "hashed.txt": _hashed(self.requirements, [archive for _, archive in archives], self.hashing),
            "constraints.txt": _lines(map(filled, self.constraints)),
        })
        certificates = twins.places.base / "certificates"
        certificates.touch()
        steps = tuple(Step(tuple(map(filled, each.args)), fails=None) for each in self.commands)
        scenario = Scenario(
            steps,
            kind=self.kind,
            # No server here has a certificate, and those of the machine take long to read.
            environ={"SSL_CERT_FILE": str(certificates), **self._unrescued(), **self.settings},
            umask=self.umask,
            prepare=self._prepare,
            inspect=self.closer,
            uninstall=self.closer,
            each=True,
            stock_once=self._is_the_same_again(),
            ours=str(own_folder() / "runner.py") if self._runs_from_elsewhere() else OURS,
            notes=self._says_something(),
            between=wounding(self.wound) if self.wound else None,
            # Each command may fetch ahead for nothing.
            more_requests=bool(self.wound) or len(steps) > 1,
            kept="PIPFAST_OFFLINE" in self.settings or self._may_lose_lengths(),
            forked=frozenset(Twin) - frozenset(self.real),
        )
        return twins.differences(scenario, sabotage)

    def _runs_from_elsewhere(self) -> bool:
        """Tell whether another installation's pipfast runs.

        For an environment without pip that takes the pip beside itself, and -v says where that is.
        """
        says_where = any({"--python", "-v"} <= {*command.args} for command in self.commands)
        return self.alias and OURS == "pipfast" and not says_where

    def _unrescued(self) -> dict[str, str]:
        """Return what keeps pipfast from mending a build: pip's variables are for the pip in a build, too.

        With PIP_DRY_RUN that installs nothing, for instance.
        """
        return {"PIPFAST_BUILD_RESCUE": "off"} if any(name.startswith("PIP_") for name in self.settings) else {}

    def _is_the_same_again(self) -> bool:
        """Tell whether a second round of stock pip's would differ in what is cached only.

        Wheels that were built are not built again, and with a look into the cache that is told.
        """
        sources = {"sdist", "made"} & {form for release in (*self.releases, *self.local) for form in release.forms}
        looks = any(word in command.args for command in self.commands for word in ("cache", "-v", "--log"))
        # pip has a bar for what comes without a length, and none for that out of its cache.
        bars = "PIP_TRUSTED_HOST" in self.settings and any("lengths" in manners for manners in self.manners)
        return not (sources or looks or bars or self.closer)

    def _says_something(self) -> bool:
        """Tell whether pipfast may say something: of the store, builds, figures, of what it did not ask for."""
        may = self.wound or "PIPFAST_OFFLINE" in self.settings
        return bool(may) or any({"-v", "--no-build-isolation"} & {*command.args} for command in self.commands)

    def _may_lose_lengths(self) -> bool:
        """Tell whether the store may lose its note that a server has named no length."""
        return bool(self.wound) and any("lengths" in manners for manners in self.manners)

    def _write_local(self, twins: Twins) -> dict[str, str]:
        """Write the files of the current folder, and return what stands for their names."""
        values = {}
        for release in self.local:
            twins.write({f"local/{release.name}/{path}": data for path, data in release.tree().items()})
            for archive in reversed(release.archives()):
                twins.write({f"files/{archive.filename}": archive.data})
                values[f"{{file:{release.name}}}"] = f"files/{archive.filename}"
        return values

    def _prepare(self, places: Places) -> None:
        for release, form in self.present:
            for archive in release.archives():
                place(archive, form, places.site_packages)
        if any("--python" in command.args for command in self.commands):
            add_second_environment(places)


def _filling(values: dict[str, str]) -> Callable[[str], str]:
    """Return what fills in placeholders; of a file that there is not, it gives a name all the same."""

    def value(match: re.Match[str]) -> str:
        name = f"{(match['name'] or '').replace('.', '_')}-9-py3-none-any.whl"
        missing = f"{values['{index}']}../files/{name}" if match["kind"] == "url" else f"files/{name}"
        return values.get(match[0], missing)

    return lambda text: _PLACEHOLDER.sub(value, text)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _add(server: Server, index: Index, release: Release, archive: Archive) -> None:
    options: dict[str, Any] = {"yanked": release.yanked}
    if release.lies == "digest":
        options["sha256"] = "0" * 64
    elif release.lies == "content":
        options["served"] = archive.data[:-7] + b"garbage"
    elif release.lies == "metadata" and archive.metadata is not None:
        options["metadata"] = archive.metadata + b"Requires-Dist: nowhere\n"
    elif release.lies in ("file", "metadata file"):
        path = index.file_url(archive).removeprefix(f"{server.url}/")
        server.override(path + ".metadata" * (release.lies != "file"), 404)
    index.add(archive, **options)


def _hashed(requirements: tuple[str, ...], archives: list[Archive], hashing: str) -> str:
    """Pin each required project to the version of its first file, with the hashes of all files of that."""
    kind = "sha512" if hashing == "sha512" else "sha256"
    lines: list[str] = []
    for requirement in requirements:
        project = normalize(requirement.partition(" ")[0].partition("[")[0].rstrip("=<>!~0123456789.,*rc"))
        files = [(_version(archive), archive) for archive in archives if archive.project == project]
        hashes = [
            f"--hash={kind}:{'0' * 64 if hashing == 'wrong' else hashlib.new(kind, archive.data).hexdigest()}"
            for version, archive in files
            if version == files[0][0]
        ]
        if hashes and hashing == "missing" and not lines:
            lines.append(f"{project}=={files[0][0]}")
        elif hashes:
            lines.append(f"{project}=={files[0][0]} {' '.join(dict.fromkeys(hashes))}")
    return _lines(dict.fromkeys(lines))


def _version(archive: Archive) -> str:
    return archive.filename.removesuffix(".tar.gz").split("-")[1]
