"""Client for public indexes: this interpreter's pip with its own configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.sets import PackageSet

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


class BenchError(Exception):
    """A benchmark cannot be run or cannot be believed."""


@dataclass(frozen=True, slots=True)
class Picked:
    """One archive that a resolution chose."""

    name: str
    """Normalised, as in a page's address."""
    version: str
    url: str

    @property
    def filename(self) -> str:
        """The archive's name on disk."""
        return unquote(urlsplit(self.url).path.rsplit("/", 1)[-1])


@dataclass(frozen=True, slots=True)
class PageWanted:
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class FileWanted:
    url: str
    sha256: str
    path: Path


def normalise(name: str) -> str:
    """Return a project's name as the simple index spells it."""
    return name.replace("_", "-").replace(".", "-").lower()


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None, text: str | None = None) -> str:
    """Run ``command`` and return its standard output.

    :raises BenchError: it failed; the message ends with what it said.
    """
    done = subprocess.run(
        [str(part) for part in command], env=env, input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
        raise BenchError(f"{' '.join(map(str, command))} exited {done.returncode}\n{said}")
    return done.stdout


def own_environment() -> dict[str, str]:
    """Return this process's environment, save for what changes how Python writes bytecode."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def resolve(wanted: PackageSet, extra: Sequence[str] = (), env: Mapping[str, str] | None = None) -> list[Picked]:
    """Return what pip would install for ``wanted`` into an empty environment.

    :param extra: further options, e.g. another index.
    :param env: the environment to run in; ``None`` means the client's own configuration.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        report = Path(folder, "report.json")
        command = [*PIP, "install", "--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        run([*command, *extra, *wanted.arguments], env)
        return picked_in(json.loads(report.read_text(encoding="utf-8")))


def picked_in(report: Mapping[str, object]) -> list[Picked]:
    """Return the archives that an installation report names."""
    rows = report["install"]
    assert isinstance(rows, list)
    return [
        Picked(normalise(row["metadata"]["name"]), row["metadata"]["version"], row["download_info"]["url"])
        for row in rows
    ]


def fetch(pages: Iterable[PageWanted] = (), files: Iterable[FileWanted] = ()) -> list[str]:
    """Fetch pages and files; return the names that have no page."""
    answer = _ask(
        {
            "pages": [{"name": page.name, "path": str(page.path)} for page in pages],
            "files": [
                {"url": file.url, "sha256": file.sha256, "path": str(file.path)} for file in files
            ],
        }
    )
    return list(answer["absent"])


def has_find_links() -> bool:
    """Tell whether the client's configuration names a find-links place."""
    return bool(_ask({"pages": [], "files": []})["find_links"])


def _ask(request: Mapping[str, object]) -> dict[str, list[str]]:
    script = Path(__file__).with_name("client_session.py")
    answer: dict[str, list[str]] = json.loads(
        run([sys.executable, script], own_environment(), json.dumps(request))
    )
    return answer
