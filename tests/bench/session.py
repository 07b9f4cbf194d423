"""Session: the corpus, server, relay, tools and working folder of one measurement."""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.client import BenchError
from bench.corpus import Corpus
from bench.environment import Tool, Workshop, find_uv, tools
from bench.relay import Line, Relay
from bench.scenarios import Place, Rounds
from bench.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from bench.sets import PackageSet


RUNS = "runs.jsonl"
"""Where the runs of a benchmark that has not ended are."""


@dataclass(frozen=True, slots=True)
class Options:
    """What every benchmark can be told."""

    corpus: Path
    out: Path
    sets: tuple[PackageSet, ...]
    tools: tuple[str, ...] = ("pip", "pipfast", "uv", "uv-compile")
    work: Path | None = None
    """Folder to work in; ``None`` makes one and removes it. Caches and environments are all in it."""
    wheel: Path | None = None
    uv: Path | None = None
    core_metadata: bool = True
    pinned: bool = False
    """Install from a requirements file with every version and hash."""
    page_max_age: int = 600


@dataclass(slots=True)
class Session:
    """A context manager; within it, places to install from and tools to install with."""

    options: Options
    say: Callable[[str], None]
    versions: dict[str, str] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _server: Server | None = None
    _rounds: Rounds | None = None
    _ports: dict[Line, int] = field(default_factory=dict)

    def __enter__(self) -> Session:
        with self._open as stack:
            root = self.options.work or Path(stack.enter_context(_scratch()))
            root.mkdir(parents=True, exist_ok=True)
            uv = self.options.uv or find_uv(root / "uv")
            corpus = Corpus(self.options.corpus)
            for wanted in self.options.sets:
                if not corpus.has(wanted):
                    corpus.fill(wanted, self.say, uv)
            workshop = Workshop(root, uv)
            shutil.rmtree(workshop.template, ignore_errors=True)
            stack.callback(shutil.rmtree, workshop.over, ignore_errors=True)
            self.versions = workshop.prepare(self.say, self.options.wheel)
            chosen = [tool for name, tool in tools(uv).items() if name in self.options.tools]
            chosen = [tool for tool in chosen if tool.name in self.versions]
            self._rounds = Rounds(workshop, chosen, self.say)
            server = Server(corpus.root, self.options.core_metadata, self.options.page_max_age)
            self._server = stack.enter_context(server)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def rounds(self) -> Rounds:
        assert self._rounds is not None
        return self._rounds

    @property
    def pipfast(self) -> Tool:
        """Return pipfast.

        :raises BenchError: it is not among the tools that can be measured.
        """
        for tool in self.rounds.tools:
            if tool.name == "pipfast":
                return tool
        raise BenchError("this needs pipfast, which was left out")

    def places(self, line: Line) -> list[Place]:
        """Return where to install each set from, over ``line``; sets that this machine has not are left out."""
        corpus = Corpus(self.options.corpus)
        index = f"http://127.0.0.1:{self._port(line)}/simple/"
        held = [wanted for wanted in self.options.sets if corpus.has(wanted)]
        if self.options.pinned:
            held = [each.pinned(corpus.picks(each.name), self.rounds.workshop.root) for each in held]
        return [Place(wanted, str(line), index) for wanted in held]

    def _port(self, line: Line) -> int:
        if line not in self._ports:
            assert self._server is not None
            self._ports[line] = self._open.enter_context(Relay(line, self._server.port))
        return self._ports[line]

    def keep(self, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Collect ``records``; each is on disk as soon as it is there, for a benchmark that is interrupted."""
        self.options.out.mkdir(parents=True, exist_ok=True)
        collected = []
        for record in records:
            collected.append(record)
            with (self.options.out / RUNS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        return collected

    def results(self, **parts: Any) -> dict[str, Any]:
        """Return ``parts`` with all that a reader must know about how they came about."""
        assert self._server is not None
        misses = self._server.misses()
        notes = [*self.rounds.notes, *([f"not in the corpus, answered 404: {misses}"] if misses else [])]
        return {"meta": self._meta(), "notes": notes, "runs": [], **parts}

    def _meta(self) -> dict[str, Any]:
        corpus = Corpus(self.options.corpus)
        held = {wanted.name: wanted for wanted in self.options.sets if corpus.has(wanted)}
        return {
            "command": shlex.join(["python", *sys.argv]),
            "versions": {name: self.versions[name] for name in self.versions if name in self.options.tools},
            "python": platform.python_version(),
            "machine": f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.release()}",
            "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
            "links": {name: corpus.links(name) for name in held},
            "archives": {
                name: f"{len(rows)}, {sum(row['size'] for row in rows) / 1e6:.0f} MB"
                for name, rows in ((name, corpus.picks(name)) for name in held)
            },
            "core metadata": self.options.core_metadata,
            "pinned": self.options.pinned,
        }


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pipfast-bench-", ignore_cleanup_errors=True)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)


def names(text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Split ``a,b`` or ``all``.

    :raises ValueError: a name is unknown; argparse turns it into its own message.
    """
    asked = tuple(known) if text == "all" else tuple(text.split(","))
    for name in asked:
        if name not in known:
            raise ValueError(name)
    return asked
