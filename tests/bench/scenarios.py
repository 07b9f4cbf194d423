"""Interleaved rounds of all tools over all scenarios.

| scenario | caches and store | environment |
| --- | --- | --- |
| ``cold`` | removed before each run | fresh |
| ``warm`` | filled by one run that is not counted | fresh |
| ``satisfied`` | as for ``warm`` | everything is installed already |
| ``dry-run`` | as for ``warm`` | fresh, and nothing is installed |

In each round every tool does every scenario once (A B C, B C A, ...), so that what else goes on in the machine
meets all alike. Before a run everything written is flushed, so that nobody pays for another's writes; nothing
is dropped from the page cache. Environments are made outside of the timing, and removed when all is measured.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.environment import isolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.environment import Tool, Workshop
    from bench.measure import Outcome
    from bench.sets import PackageSet

SCENARIOS = ("cold", "warm", "satisfied", "dry-run")


@dataclass(slots=True)
class Place:
    """Where one set is installed from: an index, over one line."""

    wanted: PackageSet
    line: str
    index: str

    @property
    def key(self) -> str:
        return f"{self.wanted.name}-{self.line}"


@dataclass(slots=True)
class Rounds:
    """Runs of several tools, side by side."""

    workshop: Workshop
    tools: Sequence[Tool]
    say: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    """What a reader of the figures must know: e.g. that two tools did not install the same."""
    _installed: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def measure(
        self, place: Place, scenarios: Sequence[str], rounds: int, memory_rounds: int = 1
    ) -> Iterator[dict[str, Any]]:
        """Yield a record for each run, as it ends.

        :param memory_rounds: how many rounds more to make with the memory of the whole tree sampled.
        """
        for number in range(rounds + memory_rounds):
            sampled = number >= rounds
            for scenario in scenarios:
                shift = number % len(self.tools)
                for tool in [*self.tools[shift:], *self.tools[:shift]]:
                    outcome = self.once(place, scenario, tool, sampled)
                    self.say(
                        f"{place.key} {scenario} {tool.name} {'memory' if sampled else number + 1}: "
                        f"{outcome.wall_s:.2f} s"
                    )
                    yield {
                        "set": place.wanted.name,
                        "line": place.line,
                        "scenario": scenario,
                        "tool": tool.name,
                        "round": number,
                        "kind": "memory" if sampled else "timing",
                        **outcome.figures(),
                    }

    def once(
        self,
        place: Place,
        scenario: str,
        tool: Tool,
        sampled: bool = False,
        extra_env: Mapping[str, str] | None = None,
        keep: Path | None = None,
    ) -> Outcome:
        """Make one run, and everything it needs before it.

        :param keep: where to leave the environment; by default it is removed.
        """
        target = keep or self.workshop.root / "target"
        if scenario == "cold":
            scratch = self.workshop.root / "cold" / tool.name
            python = self.workshop.fresh(target)
        else:
            scratch, primed = self.primed(place, tool)
            python = primed if scenario == "satisfied" else self.workshop.fresh(target)
        more = ["--dry-run"] if scenario == "dry-run" else []
        command = tool.install(python, place.index, place.wanted, *more)
        env = {**isolated(scratch), **(extra_env or {})}
        os.sync()
        outcome = measure.run(command, env, self.workshop.root, sampled)
        if scenario in ("cold", "warm"):
            self._compare(place, tool, python)
        if keep is None:
            self.workshop.discard(target)
        if scenario == "cold":
            self.workshop.discard(scratch)
        return outcome

    def primed(self, place: Place, tool: Tool) -> tuple[Path, Path]:
        """Return a scratch folder whose caches are filled, and an environment that has the set installed."""
        scratch = self.workshop.root / "warm" / place.key / tool.name
        target = scratch / "environment"
        if target.exists():
            return scratch, target / "bin" / "python"
        python = self.workshop.fresh(target)
        measure.run(tool.install(python, place.index, place.wanted), isolated(scratch), self.workshop.root)
        return scratch, python

    def forget(self, place: Place) -> None:
        """Remove the caches that were filled for ``place``."""
        self.workshop.discard(self.workshop.root / "warm" / place.key)

    def _compare(self, place: Place, tool: Tool, python: Path) -> None:
        """Note it when a tool installs something else than the first one did."""
        here = sorted(path.name.lower() for path in self.workshop.site_packages(python).glob("*.dist-info"))
        first, there = self._installed.setdefault(place.wanted.name, (tool.name, here))
        if here != there:
            differing = ", ".join(sorted(set(here) ^ set(there)))
            note = f"{place.wanted.name}: {tool.name} and {first} differ in {differing}"
            if note not in self.notes:
                self.notes.append(note)
                self.say(note)
