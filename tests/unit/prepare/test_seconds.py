"""File times of trees: no two trees share one."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from pipfast.prepare.making import KEPT_S, claim_second, forget_old_claims
from pipfast.store.layout import open_layout
from pipfast.store.names import SECONDS
from pipfast.upkeep.maintenance import purge
from support.stores import prepare
from support.wheels import Wheel

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.store.layout import Layout

_CLAIMING = (
    "import sys; from pathlib import Path; from pipfast.prepare.making import claim_second\n"
    "from pipfast.store.layout import Layout\n"
    "print(*[claim_second(Layout(Path(sys.argv[1]))) for _ in range(100)])"
)


def test_equal_sizes_never_have_equal_times(layout: Layout, tmp_path: Path) -> None:
    """Two versions of a module, unpacked within one second: .pyc files know seconds and sizes only."""
    seconds = []
    for version in ("1.0", "2.0", "3.0", "4.0"):
        made = Wheel("twin", version, files={"twin.py": f"x = {version}\n", "more/twin.py": "y\n"}).build()
        prepared = prepare(layout, made, tmp_path)
        times = {file.mtime_ns for folder in prepared.manifest.folders for file in folder.files}
        assert len(times) == 1
        seconds.append(times.pop() / 1e9)
    assert len(set(map(int, seconds))) == 4
    assert all(time.time() - 600 < second <= time.time() for second in seconds)


def test_processes_at_once_claim_different_seconds(layout: Layout) -> None:
    """None is in the future, nor far in the past."""
    command = [sys.executable, "-c", _CLAIMING, str(layout.root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    claimed = [int(word) for each in running for word in each.communicate()[0].split()]
    assert len(claimed) == len(set(claimed)) == 300
    assert time.time() - 6 * 3600 < min(claimed) and max(claimed) <= time.time()


def test_old_claims_are_forgotten(layout: Layout) -> None:
    """And nothing else that lies there."""
    kept = claim_second(layout)
    old = int(time.time() - KEPT_S - 5)
    for name in (str(old), "note.txt"):
        (layout.root / SECONDS / name).touch()
    forget_old_claims(layout)
    assert sorted(path.name for path in (layout.root / SECONDS).iterdir()) == sorted([str(kept), "note.txt"])


def test_purge_takes_claims_away(tmp_path: Path) -> None:
    layout = open_layout(tmp_path / "another")
    claim_second(layout)
    purge(layout)
    assert not layout.root.exists()
