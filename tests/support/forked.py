"""Forked pip and pipfast, in the place of processes that start and import anew.

After a run, ``inspect`` and ``uninstall`` of stock pip are forks: they are the same for both twins, and starting
up would be nearly all they take. Of the commands that are compared, those of random worlds may be.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from support.runs import TIMEOUT_S, Result, base_environ, finished, marked, running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from support.environments import Places

_SERVER = """
import gc, importlib, json, os, pkgutil, runpy, signal, site, sys
from contextlib import suppress
sys.path[:] = [path for path in sys.path if path]
module = sys.argv[1]
import pip._internal.cli.main
from pip._internal.commands import create_command
for name in ("check", "download", "freeze", "inspect", "install", "list", "show", "uninstall", "wheel"):
    with suppress(Exception):
        create_command(name)
# What commands would import.
for name in (
    "argparse", "ctypes", "difflib", "encodings.ascii", "encodings.cp437", "netrc", "readline",
    "pip._vendor.distro", "pip._vendor.pygments.lexers.python", "pip._vendor.rich._emoji_codes",
    "pip._vendor.rich.json", "pip._vendor.truststore",
):
    with suppress(Exception):
        importlib.import_module(name)
left_out = ("distutils", "pkg_resources", "__main__", "bundled", "plugin", "runner", "rescue")
with suppress(Exception):
    # Other programs are asked.
    sys.modules["pip._vendor.distro"].version()
# Those act when they are imported.
for root in ("pip._internal", "pipfast", "pipfast_hooks") if module == "pipfast" else ("pip._internal",):
    package = importlib.import_module(root)
    for each in pkgutil.walk_packages(package.__path__, root + "."):
        if not any(part in each.name for part in left_out):
            with suppress(Exception):
                importlib.import_module(each.name)
if module == "pipfast":
    from pipfast import dependencies
    dependencies.problems()
gc.collect()
gc.freeze()
child = 0
signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if not child:
        break
    signal.alarm(job["timeout"])
    status = os.waitpid(child, 0)[1]
    signal.alarm(0)
    print(child, os.waitstatus_to_exitcode(status), flush=True)
else:
    sys.exit()
# The rest is the child's: what is read when an interpreter starts, and then `python -m pip`.
signal.signal(signal.SIGALRM, signal.SIG_DFL)
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
sys.argv[:] = [module, *job["args"]]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


class ForkedPip:
    """One process of an environment's interpreter, begun while that is in its place and as the template is."""

    def __init__(self, places: Places, module: str = "pip") -> None:
        self._places = places
        self._output = [places.base / f"forked-{module}-{name}" for name in ("stdout", "stderr")]
        self._process = subprocess.Popen(
            [places.python, "-c", _SERVER, module],
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
        """Run the module with these arguments as a fork, and return what it did."""
        variables, token = marked(environ)
        others = running()
        job = {
            "args": [*args],
            "environ": variables,
            "cwd": os.fspath(self._places.work),
            "umask": umask,
            "stdout": os.fspath(self._output[0]),
            "stderr": os.fspath(self._output[1]),
            "timeout": int(TIMEOUT_S),
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        session, code = map(int, self._process.stdout.readline().split())
        return finished(code, [path.read_bytes() for path in self._output], self._places, token, session, others)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def same_start(environ: Mapping[str, str], changed: Sequence[str] = ()) -> bool:
    """Tell whether a command would start as the forked process has: same interpreter options, same pip.

    :param changed: paths in the environment that are not as they were.
    """
    return not any(name.startswith(("PYTHON", "LC_")) for name in environ) and not any(
        "/site-packages/pip/" in path or path.endswith(("pyvenv.cfg", "customize.py")) for path in changed
    )
