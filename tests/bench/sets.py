"""The lists of requirements that are measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PackageSet:
    """What one install command asks for."""

    name: str
    requirements: tuple[str, ...]
    no_deps: bool = False
    """Pass ``--no-deps``: the set is about its own archives only."""
    needs_find_links: bool = False
    """Resolve only where the client's configuration names a find-links folder.

    The index's own torch is a CUDA build of several GB; the CPU build is a local file.
    """

    @property
    def arguments(self) -> list[str]:
        """The command line after ``install`` and its options; pip and uv read it alike."""
        return [*(["--no-deps"] if self.no_deps else []), *self.requirements]


SETS = {
    found.name: found
    for found in (
        PackageSet("flask", ("flask",)),
        PackageSet(
            "web",
            ("fastapi[standard]", "sqlalchemy", "celery", "redis", "boto3", "flask", "requests"),
        ),
        PackageSet("jupyter", ("jupyterlab", "pandas", "scikit-learn", "matplotlib")),
        PackageSet("torch", ("torch==2.13.0",), no_deps=True, needs_find_links=True),
    )
}
