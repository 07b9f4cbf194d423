r"""Measurements of one run, from the launcher's record.

The phases of pip and pipfast are told from outside, by the times at which their lines come. Under both,
``PYTHONUNBUFFERED`` makes a line come when it is printed. With core metadata pip reads no archive while it
resolves, so its output falls into three parts:

    Collecting flask                                              resolving: these, and what is indented
      Using cached flask-3.1.3-py3-none-any.whl.metadata (3 kB)   (metadata, versions it looks at)
    Downloading flask-3.1.3-py3-none-any.whl (103 kB)             the resolver's end: the first such line
    Installing collected packages: ...                            that no resolving line follows

``install_phase_s`` runs from the resolver's end to the exit, ``download_phase_s`` from the resolver's end to
"Installing collected packages". ``settled_phase_s`` runs from the *last resolving line* to the exit: longer by
what the resolver does after its last line, but no tool can shorten it by printing its first line late.
Without core metadata archives come while resolving, and the first line after is "Installing collected packages".
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.client import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLE_S = 0.02
"""Seconds between two looks at a tree's memory; a look at a pip of 100 MB takes about 2 ms."""

# Two spaces: of the requirement above, e.g. `  Using cached flask-3.1.3-py3-none-any.whl.metadata (3 kB)`.
# Three: an archive's progress, e.g. `   ━━━━━━━━━━ 191.8/191.8 MB 20.0 MB/s  0:00:09`, after the resolver's end.
_RESOLVING = re.compile(r"^(Collecting|Requirement already satisfied|Processing|Obtaining|INFO: pip is|  \S)")
_RESOLVED = re.compile(r"^(Downloading|Using cached|Installing collected packages|Would install)")
_INSTALLING = "Installing collected packages"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run took. Times in seconds, memory in bytes; ``None`` is "cannot be told for this tool"."""

    exit_code: int
    wall_s: float
    cpu_s: float
    """User and system time, with every child that was waited for."""
    largest_rss: int
    """Peak of the largest single process."""
    tree_pss: int
    """Peak of the summed PSS of the process tree; 0 if it was not sampled."""
    tree_rss: int
    install_phase_s: float | None
    settled_phase_s: float | None
    download_phase_s: float | None
    others_cpu_s: float
    """Processor time that all other processes took meanwhile: the server, and whatever disturbed the run."""
    late_close_s: float
    """How long after the exit something still held standard output: nothing of pip's does."""
    output: tuple[str, ...] = ()
    errors: str = ""

    def figures(self) -> dict[str, Any]:
        """Return the numbers, without the text."""
        return {key: value for key, value in asdict(self).items() if key not in ("output", "errors")}


def run(command: Sequence[str], env: Mapping[str, str], cwd: Path, sampled: bool = False) -> Outcome:
    """Run ``command`` and measure it.

    :param sampled: measure memory of the whole tree; the times are then not to be used.
    :raises BenchError: the command failed.
    """
    request = {"command": list(command), "env": dict(env), "cwd": str(cwd), "sample_s": sampled * SAMPLE_S}
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py"))]
    # A session of its own, so that all of it can be ended with the benchmark.
    process = subprocess.Popen(
        launcher,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        answer, said = process.communicate(json.dumps(request))
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        raise BenchError(f"the launcher failed\n{said}")
    outcome = read(json.loads(answer))
    if outcome.exit_code:
        said = "\n".join([*outcome.output, *outcome.errors.splitlines()][-25:])
        raise BenchError(f"{' '.join(command)} exited {outcome.exit_code}\n{said}")
    return outcome


def read(answer: Mapping[str, Any]) -> Outcome:
    """Turn the launcher's answer into figures."""
    lines: list[tuple[float, str]] = [(at, text) for at, text in answer["lines"]]
    settled, resolved, installing = _phases(lines)
    wall: float = answer["wall_s"]
    return Outcome(
        exit_code=answer["exit_code"],
        wall_s=wall,
        cpu_s=answer["user_s"] + answer["system_s"],
        largest_rss=answer["largest_rss"],
        tree_pss=answer["tree_pss"],
        tree_rss=answer["tree_rss"],
        install_phase_s=None if resolved is None else wall - resolved,
        settled_phase_s=None if settled is None else wall - settled,
        download_phase_s=None if resolved is None or installing is None else installing - resolved,
        others_cpu_s=answer["others_cpu_s"],
        late_close_s=max(0.0, answer["closed_s"] - wall),
        output=tuple(text for _, text in lines),
        errors=answer["errors"],
    )


def _phases(lines: Sequence[tuple[float, str]]) -> tuple[float | None, float | None, float | None]:
    """Return when the last resolving line, the first line after it, and "Installing" came."""
    resolving = [number for number, (_, text) in enumerate(lines) if _RESOLVING.match(text)]
    after = resolving[-1] + 1 if resolving else 0
    settled = lines[after - 1][0] if resolving else None
    resolved = next((at for at, text in lines[after:] if _RESOLVED.match(text)), None)
    installing = next((at for at, text in lines[after:] if text.startswith(_INSTALLING)), None)
    return settled, resolved, installing
