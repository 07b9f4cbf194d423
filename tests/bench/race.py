"""Two installations at once into two environments, from one empty store."""

from __future__ import annotations

import filecmp
import os
import subprocess
from typing import TYPE_CHECKING, Any

from bench.client import BenchError
from bench.environment import isolated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.environment import Tool
    from bench.scenarios import Place, Rounds

_PLACE_BOUND = (".pyc",)
"""Suffixes whose contents name the environment: bytecode holds the path of its source."""


def race(rounds: Rounds, place: Place, pipfast: Tool, times: int) -> Iterator[dict[str, Any]]:
    """Yield, for each time, what was wrong; an empty list is "both right, the store whole"."""
    workshop = rounds.workshop
    nothing = isolated(workshop.root / "race-before")
    _require_verify(pipfast, workshop.template / "bin" / "python", nothing)
    for number in range(times):
        scratch = workshop.root / "race"
        workshop.discard(scratch)
        pythons = [workshop.fresh(scratch / name) for name in ("one", "two")]
        shared = isolated(scratch)
        outputs = [scratch / f"output-{number}" for number in range(2)]
        running = []
        for python, output in zip(pythons, outputs, strict=True):
            with output.open("wb") as target:
                command = pipfast.install(python, place.index, place.wanted)
                running.append(subprocess.Popen(command, env=shared, cwd=scratch, stdout=target, stderr=target))
        codes = [process.wait() for process in running]
        wrong = [
            f"run {which} exited {code}: {output.read_text(encoding='utf-8', errors='replace')[-500:]}"
            for which, (code, output) in enumerate(zip(codes, outputs, strict=True))
            if code
        ]
        if not wrong:
            wrong = [
                *(problem for python in pythons for problem in _check(python, shared)),
                *_differences(*(python.parent.parent for python in pythons)),
                *_verify(pipfast, pythons[0], shared),
                *(f"left in the temporary folder: {path.name}" for path in (scratch / "tmp").iterdir()),
            ]
        rounds.say(f"race {place.wanted.name} {number + 1}: {'; '.join(wrong) or 'right'}")
        yield {"set": place.wanted.name, "round": number, "wrong": wrong}
    workshop.discard(workshop.root / "race")


def _check(python: Path, env: dict[str, str]) -> list[str]:
    """Return what pip itself finds wrong with an environment."""
    done = subprocess.run(
        [str(python), "-m", "pip", "check"], env=env, capture_output=True, text=True, check=False
    )
    return [done.stdout.strip()] if done.returncode else []


def _verify(pipfast: Tool, python: Path, env: dict[str, str]) -> list[str]:
    command = [*(word.format(python=python) for word in pipfast.program), "store", "verify"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        return [f"store verify exited {done.returncode}: {(done.stdout + done.stderr).strip()[-300:]}"]
    return []


def _differences(one: Path, two: Path) -> list[str]:
    """Return how two environments differ: names, modes, contents."""
    trees = [_tree(one), _tree(two)]
    wrong = [f"only in one: {name}" for name in sorted(set(trees[0]) ^ set(trees[1]))]
    for name in sorted(set(trees[0]) & set(trees[1])):
        first, second = one / name, two / name
        if first.stat().st_mode != second.stat().st_mode:
            wrong.append(f"modes differ: {name}")
        elif first.suffix not in _PLACE_BOUND and not _same(first, second, (one, two)):
            wrong.append(f"contents differ: {name}")
    return wrong[:10]


def _tree(root: Path) -> list[str]:
    return [
        os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118
        for folder, _, names in os.walk(root)
        for name in names
    ]


def _same(first: Path, second: Path, roots: tuple[Path, Path]) -> bool:
    """Compare two files; a script names its environment, and RECORD has the script's digest and size."""
    if os.path.samefile(first, second) or filecmp.cmp(first, second, shallow=False):  # noqa: PTH121
        return True
    contents = [
        path.read_bytes().replace(str(root).encode(), b"ENVIRONMENT")
        for path, root in zip((first, second), roots, strict=True)
    ]
    if first.name == "RECORD":
        contents = [_record_without_scripts(content) for content in contents]
    return contents[0] == contents[1]


def _record_without_scripts(content: bytes) -> bytes:
    rows = (line for line in content.splitlines() if b"/bin/" not in line and b".pyc," not in line)
    return b"\n".join(rows)


def _require_verify(pipfast: Tool, python: Path, env: dict[str, str]) -> None:
    """Refuse to race before ``store verify`` exists: it would fail every time for another reason.

    :raises BenchError: the command is not there.
    """
    problems = _verify(pipfast, python, env)
    if problems:
        raise BenchError(f"an empty store does not verify: {problems[0]}")
