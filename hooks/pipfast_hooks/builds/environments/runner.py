"""The pip that fills isolated build environments: this one with pipfast, so that they come from the store."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from pip._internal.utils.logging import VERBOSE

from pipfast.report import logger
from pipfast_hooks.builds import child, context, giving_way
from pipfast_hooks.builds import guard as builds_guard
from pipfast_hooks.builds.environments import fork_server
from pipfast_hooks.run import Run, current_run

if TYPE_CHECKING:

    from pipfast_hooks.call import Call

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

_path: str | None = None

_server: fork_server.Server | None = None

_inherited = False
"""This process is a server's, and so is the runner."""

_writing = threading.Lock()
"""Several builds may begin at once."""


def _around_get_runnable_pip(call: Call) -> Any:
    """Name our runner in the place of pip's, while a command is under way that asks for something.

    With ``-v`` what the child prints is printed: that is pip's alone.
    """
    path = call.original()
    # A pip that runs out of an archive is started as that archive.
    ours = runner() if os.path.basename(path) == _FILE else None
    return path if ours is None else ours


def runner() -> str | None:
    """Return our runner, written and its server started by now; None where build environments are left to pip."""
    global _path
    try:
        run = current_run()
        quiet = logging.getLogger().getEffectiveLevel() > VERBOSE
        if quiet and context.current() is not None and run.store.layout.keeps:
            with _writing:
                if _path is None:
                    _path = _write(run)
                return _path
    except Exception:
        logger.debug("pipfast: build environments are left to pip", exc_info=True)
    return None


def _write(run: Run) -> str:
    # What a build needs is little: a second worker would start too late for it.
    settings = run.settings.for_children(builds="1", workers="1")
    path = os.path.join(tempfile.mkdtemp(prefix="pipfast-runner-"), _FILE)
    with open(path, "w", encoding="utf-8") as file:
        file.write(child.program(_FIRST.format(settings=settings, argument=fork_server.ARGUMENT)))
    _serve(path)
    return path


def _serve(path: str) -> None:
    """Start the server that spares the runners their start; they do without it."""
    global _server
    giving_way.begin()
    if fork_server.is_possible():
        try:
            # Only what is built beside pip asks from sessions of its own.
            guard = builds_guard.of_run().pipe if current_run().settings.builds > 1 else None
            _server = fork_server.Server(path, guard)
        except OSError as error:
            logger.debug("pipfast: each build environment is filled by a pip that starts anew (%s)", error)


def inherit(path: str) -> None:
    """Use the runner of the server that this process was forked by."""
    global _path, _inherited
    _path, _inherited = path, True


def end_server() -> None:
    """End the server; each build environment is filled by a pip that starts anew."""
    global _server
    server, _server = _server, None
    if server is not None:
        server.close()


def forget() -> None:
    """End the server and remove the runner; the run is over."""
    global _path
    if _inherited:
        return
    end_server()
    if _path is not None:
        shutil.rmtree(os.path.dirname(_path), ignore_errors=True)
    _path = None
