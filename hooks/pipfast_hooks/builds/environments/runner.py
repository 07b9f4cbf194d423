"""Runner of the pip, with pipfast, that fills build environments."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from pip._internal.utils.logging import VERBOSE

from pipfast.report import logger
from pipfast_hooks.builds import child
from pipfast_hooks.builds.context import Context
from pipfast_hooks.builds.environments import fork_server
from pipfast_hooks.builds.giving_way import GivingWay
from pipfast_hooks.builds.guard import Guard
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, current_run, inherited

if TYPE_CHECKING:
    from pipfast_hooks.call import Call
    from pipfast_hooks.run import Run

_FILE = "__pip-runner__.py"
"""The name of pip's own, which stands in usage lines."""

_FIRST = '''import os
for name, value in {settings!r}.items():
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
if sys.argv[1:2] == [{argument!r}]:
    from pipfast_hooks.builds.environments import fork_server

    fork_server.serve(*map(int, sys.argv[2:]))
else:
    from pipfast_hooks.builds.environments import fork_client

    status = fork_client.ask(os.path.dirname(os.path.abspath(__file__)))
    if status is not None:
        os._exit(status)
'''
"""Where there is a server, it is asked to run the command line."""


class Runner(Part):
    """The runner's file and the server that spares it its start."""

    def __init__(self, run: Run) -> None:
        """Write the file and start the server; a fork of a server uses what that has.

        :raises OSError: the file cannot be written.
        """
        super().__init__(run)
        self._server: fork_server.Server | None = None
        own = inherited(fork_server.RunnerFile)
        self._is_inherited = own is not None
        if own is not None:
            self.path = own.path
            return
        run.part(GivingWay)
        # Only what is built beside pip asks from sessions of its own.
        guard = run.part(Guard) if run.settings.builds > 1 else None
        self.path = self._write()
        self._serve(guard)

    def _write(self) -> str:
        # What a build needs is little: a second worker would start too late for it.
        settings = self.run.settings.for_children(builds="1", workers="1")
        path = os.path.join(tempfile.mkdtemp(prefix="pipfast-runner-"), _FILE)
        with open(path, "w", encoding="utf-8") as file:
            file.write(child.program(_FIRST.format(settings=settings, argument=fork_server.ARGUMENT)))
        return path

    def _serve(self, guard: Guard | None) -> None:
        if fork_server.is_possible():
            try:
                self._server = fork_server.Server(self.path, None if guard is None else guard.begin())
            except OSError as error:
                logger.debug("pipfast: each build environment is filled by a pip that starts anew (%s)", error)

    def give_way(self) -> None:
        """End the server; each build environment is filled by a pip that starts anew."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def close(self, wait_s: float) -> None:
        """End the server and remove the file, unless both are another process's."""
        self.give_way()
        if not self._is_inherited:
            shutil.rmtree(os.path.dirname(self.path), ignore_errors=True)


def runner_of(run: Run) -> str | None:
    """Return our runner, written and its server started by now; None where build environments are left to pip.

    With ``-v`` what the child prints is printed: that is pip's alone.
    """
    with guarded("build environments are left to pip"):
        quiet = logging.getLogger().getEffectiveLevel() > VERBOSE
        if quiet and run.find(Context) is not None and run.store.layout.keeps:
            return run.part(Runner).path
    return None


def _around_get_runnable_pip(call: Call) -> Any:
    """Name our runner in the place of pip's, while a command is under way that asks for something."""
    path = call.original()
    # A pip that runs out of an archive is started as that archive.
    ours = runner_of(current_run()) if os.path.basename(path) == _FILE else None
    return path if ours is None else ours
