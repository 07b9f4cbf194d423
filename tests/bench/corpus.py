"""Corpus: a folder of real pages and wheels that can be served as an index.

    corpus.json                          for which Python, and what each set resolves to
    upstream/<name>.json                 a project's page as its index gave it
    pages/core-metadata/simple/<name>/   that page with loopback addresses; plain and compressed
    pages/plain/simple/<name>/           the same without a word of core metadata
    files/<aa>/<digest>/<filename>       an archive, and beside it its METADATA as <filename>.metadata

A page keeps every version and every file that upstream lists: reading them is the resolver's real work. Only
what a resolution picks is held; for the rest the server answers 404, and filling goes on until no client asks
for anything that is not there.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bench import client
from bench.client import BenchError, FileWanted, PageWanted, Picked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bench.sets import PackageSet

VARIANTS = ("core-metadata", "plain")

MAX_PASSES = 60
"""Rounds of "ask, see what was missing, fetch it"; two or three are usual, a source needs some for each of the
packages that build it."""

_PYTHON = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}-{platform.machine()}"


@dataclass(frozen=True, slots=True)
class Corpus:
    """The folder, and what is known of it."""

    root: Path

    # -- what is there

    def known(self) -> dict[str, Any]:
        """Return ``corpus.json``.

        :raises BenchError: the folder was filled for another Python or machine.
        """
        path = self.root / "corpus.json"
        if not path.exists():
            return {"python": _PYTHON, "sets": {}}
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if known["python"] != _PYTHON:
            raise BenchError(
                f"{self.root} holds wheels for {known['python']}, this is {_PYTHON}\n"
                "hint: name another folder with --corpus"
            )
        return known

    def has(self, wanted: PackageSet) -> bool:
        """Tell whether ``wanted`` was filled, as it is spelled today."""
        found = self.known()["sets"].get(wanted.name)
        return bool(found) and found["requirements"] == list(wanted.requirements)

    def picks(self, name: str) -> list[dict[str, Any]]:
        """Return name, version, filename, sha256 and size of each archive of the set ``name``."""
        rows: list[dict[str, Any]] = self.known()["sets"][name]["picks"]
        return rows

    def page(self, name: str) -> dict[str, Any]:
        """Return the upstream page of a project."""
        page: dict[str, Any] = json.loads(self._upstream(name).read_text(encoding="utf-8"))
        return page

    def links(self, name: str) -> int:
        """Return how many links the pages of the set ``name`` hold."""
        return sum(len(self.page(row["name"])["files"]) for row in self.picks(name))

    def file(self, sha256: str, filename: str) -> Path:
        """Return where an archive lies, or would lie."""
        return self.root / "files" / sha256[:2] / sha256[2:] / filename

    def _upstream(self, name: str) -> Path:
        return self.root / "upstream" / f"{name}.json"

    # -- adding to it

    def add_page(self, name: str, page: dict[str, Any]) -> None:
        """Take ``page`` as what upstream says of the project ``name``."""
        path = self._upstream(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(page), encoding="utf-8")

    def add_wheel(self, name: str, wheel: Path) -> None:
        """Hold ``wheel``, and list it on its project's page if upstream does not."""
        content = wheel.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        target = self.file(digest, wheel.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        extract_metadata(target)
        page: dict[str, Any] = {"name": name, "meta": {"api-version": "1.1"}, "versions": [], "files": []}
        if self._upstream(name).exists():
            page = self.page(name)
        if not any(file["filename"] == wheel.name for file in page["files"]):
            page["files"].append(
                {"filename": wheel.name, "hashes": {"sha256": digest}, "size": len(content), "url": ""}
            )
            page["versions"] = sorted({*page.get("versions", []), wheel.name.split("-")[1]})
        self.add_page(name, page)

    def record_set(self, wanted: PackageSet, picked: Iterable[Picked]) -> None:
        """Write down what ``wanted`` resolves to; every pick must be held."""
        known = self.known()
        rows = [self._row(pick) for pick in sorted(picked, key=lambda pick: pick.name)]
        known["sets"][wanted.name] = {"requirements": list(wanted.requirements), "picks": rows}
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "corpus.json").write_text(json.dumps(known, indent=1), encoding="utf-8")

    def _row(self, pick: Picked) -> dict[str, Any]:
        listed = self._listed(pick)
        if listed is None or not self.file(listed["hashes"]["sha256"], pick.filename).exists():
            raise BenchError(f"{pick.filename} is not in {self.root}")
        digest = listed["hashes"]["sha256"]
        size = self.file(digest, pick.filename).stat().st_size
        row = {"name": pick.name, "version": pick.version, "filename": pick.filename}
        return {**row, "sha256": digest, "size": size}

    def _listed(self, pick: Picked) -> dict[str, Any] | None:
        for file in self.page(pick.name)["files"]:
            if file["filename"] == pick.filename:
                listed: dict[str, Any] = file
                return listed
        return None

    def write_pages(self) -> None:
        """Write both variants of every page; a page that is as it was keeps its time, and so its ETag."""
        for upstream in sorted((self.root / "upstream").glob("*.json")):
            page = self.page(upstream.stem)
            for variant in VARIANTS:
                folder = self.root / "pages" / variant / "simple" / upstream.stem
                folder.mkdir(parents=True, exist_ok=True)
                files = [self._served(file, variant == "core-metadata") for file in page["files"]]
                content = json.dumps({**page, "files": files}, separators=(",", ":")).encode()
                target = folder / "index.json"
                if target.exists() and target.read_bytes() == content:
                    continue
                target.write_bytes(content)
                target.with_name("index.json.gz").write_bytes(gzip.compress(content, 6, mtime=0))

    def _served(self, file: dict[str, Any], core_metadata: bool) -> dict[str, Any]:
        """Return a page's entry with a loopback address, and with core metadata if it is held and wanted."""
        hidden = {"core-metadata", "data-dist-info-metadata", "dist-info-metadata", "provenance", "url"}
        served = {key: value for key, value in file.items() if key not in hidden}
        digest = file["hashes"].get("sha256", "0" * 64)
        served["url"] = f"/files/{digest[:2]}/{digest[2:]}/{file['filename']}"
        side = self.file(digest, file["filename"] + ".metadata")
        if core_metadata and side.exists():
            mark = {"sha256": hashlib.sha256(side.read_bytes()).hexdigest()}
            served["core-metadata"] = served["data-dist-info-metadata"] = mark
        return served

    # -- filling it from the client's own configuration

    def fill(self, wanted: PackageSet, say: Callable[[str], None], uv: Path | None) -> bool:
        """Fetch everything that installing ``wanted`` needs; tell whether it could be done here."""
        if wanted.needs_find_links and not client.has_find_links():
            say(f"{wanted.name}: skipped, pip is configured with no find-links folder here")
            return False
        say(f"{wanted.name}: resolving")
        picked = client.resolve(wanted)
        self._fetch_pages(pick.name for pick in picked)
        say(f"{wanted.name}: {len(picked)} archives")
        self._fetch_picks(picked)
        self.write_pages()
        self.record_set(wanted, self._settle(wanted, say, uv))
        say(f"{wanted.name}: {self.links(wanted.name)} links on {len(self.picks(wanted.name))} pages")
        return True

    def _fetch_pages(self, names: Iterable[str]) -> list[str]:
        missing = [name for name in dict.fromkeys(names) if not self._upstream(name).exists()]
        return client.fetch(pages=[PageWanted(name, self._upstream(name)) for name in missing])

    def _fetch_picks(self, picked: Iterable[Picked]) -> None:
        wanted = []
        for pick in picked:
            listed = self._listed(pick)
            if listed is None:
                # e.g. the CPU build of torch, which lies in a folder and is on no page
                if not pick.url.startswith("file:"):
                    raise BenchError(f"{pick.filename} is on no page of {pick.name}")
                self.add_wheel(pick.name, Path(unquote(urlsplit(pick.url).path)))
                continue
            digest = listed["hashes"]["sha256"]
            target = self.file(digest, pick.filename)
            if not target.exists():
                wanted.append(FileWanted(listed["url"], digest, target))
        client.fetch(files=wanted)
        for wheel in (self.root / "files").glob("*/*/*.whl"):
            extract_metadata(wheel)

    def _settle(self, wanted: PackageSet, say: Callable[[str], None], uv: Path | None) -> list[Picked]:
        """Resolve against the loopback index, with both clients, until nothing they ask for is missing.

        :raises BenchError: it does not come to rest, or the clients disagree.
        """
        from bench.environment import isolated
        from bench.server import Server

        unlisted: set[str] = set()
        for _ in range(MAX_PASSES):
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch, Server(self.root) as server:
                index = f"http://127.0.0.1:{server.port}/simple/"
                env = isolated(Path(scratch))
                failed: BenchError | None = None
                picked: list[Picked] = []
                try:
                    picked = client.resolve(wanted, ["--index-url", index], env)
                    other = _resolve_with_uv(wanted, index, env, uv) if uv else None
                except BenchError as error:
                    failed = error
                misses = server.misses()
            self._fetch_missing(misses, unlisted, say)
            if failed is None:
                self._fetch_picks(picked)
            self.write_pages()
            # A name that upstream has no page of will be missed for ever, and that is as it should be.
            if failed is None and unlisted.issuperset(misses):
                chosen = {pick.name: pick.version for pick in picked}
                if other is not None and other != chosen:
                    differing = sorted(set(other.items()) ^ set(chosen.items()))
                    say(f"{wanted.name}: uv picks otherwise: {differing}")
                return picked
            if failed is not None and not misses:
                raise failed
        raise BenchError(f"{wanted.name}: clients keep asking for what is not there: {misses}")

    def _fetch_missing(self, paths: Iterable[str], unlisted: set[str], say: Callable[[str], None]) -> None:
        """Fetch the pages and archives that a client asked for in vain."""
        for path in paths:
            if path.startswith("/simple/"):
                name = path.split("/")[2]
                if self._fetch_pages([name]):
                    unlisted.add(path)
                else:
                    say(f"  also asked for: {name}")
                continue
            filename = path.rsplit("/", 1)[-1].removesuffix(".metadata")
            name = client.normalise(filename.split("-")[0])
            say(f"  also asked for: {filename}")
            self._fetch_picks([Picked(name, filename.split("-")[1], f"/{filename}")])


def _resolve_with_uv(
    wanted: PackageSet, index: str, env: dict[str, str], uv: Path | None
) -> dict[str, str]:
    """Return name -> version of what uv would install into an empty environment."""
    from bench.environment import bare_venv

    assert uv is not None
    target = bare_venv(Path(env["HOME"]) / "venv")
    report = Path(env["HOME"]) / "pylock.toml"
    requirements = Path(env["HOME"]) / "requirements.in"
    requirements.write_text("\n".join(wanted.requirements), encoding="utf-8")
    run = [str(uv), "pip", "compile", "--quiet", "--no-annotate", "--no-header", "--python", str(target)]
    extra = ["--no-deps"] if wanted.no_deps else []
    client.run([*run, *extra, "--index-url", index, "-o", str(report.with_suffix(".txt")), str(requirements)], env)
    pins = [line.split("==") for line in report.with_suffix(".txt").read_text(encoding="utf-8").split()]
    return {client.normalise(pin[0].split("[")[0]): pin[1] for pin in pins if len(pin) == 2}


def extract_metadata(wheel: Path) -> None:
    """Write ``wheel``'s METADATA beside it."""
    side = wheel.with_name(wheel.name + ".metadata")
    if side.exists() or wheel.suffix != ".whl":
        return
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.count("/") == 1 and name.endswith(".dist-info/METADATA"):
                side.write_bytes(archive.read(name))
                return
    raise BenchError(f"{wheel.name} has no METADATA")
