"""Packages beside a rescued build: found and installed by pip.

pip runs in a process of its own. It fetches nothing that the target has, and never writes there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import site
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.errors import PipfastError
from pipfast.report import logger, timed
from pipfast.rescue.environment import Overlay
from pipfast_hooks.builds import child

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipfast_hooks.builds.context import Context

_VALUES = (
    "cert", "client_cert", "proxy", "retries", "timeout", "resume_retries", "keyring_provider", "cache_dir",
)
"""Options of pip about the way to an index: they are handed on."""


class OverlayFailed(PipfastError):
    """A build's requirements could not be found or installed; ``str()`` is pip's message."""


@dataclass(frozen=True, slots=True)
class Found:
    """One distribution that goes into an overlay."""

    name: str
    version: str
    requirement: str
    """Its archive, as a line of a requirements file."""
    sha256: str | None = None
    requires: tuple[str, ...] = ()


@dataclass(slots=True)
class Wanted:
    """Requirements for an overlay, and their limits."""

    declared: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    wheels_only: frozenset[str] = frozenset()
    """Normalised names that no source distribution may stand in for."""
    pins: dict[str, str] = field(default_factory=dict)
    """Name to the version that this run's resolver has chosen."""
    excluded: str = ""
    """Name of the package that is built, which takes no part in its own build."""
    hashes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Normalised name to hashes, ``sha256:…``, of which an archive has one."""


def target_sites(context: Context) -> list[str]:
    """Return the target's package folders, the ones that win first."""
    sites = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        # Python's order: a virtual environment's own, the user's, then those of the Python below.
        sites.insert(1 if sys.prefix != sys.base_prefix else 0, site.getusersitepackages())
    target = getattr(context.options, "target_dir", None)
    return [*([os.path.abspath(target)] if target else []), *sites]


def resolve(context: Context, wanted: Wanted) -> list[Found]:
    """Return the wanted distributions that the target lacks, with dependencies; OverlayFailed: pip cannot."""
    with tempfile.TemporaryDirectory(prefix="pipfast-build-") as folder:
        lines = [*_index_lines(context, wanted), *wanted.declared, *wanted.granted]
        constraints = _constraints(context, wanted)
        if constraints:
            lines.insert(0, f"-c {shlex.quote(_written(folder, 'constraints.txt', constraints))}")
        report = os.path.join(folder, "report.json")
        with timed("build-resolve", name=_name(wanted), wanted=[*wanted.declared, *wanted.granted]):
            _pip(context, "install", "--dry-run", "--quiet", "--report", report,
                 "-r", _written(folder, "requirements.txt", lines))
        with open(report, encoding="utf-8") as file:
            found = [_found(item) for item in json.load(file)["install"]]
    if wanted.hashes:
        _check_hashes(found, wanted)
    return found


def _check_hashes(found: Sequence[Found], wanted: Wanted) -> None:
    """Refuse archives without one of the user's hashes; a package's own build requirements need none."""
    declared = {canonicalize_name(Requirement(each).name) for each in wanted.declared}
    for each in found:
        name = canonicalize_name(each.name)
        if name not in wanted.hashes and name in declared:
            continue
        if f"sha256:{each.sha256}" not in wanted.hashes.get(name, ()):
            raise OverlayFailed(f"{each.name} {each.version} has none of the hashes that the requirements give")


def make(context: Context, found: Sequence[Found], wanted: Wanted, *, compiled: bool) -> Overlay:
    """Install distributions into a new overlay, which the caller removes; OverlayFailed: pip cannot."""
    # On the store's filesystem where there is a store: links need that.
    folder = None
    with suppress(OSError):
        folder = context.run.store.layout.new_staging()
    overlay = Overlay(folder or Path(tempfile.mkdtemp(prefix="pipfast-build-")))
    try:
        overlay.create(target_sites(context))
        if found:
            with tempfile.TemporaryDirectory(prefix="pipfast-build-") as files:
                lines = [*_index_lines(context, wanted), *(each.requirement for each in found)]
                options = [] if compiled else ["--no-compile"]
                with timed("build-overlay", name=_name(wanted), count=len(found)):
                    _pip(context, "install", "--quiet", "--no-deps", "--ignore-installed",
                         "--no-warn-script-location", *options,
                         "-r", _written(files, "requirements.txt", lines), python=overlay.python)
    except BaseException:
        shutil.rmtree(overlay.root, ignore_errors=True)
        raise
    return overlay


def _name(wanted: Wanted) -> str:
    return f"{wanted.excluded or 'a source'}: what it misses"


def _written(folder: str, name: str, lines: Iterable[str]) -> str:
    path = os.path.join(folder, name)
    # An index may have a password in its address: no command line has it, and only this user reads it.
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return path


def _index_lines(context: Context, wanted: Wanted) -> list[str]:
    finder, options = context.finder, context.options
    urls = list(finder.index_urls)
    lines = [f"-i {shlex.quote(urls[0])}"] if urls else ["--no-index"]
    lines += [f"--extra-index-url {shlex.quote(url)}" for url in urls[1:]]
    lines += [f"-f {shlex.quote(link)}" for link in finder.find_links]
    lines += [f"--trusted-host {shlex.quote(host)}" for host in finder.trusted_hosts]
    for name in ("no_binary", "only_binary"):
        formats = set(getattr(finder.format_control, name))
        if name == "only_binary":
            formats |= set(wanted.wheels_only)
        if formats:
            lines.append(f"--{name.replace('_', '-')} {','.join(sorted(formats))}")
    lines += ["--pre"] if getattr(options, "pre", False) else []
    return lines + (["--prefer-binary"] if finder.prefer_binary else [])


def _constraints(context: Context, wanted: Wanted) -> list[str]:
    """Return constraints: the user's, the user's requirements, and the versions decided already."""
    declared = {canonicalize_name(Requirement(each).name) for each in wanted.declared}
    granted = {canonicalize_name(Requirement(each).name) for each in wanted.granted}
    # pip applies only build constraints to a package's build requirements.
    free = (declared - granted) | {canonicalize_name(wanted.excluded)}
    lines = []
    pinned = {canonicalize_name(name): version for name, version in wanted.pins.items()}
    for each in context.requirements:
        if each.editable or not each.name or canonicalize_name(each.name) in free | pinned.keys():
            continue
        if each.link is not None:
            lines.append(f"{each.name} @ {each.link.url}")
        elif each.req is not None and str(each.req.specifier):
            lines.append(f"{each.name}{each.req.specifier}" + (f" ; {each.markers}" if each.markers else ""))
    lines += [f"{name}=={version}" for name, version in pinned.items() if name not in free]
    for path in getattr(context.options, "build_constraints", None) or ():
        lines.append(f"-c {shlex.quote(os.path.abspath(path) if '://' not in path else path)}")
    return lines


def _found(item: dict[str, Any]) -> Found:
    info, metadata = item["download_info"], item["metadata"]
    archive = info.get("archive_info") or {}
    sha256 = (archive.get("hashes") or {}).get("sha256")
    if sha256 is None and str(archive.get("hash", "")).startswith("sha256="):
        sha256 = str(archive["hash"]).partition("=")[2]
    fragments = [f"sha256={sha256}"] if sha256 else []
    if info.get("subdirectory"):
        fragments.append(f"subdirectory={info['subdirectory']}")
    url = str(info["url"])
    if vcs := info.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return Found(
        str(metadata["name"]), str(metadata["version"]),
        f"{metadata['name']} @ {url}" + (f"#{'&'.join(fragments)}" if fragments else ""), sha256,
        tuple(metadata.get("requires_dist") or ()),
    )


def _pip(context: Context, *arguments: str, python: str = sys.executable) -> None:
    given = [*arguments, *_connection_options(context.options)]
    logger.debug("pipfast: running %s -m pipfast %s", python, " ".join(given))
    ended = subprocess.run(
        [python, "-c", child.program(), *given], env=_environ(context),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", check=False,
    )
    for line in ended.stdout.splitlines():
        logger.debug("pipfast:   %s", line)
    if ended.returncode:
        errors = [line for line in ended.stdout.splitlines() if line.startswith("ERROR: ")]
        raise OverlayFailed("\n".join(errors) or ended.stdout.strip())


def _connection_options(options: Any) -> list[str]:
    given = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    for name in _VALUES:
        value = getattr(options, name, None)
        if name == "cache_dir" and not value:
            given.append("--no-cache-dir")
        elif value not in (None, ""):
            given += [f"--{name.replace('_', '-')}", str(value)]
    if "truststore" in getattr(options, "features_enabled", ()):
        given += ["--use-feature", "truststore"]
    return given


def _environ(context: Context) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    for name, value in {**context.environ, **context.run.for_children()}.items():
        environ.pop(name, None)
        if value is not None:
            environ[name] = value
    # By its tracker of builds pip finds a package that needs itself.
    tracker = {name: os.environ[name] for name in ("PIP_BUILD_TRACKER",) if name in os.environ}
    # The system's Python is never written to.
    return environ | tracker | {"PIP_CONFIG_FILE": os.devnull, "PIP_BREAK_SYSTEM_PACKAGES": "1"}
