"""Messages about rescued builds.

Each function returns the text and the hint that ``report.say`` takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast.requirements import canonicalize_name, read_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipfast.rescue.diagnosis.causes import Cause
    from pipfast.rescue.trust.policy import Grant, Refusal

Said = tuple[str, str | None]

BUILD_TOOLS = frozenset({
    "build", "cffi", "cmake", "cppy", "cython", "expandvars", "extension-helpers", "flit-core", "hatch-vcs",
    "hatchling", "jupyter-packaging", "maturin", "meson", "meson-python", "nanobind", "ninja", "packaging", "pbr",
    "pdm-backend", "pip", "pkgconfig", "poetry-core", "pybind11", "pyqt-builder", "pythran", "scikit-build",
    "scikit-build-core", "semantic-version", "setuptools", "setuptools-git", "setuptools-git-versioning",
    "setuptools-golang", "setuptools-rust", "setuptools-scm", "sip", "toml", "tomli", "trove-classifiers",
    "versioningit", "wheel", "ziglang",
})
"""Normalised names of distributions that builds use and built packages do not."""

ERROR_CHARACTERS = 300
"""Characters that are quoted of an error's last line, which is a whole command line with some backends."""


def shown(requirement: str) -> str:
    """Return a requirement as in a sentence: ``torch 2.13.0`` for ``torch==2.13.0``."""
    read = read_requirement(requirement)
    clauses = list(read.specifier) if read else []
    if read is not None and len(clauses) == 1 and clauses[0].operator == "==" and "*" not in clauses[0].version:
        return f"{read.name} {clauses[0].version}"
    return requirement


def granted(
    package: str, cause: Cause | None, grant: Grant, version: str | None = None, *, again: bool = True
) -> Said:
    """Return the message at the begin of a build made again; without a cause, for the user's setting."""
    what = f"{grant.name} {version}" if version else shown(grant.requirement)
    origin = (
        "the version that the environment has" if grant.installed
        else "the version that this command installs" if grant.chosen else grant.why
    )
    if cause is None:
        return f"Building {package} without isolation, with {what} ({origin}).", None
    build = "Building it again" if again else "Building it"
    return f"{cause.sentence(package)}. {build} without isolation, with {what} ({origin}).", None


def refused(package: str, cause: Cause, refusal: Refusal) -> Said:
    """Return the message, after pip's own error, that nobody trusted names a distribution."""
    return f"{cause.sentence(package)}, and {refusal.reason}", refusal.hint


def not_to_be_had(package: str, reason: str) -> Said:
    """Return the message that pip could not install the requirements of a build without isolation."""
    lines = [line for line in reason.splitlines() if line.strip()] or ["no reason was given"]
    return (f"{package} cannot be built without isolation: what it needs there is not to be had\n"
            + "\n".join(f"  pip: {line.strip().removeprefix('ERROR: ')}" for line in lines)), None


def failed(package: str, first: str, last: str, grants: Sequence[Grant]) -> Said:
    """Return the message after the last round."""
    rounds = f"{len(grants)} more {'round' if len(grants) == 1 else 'rounds'}"
    beside = ", ".join(shown(grant.requirement) for grant in grants)
    lines = [f"the build of {package} failed after {rounds}, with {beside}; none of it was installed"]
    lines.append(f"  first error: {_last_line(first)}")
    lines.append(f"  last error:  {_last_line(last)}")
    return "\n".join(lines), None


def undeclared(package: str, names: Sequence[str], program: str = "pipfast") -> Said:
    """Return the message about distributions that ``undeclared_of`` has found."""
    listed = ", ".join(names)
    those, were = ("it", "it was") if len(names) == 1 else ("them", "they were")
    return (
        f"{package} was built with {listed}, declares no dependency on {those}, and {were} not installed",
        f"if {package} needs {those} to run:\n  {program} install {' '.join(names)}",
    )


def undeclared_of(grants: Iterable[Grant], requires: Iterable[str], there: Iterable[str]) -> list[str]:
    """Return the distributions that a build needed and nobody installs, but for build tools."""
    covered = {canonicalize_name(name) for name in there} | BUILD_TOOLS
    covered |= {canonicalize_name(read.name) for read in map(read_requirement, requires) if read is not None}
    names = dict.fromkeys(grant.name for grant in grants)
    return [name for name in names if canonicalize_name(name) not in covered]


def _last_line(error: str) -> str:
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    text = lines[-1] if lines else "no message"
    return text if len(text) <= ERROR_CHARACTERS else f"{text[:ERROR_CHARACTERS]} …"
