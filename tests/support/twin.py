"""Twins: the same commands by stock pip and by pipfast, one after the other in the same place.

Each scenario is run with everything cold and then again, in fresh environments, with what the first round has
left: pip's cache for stock pip, pip's cache and the store for pipfast.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from support import snapshot
from support.environments import Environment, Kind, Places, build_templates
from support.forked import ForkedPip, same_start
from support.outputs import normalized, without_notes
from support.runs import Result, base_environ, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from support.index import Request, Server

_VERBOSE = re.compile(r"-q*v[qv]*|--verbose")

# e.g. `pipfast: 72 % of 41 s was one connection to …`
_WHERE_THE_TIME_WENT = re.compile(r"pipfast: \d+ % of ")

OURS = os.environ.get("PIPFAST_TWIN", "pipfast")
"""The module that is compared with pip; ``pip`` tries the comparison itself, and with ``attached`` pip runs with
pipfast in an attached environment. The path of another installation's ``runner.py`` has that one run there."""

# e.g. `pipfast: pip 26.4.dev0 is newer than 26.3, the newest tested: it installs by itself`
_NEWER_PIP = re.compile(r"pipfast: pip \S+ is newer than ")

# e.g. `  Downloading demo-1.0-py3-none-any.whl (1.1 kB)`, and its bar
_FILE_HAD = re.compile(r"^( *)Downloading (\S+).*\n(?: *<bar .*>\n)?", re.MULTILINE)

_FORKED = ("pip", "pipfast")


class Twin(Enum):
    """Who runs a command."""

    STOCK = "stock"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a scenario."""

    args: tuple[str, ...]
    fails: bool | None = False
    """Whether stock pip must fail here; None where that depends on the pip."""
    stock: bool = False
    """Stock pip runs it for both."""
    python: tuple[str, ...] = ()
    """Options of the interpreter."""
    program: bool = False
    """``args`` are the interpreter's own: pip has no part in it."""
    environ: Mapping[str, str] = field(default_factory=dict)


def pip(*args: str, fails: bool | None = False, environ: Mapping[str, str] | None = None) -> Step:
    """Return a step: pip with these arguments."""
    return Step(args, fails=fails, environ=environ or {})


def stock(*args: str) -> Step:
    """Return a step that stock pip runs for both twins."""
    return Step(args, stock=True)


def python(*args: str) -> Step:
    """Return a step that runs the environment's interpreter."""
    return Step(args, program=True)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is run, where, and what it must show."""

    steps: tuple[Step, ...]
    kind: Kind = Kind.VENV
    environ: Mapping[str, str] = field(default_factory=dict)
    umask: int = -1
    prepare: Callable[[Places], object] | None = None
    """Changes the places before each run: the environment, the current and the home folder."""
    between: Callable[[Places], object] | None = None
    """Changes the world between the cold and the warm round; the store is at ``Places.store``."""
    installed: Mapping[str, str | None] | None = None
    """Versions that stock pip must have installed in the end, None for not at all."""
    says: tuple[str, ...] = ()
    """Parts of what stock pip must have printed."""
    inspect: bool = False
    """Whether ``pip inspect`` is compared as well."""
    uninstall: bool | None = None
    """Whether stock pip uninstalls what was installed, and what that leaves is compared; by default where there
    is a warm round."""
    notes: bool = False
    """Whether pipfast may have something to say for itself."""
    more_requests: bool = False
    """Whether pipfast may ask for the same thing more often than pip, as after broken answers."""
    warm: bool = True
    """Whether there is a second round."""
    stock_once: bool = False
    """Compare the warm round with stock pip's cold one, save for what is cached: half the time."""
    forked: frozenset[Twin] = frozenset()
    """Whose commands are forks of a process that has imported what they need, where these would start alike."""
    kept: bool = False
    """pipfast may take what it has where pip asks the server again: how a file came is not compared."""
    each: bool = False
    """Whether folders, and with ``inspect`` what it prints, are compared after each step, not only the last."""
    ours: str = field(default_factory=lambda: OURS)
    """Who is compared with pip, as in ``OURS``."""
    rescued: bool = False
    """Connections break: pipfast may go on where pip gives up, and what is said about it is not compared."""


@dataclass(frozen=True, slots=True)
class Look:
    """The folders as one step leaves them."""

    changed: snapshot.Tree
    """What is new or other in the environment, without the folders of pip and pipfast."""
    gone: tuple[str, ...]
    work: snapshot.Tree
    home: snapshot.Tree
    inspected: Result | None


@dataclass(frozen=True, slots=True)
class Run:
    """What one twin's run of all steps gave."""

    results: tuple[Result, ...]
    changed: snapshot.Tree
    """What is new or other in the environment."""
    gone: tuple[str, ...]
    work: snapshot.Tree
    home: snapshot.Tree
    inspected: Result | None
    uninstalled: Result | None
    left: snapshot.Tree
    """What is new or other in the environment after the uninstall."""
    versions: Mapping[str, str]
    """Distributions in the environment that the template has not, or has in another version."""
    requests: tuple[Request, ...]
    looks: tuple[Look, ...]
    """After each step but the last, if that was asked for."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be."""

    round: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"[{self.round}] {self.kind}: {self.detail}"


class Laboratory:
    """The places and environments of one test process; they are built once."""

    def __init__(self, base: Path, server: Server) -> None:
        self.places = Places(base)
        self.server = server
        with_pipfast = not OURS.endswith("runner.py")
        self._environments = build_templates(base, attached=OURS == "attached", with_pipfast=with_pipfast)
        self._held = base / "held"
        self._forked: dict[tuple[Kind, str], ForkedPip] = {}

    def close(self) -> None:
        """End what runs beside the tests."""
        for each in self._forked.values():
            each.close()
        self._forked.clear()

    def forget(self) -> None:
        """Empty the caches and the store of both twins."""
        shutil.rmtree(self._held, ignore_errors=True)
        for twin in Twin:
            (self._held / twin.value / "cache").mkdir(parents=True)
        (self._held / Twin.OURS.value / "store").mkdir(mode=0o700)

    def store_of_ours(self, change: Callable[[Places], object]) -> None:
        """Let ``change`` see the store at its place, between two runs."""
        held = self._held / Twin.OURS.value / "store"
        held.rename(self.places.store)
        try:
            change(self.places)
        finally:
            self.places.store.rename(held)

    def run(
        self,
        scenario: Scenario,
        twin: Twin,
        inputs: Path,
        sabotage: Callable[[Places], object] | None = None,
        *,
        last: bool = True,
    ) -> Run:
        """Run every step as one twin and look at what came of it, more closely in the ``last`` round."""
        environment = self._environments[scenario.kind]
        places = self.places
        self._set_out(twin, inputs)
        environment.take_out()
        self.server.rewind()
        looks = last and (scenario.inspect or _uninstalls(scenario))
        if not places.user_base.exists():
            if looks or Twin.STOCK in scenario.forked:
                self._begin_to_fork(scenario.kind, "pip")
            if Twin.OURS in scenario.forked and scenario.ours in _FORKED:
                self._begin_to_fork(scenario.kind, scenario.ours)
        try:
            if scenario.prepare is not None:
                scenario.prepare(places)
            results: list[Result] = []
            glances: list[Look] = []
            for step in scenario.steps:
                if scenario.each and results:
                    glances.append(self._glance(scenario, environment))
                results.append(self._step(scenario, step, twin))
            requests = tuple(self.server.requests())
            if sabotage is not None:
                sabotage(places)
            run = self._look(scenario, environment, tuple(results), requests, last)
            return replace(run, looks=tuple(glances))
        finally:
            environment.put_back()
            self._put_away(twin)

    def _begin_to_fork(self, kind: Kind, module: str) -> None:
        if (kind, module) not in self._forked:
            self._forked[kind, module] = ForkedPip(self.places, module)

    def _set_out(self, twin: Twin, inputs: Path) -> None:
        places = self.places
        for folder, source in ((places.work, inputs / "work"), (places.home, inputs / "home")):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder, symlinks=True)
        shutil.rmtree(places.tmp, ignore_errors=True)
        places.tmp.mkdir()
        for held in (self._held / twin.value).iterdir():
            held.rename(places.base / held.name)

    def _put_away(self, twin: Twin) -> None:
        for folder in (self.places.cache, self.places.store):
            if folder.exists():
                folder.rename(self._held / twin.value / folder.name)

    def _step(self, scenario: Scenario, step: Step, twin: Twin) -> Result:
        ours = twin is Twin.OURS and not step.stock
        module = scenario.ours if ours and scenario.ours != "attached" else "pip"
        # The runner is told what stands in usage lines: the module, as with -m.
        start = (module, "__main__.py") if module.endswith("runner.py") else ("-m", module)
        what = () if step.program else start
        forked = self._forked.get((scenario.kind, module)) if twin in scenario.forked else None
        alike = same_start({**scenario.environ, **step.environ}) and not (step.python or step.program)
        # An attached environment's pip gets its hooks when an interpreter starts.
        alike = alike and (not ours or scenario.ours in _FORKED)
        if forked is None or not alike:
            return self._command(scenario, (*step.python, *what, *step.args), step.environ, ours)
        return forked.run(step.args, self._variables(scenario, step.environ, ours), scenario.umask)

    def _command(
        self, scenario: Scenario, args: Sequence[str], environ: Mapping[str, str], ours: bool = False
    ) -> Result:
        variables = self._variables(scenario, environ, ours)
        return run([str(self.places.python), *args], self.places, variables, scenario.umask)

    def _variables(self, scenario: Scenario, environ: Mapping[str, str], ours: bool) -> dict[str, str]:
        switch = {"PIPFAST": "" if ours else "off"}
        return {**base_environ(self.places), **switch, **scenario.environ, **environ}

    def _look(
        self,
        scenario: Scenario,
        environment: Environment,
        results: tuple[Result, ...],
        requests: tuple[Request, ...],
        last: bool,
    ) -> Run:
        places = self.places
        changed, gone = self._changes(environment)
        work, home = snapshot.picture(places.work), snapshot.picture(places.home)
        versions = _versions(places.env, changed)
        inspected = uninstalled = None
        left: snapshot.Tree = {}
        if scenario.inspect and last:
            inspected = self._afterwards(scenario, changed, "inspect")
        if _uninstalls(scenario) and versions and last:
            names = sorted(versions)
            uninstalled = self._afterwards(scenario, changed, "uninstall", "-y", *names)
            left, _ = self._changes(environment)
        return Run(results, changed, gone, work, home, inspected, uninstalled, left, versions, requests, ())

    def _glance(self, scenario: Scenario, environment: Environment) -> Look:
        changed, gone = self._changes(environment, within_own=False)
        work, home = snapshot.picture(self.places.work), snapshot.picture(self.places.home)
        inspected = self._afterwards(scenario, changed, "inspect") if scenario.inspect else None
        return Look(changed, gone, work, home, inspected)

    def _afterwards(self, scenario: Scenario, changed: snapshot.Tree, *args: str) -> Result:
        """Run stock pip on what the steps have left."""
        forked = self._forked.get((scenario.kind, "pip"))
        if forked is None or not same_start(scenario.environ, list(changed)):
            return self._command(scenario, ("-m", "pip", *args), {})
        return forked.run(args, self._variables(scenario, {}, ours=False), scenario.umask)

    def _changes(
        self, environment: Environment, *, within_own: bool = True
    ) -> tuple[snapshot.Tree, tuple[str, ...]]:
        changed, gone = environment.changes(within_own=within_own)
        paths = [path for path in changed if not environment.is_own_bytecode(path)]
        return snapshot.picture(self.places.env, paths), tuple(gone)


def _uninstalls(scenario: Scenario) -> bool:
    return scenario.warm if scenario.uninstall is None else scenario.uninstall


def _versions(env: Path, changed: Sequence[str] | snapshot.Tree) -> dict[str, str]:
    versions = {}
    for path in changed:
        folder, _, name = path.rpartition("/")
        if name == "METADATA" and folder.endswith(".dist-info") and "/_vendor/" not in folder:
            stem = folder.rpartition("/")[2].removesuffix(".dist-info")
            project, _, version = stem.rpartition("-")
            versions[project.replace("_", "-").lower()] = version
    return versions


def run_twins(
    laboratory: Laboratory,
    scenario: Scenario,
    inputs: Path,
    sabotage: Callable[[Places], object] | None = None,
) -> list[Difference]:
    """Run both twins, cold and warm, and return everything that is not as it should be."""
    differences: list[Difference] = []
    laboratory.forget()
    rounds = ("cold", "warm") if scenario.warm else ("cold",)
    for name in rounds:
        last = name == rounds[-1]
        if name == "warm" and scenario.between is not None:
            laboratory.store_of_ours(scenario.between)
        if name == "cold" or not scenario.stock_once:
            theirs = laboratory.run(scenario, Twin.STOCK, inputs, last=last or scenario.stock_once)
        mine = laboratory.run(scenario, Twin.OURS, inputs, sabotage, last=last)
        if name == "cold":
            differences += (Difference(name, "claim", text) for text in _unshown(scenario, theirs))
        if scenario.rescued and theirs.results[-1].code != 0 == mine.results[-1].code:
            continue
        told = _with_files_had if scenario.kept else _uncached if scenario.stock_once else normalized
        for kind, detail in (*_compare(theirs, mine, told), *_manners(scenario, theirs, mine)):
            if not scenario.rescued or kind not in ("stdout", "stderr"):
                differences.append(Difference(name, kind, detail))
    return differences


def _unshown(scenario: Scenario, stock: Run) -> Iterator[str]:
    """Yield what the scenario promises to show and stock pip does not do."""
    for step, result in zip(scenario.steps, stock.results, strict=True):
        if step.fails is not None and step.fails != (result.code != 0):
            yield f"{step.args} gave {result.code}:\n{result.stdout}\n{result.stderr}"
    for name, version in (scenario.installed or {}).items():
        if stock.versions.get(name) != version:
            yield f"stock pip installed {name} {stock.versions.get(name)}, not {version}"
    printed = "".join(result.stdout + result.stderr for result in stock.results)
    for part in scenario.says:
        if part not in printed:
            yield f"stock pip did not say {part!r}:\n{printed}"


def _uncached(text: str) -> str:
    return normalized(text).replace("Using cached ", "Downloading ")


def _with_files_had(text: str) -> str:
    return _FILE_HAD.sub(r"\1Had \2\n", _uncached(text))


def _compare(stock: Run, ours: Run, told: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    pairs = [
        (f"step {number}", *pair) for number, pair in enumerate(zip(stock.results, ours.results, strict=True))
    ]
    if stock.inspected and ours.inspected:
        pairs.append(("inspect", stock.inspected, ours.inspected))
    if stock.uninstalled and ours.uninstalled:
        pairs.append(("uninstall", stock.uninstalled, ours.uninstalled))
    glances = list(zip(stock.looks, ours.looks, strict=True))
    for number, (before, after) in enumerate(glances):
        if before.inspected and after.inspected:
            pairs.append((f"inspect after step {number}", before.inspected, after.inspected))
    for what, theirs, mine in pairs:
        if theirs.code != mine.code:
            yield "exit code", f"{what}: stock {theirs.code}, ours {mine.code}\n{mine.stdout}\n{mine.stderr}"
        outputs = (told(theirs.stdout), told(mine.stdout))
        if outputs[0] != outputs[1]:
            yield "stdout", f"{what}\n{snapshot.text_difference(*outputs)}"
        # The output of a build's own pip is there, too, when it fails.
        errors = (told(theirs.stderr), told(without_notes(mine.stderr)[0]))
        if errors[0] != errors[1]:
            yield "stderr", f"{what}\n{snapshot.text_difference(*errors)}"
    trees = _trees(stock, ours)
    for number, (before, after) in enumerate(glances):
        after_step = f" after step {number}"
        trees += [(what + after_step, theirs, mine) for what, theirs, mine in _trees(before, after)]
        if before.gone != after.gone:
            yield f"environment{after_step}", f"gone with one only: {sorted(set(before.gone) ^ set(after.gone))}"
    if stock.uninstalled and ours.uninstalled:
        trees.append(("after uninstall", stock.left, ours.left))
    printed = {line.strip() for each in stock.results for line in told(each.stdout).splitlines()}
    for what, *pair in trees:
        theirs_left, ours_left = (_comparable(tree, printed, told) for tree in pair)
        for problem in snapshot.compare_trees(theirs_left, ours_left):
            yield what, problem
    if stock.gone != ours.gone:
        yield "environment", f"gone with one only: {sorted(set(stock.gone) ^ set(ours.gone))}"


def _trees(stock: Run | Look, ours: Run | Look) -> list[tuple[str, snapshot.Tree, snapshot.Tree]]:
    return [
        ("environment", stock.changed, ours.changed),
        ("work folder", stock.work, ours.work),
        ("home folder", stock.home, _without_said(ours.home, stock.home)),
    ]


def _without_said(home: snapshot.Tree, stock: snapshot.Tree) -> snapshot.Tree:
    """Take out the empty files by which we know what was said today, and a cache folder made for them."""
    rest = {path: entry for path, entry in home.items() if not path.startswith(".cache/pipfast-said-")}
    if len(rest) < len(home) and ".cache" not in stock and not any(path.startswith(".cache/") for path in rest):
        rest.pop(".cache", None)
    return rest


def _comparable(tree: snapshot.Tree, printed: set[str], told: Callable[[str], str]) -> snapshot.Tree:
    """Take out of logs what was not printed too: what is logged for debugging only is our own affair.

    A clone's own notes hold the time of day, as pip's answers do that a ``--cache-dir cache`` keeps.
    """
    return {
        path: replace(entry, content=_printed_lines(entry.content, printed, told))
        if path.endswith(".log") and entry.is_file
        else entry
        for path, entry in tree.items()
        if "/.git/" not in path and not path.startswith(("cache/http/", "cache/http-v2/"))
    }


def _printed_lines(log: bytes, printed: set[str], told: Callable[[str], str]) -> bytes:
    lines = [line.strip() for line in told(log.decode()).splitlines()]
    return "\n".join(line for line in lines if line in printed).encode()


def _manners(scenario: Scenario, stock: Run, ours: Run) -> Iterator[tuple[str, str]]:
    """Yield what only pipfast can do wrong."""
    for number, (theirs, mine) in enumerate(zip(stock.results, ours.results, strict=True)):
        if len(mine.left_in_tmp) > len(theirs.left_in_tmp):
            yield "left in the temporary folder", f"step {number}: {mine.left_in_tmp}"
        if mine.children:
            yield "still running", f"step {number}: {mine.children}"
        notes = [note for note in without_notes(mine.stderr)[1] if not _NEWER_PIP.match(note)]
        if any(_VERBOSE.fullmatch(each) for each in scenario.steps[number].args):
            notes = [note for note in notes if not _WHERE_THE_TIME_WENT.match(note)]
        if notes and not scenario.notes:
            yield "note", f"step {number}: {notes}"
        if "Traceback" in mine.stdout + mine.stderr and "Traceback" not in theirs.stdout + theirs.stderr:
            yield "traceback", f"step {number}:\n{mine.stderr}"
    stale_with_stock = snapshot.stale_bytecode(stock.changed)
    for path, problem in snapshot.stale_bytecode(ours.changed).items():
        if path not in stale_with_stock:
            yield "environment", problem
    yield from (("environment", problem) for problem in snapshot.shared_files(ours.changed))
    if not scenario.more_requests:
        yield from (("requests", problem) for problem in _surplus_requests(stock.requests, ours.requests))


def _surplus_requests(stock: Sequence[Request], ours: Sequence[Request]) -> Iterator[str]:
    """Yield probes that pip would not send, and what was fetched whole more often than pip does.

    That a server has no ranges is seen when one is asked for; what it sends instead is not read.
    """

    def whole(requests: Sequence[Request], *, ranged: bool = False) -> Counter[tuple[str, str]]:
        return Counter(
            (each.method, each.path)
            for each in requests
            if each.status == 200 and ("range" in each.headers) == ranged
        )

    for (_, path), count in sorted(whole(ours, ranged=True).items()):
        if count > 1:
            yield f"ranges of {path} were asked for {count} times in vain"
    theirs, mine = whole(stock), whole(ours)
    for (method, path), count in sorted(mine.items()):
        if method != "GET" and not theirs[method, path]:
            yield f"{method} {path}, which pip does not send"
        elif count > max(1, theirs[method, path]):
            yield f"{method} {path} {count} times, pip {theirs[method, path]} times"


@dataclass(frozen=True, slots=True)
class Twins:
    """What a test of parity has in its hands."""

    laboratory: Laboratory
    inputs: Path
    """``work`` and ``home`` below it are copied to their places before each run."""

    @property
    def places(self) -> Places:
        """Return the folders, as the commands will see them."""
        return self.laboratory.places

    @property
    def server(self) -> Server:
        """Return the server on loopback; it is empty when a test begins."""
        return self.laboratory.server

    def write(self, files: Mapping[str, str | bytes], under: str = "work") -> None:
        """Write the files that every run finds in its current (or home) folder."""
        for relative, content in files.items():
            path = self.inputs / under / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def differences(
        self, scenario: Scenario, sabotage: Callable[[Places], object] | None = None
    ) -> list[Difference]:
        """Run a scenario and return the differences."""
        return run_twins(self.laboratory, scenario, self.inputs, sabotage)

    def agree(self, *steps: Step, **options: object) -> None:
        """Fail unless both twins do the same, cold and warm; ``options`` are fields of ``Scenario``."""
        found = self.differences(replace(Scenario(steps), **options))  # type: ignore[arg-type]  # checked by name
        assert not found, "\n\n".join(map(str, found))
