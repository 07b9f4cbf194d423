"""Settings narrowed to the system's limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast.settings import FAMILIES, Settings
from pipfast.system import limits

if TYPE_CHECKING:
    from pathlib import Path

ASKED = Settings(connections=8, workers=4, builds=4)


def within(
    descriptors: int | None = None, tasks: int | None = None, address_space: int | None = None,
    memory: int | None = None,
) -> Settings:
    return limits._within(ASKED, descriptors, tasks, address_space, memory)


def test_without_limits_the_settings_stay() -> None:
    """Nothing is taken away where there is room, or no limit."""
    assert within() == ASKED
    assert within(descriptors=1000, tasks=1000, address_space=8 << 30, memory=8 << 30) == ASKED


@pytest.mark.parametrize("scarce", [
    {"descriptors": 13}, {"descriptors": 50}, {"tasks": 20}, {"address_space": 250_000 << 10},
], ids=str)
def test_pip_runs_alone_where_there_is_no_room(scarce: dict[str, int]) -> None:
    """All hooks are off."""
    assert within(**scarce).disabled == set(FAMILIES)


@pytest.mark.parametrize("room", range(limits.PIPS_DESCRIPTORS, 400, 7))
def test_descriptors_in_use_are_bounded(room: int) -> None:
    """What all of ours may have open at once, with what is left to pip, is within the limit."""
    settings = within(descriptors=room)
    if not settings.disabled:
        used = (settings.connections * limits.PER_CONNECTION + settings.workers * limits.PER_WORKER
                + settings.builds * limits.PER_BUILD)
        assert used + limits.PIPS_DESCRIPTORS <= room
        assert min(settings.connections, settings.workers, settings.builds) >= 1


def test_workers_fit_into_memory() -> None:
    """A container of 512 MiB has one."""
    assert within(memory=512 << 20).workers == 1
    assert within(memory=512 << 20).connections == ASKED.connections


GROUPS = {
    "2": ("0::/a/b\n", {"a/b/pids.max": "max\n", "a/b/pids.current": "3\n", "a/pids.max": "100\n",
                        "a/pids.current": "40\n", "a/b/memory.max": "1000\n"}),
    "1": ("8:pids:/a/b\n4:cpu,memory:/a\n0::/\n", {
        "pids/a/b/pids.max": "100\n", "pids/a/b/pids.current": "40\n", "pids/pids.max": "9000\n",
        "pids/pids.current": "1\n", "memory/a/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/memory.limit_in_bytes": "1000\n"}),
}


@pytest.mark.parametrize("version", GROUPS)
def test_numbers_of_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """The narrowest of a group's and of those above it counts; what stands for no limit does not."""
    groups, files = GROUPS[version]
    (tmp_path / "cgroup").write_text(groups, encoding="utf-8")
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(limits, "_GROUPS", str(tmp_path / "cgroup"))
    monkeypatch.setattr(limits, "_CGROUP_ROOT", str(tmp_path / "fs"))
    monkeypatch.setattr(limits, "_limit", lambda name: None)
    assert limits._tasks() == 60
    assert limits._memory() == 1000
