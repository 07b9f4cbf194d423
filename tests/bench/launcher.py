"""Script that runs one command and prints its time, memory and lines; run with ``python -I -S``.

A process of its own because Linux counts, as a child's peak memory, what its parent had in memory when it was
forked: the launcher is small, the benchmark that calls it is not.

Reads ``{"command", "env", "cwd", "sample_s"}`` as JSON on stdin, writes one JSON object on stdout.
``sample_s`` > 0 also samples the memory of the whole process tree; that takes processor time from the command,
so such a run's times are not to be used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

_READ_BYTES = 1 << 16


def main() -> None:
    """Answer the request on stdin."""
    request = json.load(sys.stdin)
    lines: list[tuple[float, str]] = []
    errors: list[bytes] = []
    peaks = {"rss": 0, "pss": 0}
    ended = threading.Event()
    busy = _busy_s()
    start = time.perf_counter()
    process = subprocess.Popen(
        request["command"],
        env=request["env"],
        cwd=request["cwd"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    threads = [
        threading.Thread(target=_stamp, args=(process.stdout.fileno(), start, lines)),
        threading.Thread(target=_collect, args=(process.stderr.fileno(), errors)),
    ]
    if request["sample_s"]:
        threads.append(
            threading.Thread(target=_sample, args=(process.pid, request["sample_s"], ended, peaks))
        )
    for thread in threads:
        thread.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    busy = _busy_s() - busy
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    for thread in threads:
        thread.join()
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    answer: dict[str, Any] = {
        "exit_code": process.returncode,
        "wall_s": wall,
        "closed_s": time.perf_counter() - start,
        "user_s": usage.ru_utime,
        "system_s": usage.ru_stime,
        "others_cpu_s": max(0.0, busy - usage.ru_utime - usage.ru_stime),
        "largest_rss": usage.ru_maxrss * unit,
        "tree_rss": peaks["rss"],
        "tree_pss": peaks["pss"],
        "lines": lines,
        "errors": b"".join(errors).decode(errors="replace"),
    }
    json.dump(answer, sys.stdout)


def _busy_s() -> float:
    """Return the seconds of processor time that all processes of this machine took since it started."""
    try:
        with open("/proc/stat", encoding="ascii") as stat:  # noqa: PTH123
            user, nice, system, _, _, irq, softirq, *_ = map(int, stat.readline().split()[1:])
    except OSError:
        return 0.0
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _stamp(source: int, start: float, lines: list[tuple[float, str]]) -> None:
    """Read lines from ``source``, each with the seconds since ``start`` at which its end came."""
    rest = b""
    while chunk := os.read(source, _READ_BYTES):
        at = time.perf_counter() - start
        *whole, rest = (rest + chunk).split(b"\n")
        lines.extend((at, line.decode(errors="replace")) for line in whole)
    if rest:
        lines.append((time.perf_counter() - start, rest.decode(errors="replace")))


def _collect(source: int, errors: list[bytes]) -> None:
    while chunk := os.read(source, _READ_BYTES):
        errors.append(chunk)


def _sample(root: int, every_s: float, ended: threading.Event, peaks: dict[str, int]) -> None:
    """Keep the largest sums of RSS and of PSS over the process tree, in bytes."""
    while True:
        sums = {"Rss": 0, "Pss": 0}
        for pid in _tree(root):
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:  # noqa: PTH123
                    for line in rollup:
                        name, _, value = line.partition(":")
                        if name in sums:
                            sums[name] += int(value.split()[0]) * 1024
            except OSError:
                continue  # it has ended, or is about to
        peaks["rss"] = max(peaks["rss"], sums["Rss"])
        peaks["pss"] = max(peaks["pss"], sums["Pss"])
        if ended.wait(every_s):
            return


def _tree(root: int) -> list[int]:
    """Return ``root`` and all that descend from it."""
    found = [root]
    for pid in found:
        try:
            tasks = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:  # noqa: PTH123
                    found.extend(int(child) for child in children.read().split())
            except OSError:
                continue
    return found


if __name__ == "__main__":
    main()
