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
from pipfast_hooks.builds.guard import Guard
from pipfast_hooks.builds.jobs import GivingWay
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run, current_run, inherited

if TYPE_CHECKING:
    from pipfast_hooks.call import Call

_FILE = "__pip-runner__.py"
"""Name of pip's own runner, which stands in usage lines."""

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
"""Start of the runner: it becomes the server, or has the server run its command line if there is one."""


class Runner(Part):
    """The file of the runner, and the fork server that saves its start-up."""

    def __init__(self, run: Run) -> None:
        """Write the file and start the server; a fork of a server uses the server's file.

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
        # Only builds beside pip, each in a session of its own, need the guard.
        guard = run.part(Guard) if run.settings.builds > 1 else None
        # A build needs few packages: they would be installed before a second worker has started.
        settings = run.for_children(builds="1", workers="1")
        self.path = os.path.join(tempfile.mkdtemp(prefix="pipfast-runner-"), _FILE)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(child.program(_FIRST.format(settings=settings, argument=fork_server.ARGUMENT)))
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
    """Return the path of our runner, whose server is starting; None where pip alone fills build environments.

    With ``-v`` pip shows what its runner prints: that must be pip's own.
    """
    with guarded("build environments are left to pip"):
        quiet = logging.getLogger().getEffectiveLevel() > VERBOSE
        if quiet and run.find(Context) is not None and run.store.layout.keeps:
            return run.part(Runner).path
    return None


def _around_get_runnable_pip(call: Call) -> Any:
    """Return our runner in the place of pip's."""
    path = call.original()
    # pip in a zip archive has no runner, and starts the archive.
    ours = runner_of(current_run()) if os.path.basename(path) == _FILE else None
    return path if ours is None else ours
