"""Forked stock pip for ``inspect`` and ``uninstall`` after a run.

The commands that are compared are always processes of their own. These come after them, the same for both twins,
and starting up would be nearly all they take.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from support.runs import Result, base_environ

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from support.environments import Places

_SERVER = """
import importlib, json, os, runpy, site, sys
sys.path[:] = [path for path in sys.path if path]
import pip._internal.cli.main
from pip._internal.commands import create_command
for name in ("inspect", "uninstall"):
    create_command(name)
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        break
    status = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(status), flush=True)
else:
    sys.exit()
# The rest is the child's: what is read when an interpreter starts, and then `python -m pip`.
os.setsid()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for number, path in ((1, job["stdout"]), (2, job["stderr"])):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
os.environ.clear()
os.environ.update(job["environ"])
os.chdir(job["cwd"])
if job["umask"] >= 0:
    os.umask(job["umask"])
importlib.invalidate_caches()
sys.path_importer_cache.clear()
site.main()
sys.argv[:] = ["pip", *job["args"]]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


class ForkedPip:
    """One process of an environment's interpreter, begun while that is in its place and as the template is."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._output = [places.base / f"forked-{name}" for name in ("stdout", "stderr")]
        self._process = subprocess.Popen(
            [places.python, "-c", _SERVER],
            cwd=places.work,
            # An attached environment's pip runs alone.
            env={**base_environ(places), "PIPFAST": "off"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def run(self, args: Sequence[str], environ: Mapping[str, str], umask: int) -> Result:
        """Run ``pip`` with these arguments as a fork; what it may leave behind is not looked at."""
        job = {
            "args": [*args],
            "environ": {name: value for name, value in environ.items() if value},
            "cwd": os.fspath(self._places.work),
            "umask": umask,
            "stdout": os.fspath(self._output[0]),
            "stderr": os.fspath(self._output[1]),
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        stdout, stderr = (path.read_bytes().decode("utf-8", "backslashreplace") for path in self._output)
        return Result(code, stdout, stderr)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def same_start(environ: Mapping[str, str], changed: Sequence[str]) -> bool:
    """Tell whether a command would start as the forked process has: same interpreter options, same pip.

    :param changed: paths in the environment that are not as they were.
    """
    return not any(name.startswith(("PYTHON", "LC_")) for name in environ) and not any(
        "/site-packages/pip/" in path or path.endswith(("pyvenv.cfg", "customize.py")) for path in changed
    )
