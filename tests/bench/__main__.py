"""Command line of the benchmarks: ``python tests/bench [COMMAND] [OPTIONS]``, from a checkout's root."""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__" and not __package__:
    # `python tests/bench` puts this folder on sys.path; the package's name is found from the one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench import client, report
from bench.corpus import Corpus
from bench.environment import find_uv
from bench.goals import CAPPED, DISTANT, goals
from bench.placing import measure_placing
from bench.race import race
from bench.relay import Line, Relay
from bench.scenarios import SCENARIOS
from bench.server import Server
from bench.session import RUNS, Options, Session, names
from bench.sets import SETS
from bench.stream import one_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOOLS = ("pip", "pipfast", "uv", "uv-compile")


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def default_corpus() -> Path:
    """Return the user's own cache folder for the corpus."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pipfast-bench" / "corpus"


def run(chosen: argparse.Namespace) -> None:
    """Measure whole commands."""
    with Session(_options(chosen), say) as session:
        runs: list[dict[str, Any]] = []
        line = Line(chosen.rtt, chosen.mbit)
        for place in session.places(line):
            records = session.rounds.measure(place, chosen.scenarios, chosen.rounds, chosen.memory_rounds)
            runs += session.keep(records)
            session.rounds.forget(place)
        _finish(session.results(runs=runs), chosen)


def run_placing(chosen: argparse.Namespace) -> None:
    """Measure placing against cp -al."""
    with Session(_options(chosen), say) as session:
        rows: list[dict[str, Any]] = []
        for place in session.places(Line()):
            rows += measure_placing(session.rounds, place, session.pipfast, chosen.rounds)
            session.rounds.forget(place)
        _finish(session.results(placing=rows), chosen)


def run_race(chosen: argparse.Namespace) -> None:
    """Race two runs from one empty store."""
    with Session(_options(chosen), say) as session:
        rows: list[dict[str, Any]] = []
        for place in session.places(Line()):
            rows += race(session.rounds, place, session.pipfast, chosen.times)
        _finish(session.results(race=rows), chosen)
        if any(row["wrong"] for row in rows):
            raise client.BenchError("not every race came out right")


def run_goals(chosen: argparse.Namespace) -> None:
    """Measure every figure that must be reached."""
    with Session(_options(chosen), say) as session:
        parts: dict[str, list[dict[str, Any]]] = {"runs": [], "placing": [], "race": [], "stream": []}
        near = {place.wanted.name: place for place in session.places(Line())}
        if "jupyter" in near:
            place = near["jupyter"]
            parts["runs"] += session.keep(session.rounds.measure(place, tuple(SCENARIOS), chosen.rounds))
            parts["placing"] += measure_placing(session.rounds, place, session.pipfast, chosen.rounds)
            session.rounds.forget(place)
        for place in session.places(CAPPED):
            if place.wanted.name == "torch":
                archive = Corpus(chosen.corpus).picks("torch")[0]
                seconds = [one_stream(place.index, archive) for _ in range(2)]
                parts["stream"].append({"set": "torch", "line": place.line, "seconds": seconds})
                parts["runs"] += session.keep(session.rounds.measure(place, ("cold",), chosen.rounds))
        for place in session.places(DISTANT):
            if place.wanted.name == "web":
                parts["runs"] += session.keep(session.rounds.measure(place, ("cold",), chosen.rounds))
        if "sdists" in near:
            place = near["sdists"]
            parts["runs"] += session.keep(session.rounds.measure(place, ("cold", "warm"), chosen.rounds))
        if "web" in near:
            parts["race"] += race(session.rounds, near["web"], session.pipfast, chosen.times)
        results = session.results(**parts)
        held = goals(results)
        results["goals"] = [str(goal) for goal in held]
        _finish(results, chosen)
        print("\n".join(["", *map(str, held)]))


def fill(chosen: argparse.Namespace) -> None:
    """Fill the corpus."""
    uv = chosen.uv or find_uv(chosen.corpus / "uv")
    for name in chosen.sets:
        Corpus(chosen.corpus).fill(SETS[name], say, uv)


def serve(chosen: argparse.Namespace) -> None:
    """Serve the corpus until interrupted, for a look by hand."""
    with Server(chosen.corpus, not chosen.no_core_metadata, chosen.page_max_age) as server:
        with Relay(Line(chosen.rtt, chosen.mbit), server.port) as port:
            print(f"http://127.0.0.1:{port}/simple/", flush=True)
            try:
                sys.stdin.read()
            except KeyboardInterrupt:
                return


def show(chosen: argparse.Namespace) -> None:
    """Write table and picture of an earlier run again, or of one that was interrupted."""
    interrupted = chosen.out / RUNS
    if interrupted.exists():
        lines = interrupted.read_text(encoding="utf-8").splitlines()
        _finish({"meta": {"command": "interrupted"}, "runs": list(map(json.loads, lines))}, chosen)
        return
    results = json.loads((chosen.out / "results.json").read_text(encoding="utf-8"))
    _finish(results, chosen)


def _finish(results: dict[str, Any], chosen: argparse.Namespace) -> None:
    print(report.table(results))
    for path in report.write(results, chosen.out):
        say(f"written: {path}")
    (chosen.out / RUNS).unlink(missing_ok=True)


def _options(chosen: argparse.Namespace) -> Options:
    return Options(
        corpus=chosen.corpus,
        out=chosen.out,
        sets=tuple(SETS[name] for name in chosen.sets),
        tools=chosen.tools,
        work=chosen.work,
        wheel=chosen.wheel,
        uv=chosen.uv,
        core_metadata=not chosen.no_core_metadata,
        pinned=chosen.pinned,
        page_max_age=chosen.page_max_age,
    )


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], None], str]] = {
    "run": (run, "flask"),
    "corpus": (fill, "all"),
    "serve": (serve, "all"),
    "placing": (run_placing, "jupyter"),
    "race": (run_race, "web"),
    "goals": (run_goals, "jupyter,torch,web,sdists"),
    "report": (show, "all"),
}
"""What can be asked for, and the sets it is about unless told; the first is meant when none is named."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; they share their options."""
    made = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True)
    for name, (function, sets) in COMMANDS.items():
        one = commands.add_parser(name, help=(function.__doc__ or "").splitlines()[0])
        one.set_defaults(function=function)
        _add_options(one, sets)
    return made


def _add_options(one: argparse.ArgumentParser, sets: str) -> None:
    def listed(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
        return functools.partial(names, known=known)

    path = functools.partial(one.add_argument, type=lambda text: Path(text).absolute(), metavar="PATH")
    one.add_argument("--sets", type=listed(tuple(SETS)), default=names(sets, tuple(SETS)), help=", ".join(SETS))
    one.add_argument("--scenarios", type=listed(SCENARIOS), default=("cold", "warm"), help=", ".join(SCENARIOS))
    one.add_argument("--tools", type=listed(TOOLS), default=TOOLS, help=", ".join(TOOLS))
    one.add_argument("--rounds", type=int, default=5, help="timed rounds (5)")
    one.add_argument("--memory-rounds", type=int, default=1, help="rounds more, with memory sampled (1)")
    one.add_argument("--times", type=int, default=20, help="races (20)")
    one.add_argument("--rtt", type=float, default=0.0, metavar="MS", help="round-trip time to add")
    one.add_argument("--mbit", type=float, default=0.0, metavar="N", help="cap of each connection, Mbit/s")
    path("--corpus", default=default_corpus(), help="folder of pages and wheels; filled where it lacks a set")
    path("--out", default=Path("bench-results").absolute(), help="where results go (bench-results)")
    path("--work", help="folder to work in, e.g. on another filesystem; left behind")
    path("--wheel", help="pipfast as a wheel, instead of building this checkout")
    path("--uv", help="the uv to measure")
    one.add_argument("--no-core-metadata", action="store_true", help="serve pages that name no metadata files")
    one.add_argument("--pinned", action="store_true", help="require every version and hash, from a file")
    one.add_argument("--page-max-age", type=int, default=600, metavar="S", help="freshness of pages (600)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what ``arguments`` say and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0] not in COMMANDS and words[0] not in ("-h", "--help")):
        words.insert(0, "run")
    chosen = parser().parse_args(words)
    # Ended by `timeout` or a CI's limit, it takes its server and its folder with it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        chosen.function(chosen)
    except client.BenchError as error:
        say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
