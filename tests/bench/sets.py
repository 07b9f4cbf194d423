"""Lists of requirements that are measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class PackageSet:
    """What one install command asks for."""

    name: str
    requirements: tuple[str, ...]
    no_deps: bool = False
    """Pass ``--no-deps``: the set is about its own archives only."""
    no_binary: bool = False
    """Take what is asked for as source distributions; what builds them comes as wheels."""
    needs_find_links: bool = False
    """Resolve only where the client's configuration names a find-links folder.

    The index's own torch is a CUDA build of several GB; the CPU build is a local file.
    """

    @property
    def arguments(self) -> list[str]:
        """The command line after ``install`` and its options; pip and uv read it alike."""
        names = [name.partition("==")[0] for name in self.requirements] if self.no_binary else []
        sources = [word for name in names for word in ("--no-binary", name)]
        return [*(["--no-deps"] if self.no_deps else []), *sources, *self.requirements]

    def pinned(self, picks: Iterable[dict[str, Any]], folder: Path) -> PackageSet:
        """Return the set as a lock file has it: every distribution with its version and its hash.

        :param picks: as ``Corpus.picks`` returns them.
        :param folder: where the requirements file goes.
        """
        name = f"{self.name}-pinned"
        path = folder / f"{name}.txt"
        lines = [f"{row['name']}=={row['version']} --hash=sha256:{row['sha256']}\n" for row in picks]
        path.write_text("".join(lines), encoding="utf-8")
        return replace(self, name=name, requirements=("--require-hashes", "-r", str(path)))


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
        # One after another: setuptools without a pyproject.toml, setuptools-scm, flit-core, hatchling with
        # plugins, poetry-core, pdm-backend, hatchling, pbr.
        PackageSet(
            "sdists",
            ("six==1.17.0", "tqdm==4.67.1", "idna==3.10", "attrs==25.4.0", "rich==14.2.0",
             "findpython==0.7.1", "soupsieve==2.8", "stevedore==5.6.0"),
            no_deps=True, no_binary=True,
        ),
    )
}
