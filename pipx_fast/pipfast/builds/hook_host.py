"""Fork host of build hooks: a process that has imported the backend.

Run as a script by a build's interpreter. PEP 517 wants a fresh process for each hook: a fork of one that has done
nothing but import the backend is as fresh. Where the import starts threads, opens files, prints, registers
functions for the exit, or looks at files that a hook may change, this process ends before it serves.

It imports hardly more than the script of pyproject_hooks does, nothing of pip's or ours: what it imports, the
backend finds imported. So it shares no code with the fork server of pips.

Usage: ``hook_host.py SOCKET SCRIPT HOOK CONTROL``: a descriptor, and the arguments of the first hook's process. A
question is a line: a JSON list of a hook's name, its control folder and the file for its output. The answer is a
line with the exit code, negative for a signal. The first line is ``READY``; a host that does not serve never sends
it. When the other end is closed, the host kills the hook under way, with its children, and ends.
"""

import atexit
import json
import os
import select
import signal
import sys
from importlib import import_module

READY = b"ready\n"

BACKEND = "_PYPROJECT_HOOKS_BUILD_BACKEND"
"""Variable of pyproject_hooks: the backend's entry point."""

_EXITS_OF_LOGGING = 1
"""Functions for the exit that the logging module registers: they close handlers of this process only."""

_LOOKS = ("open", "os.listdir", "os.scandir", "os.chdir")
"""Audit events whose first argument is a path."""


class _Watch:
    """Notes whether an import has read the source tree, which is the current folder."""

    def __init__(self) -> None:
        self.has_looked = False
        self._here = os.getcwd()
        self._over = False
        sys.addaudithook(self._hear)

    def end(self) -> None:
        self._over = True

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._over or event not in _LOOKS:
            return
        path = arguments[0] if arguments else None
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if path is None or event == "os.chdir":
            self.has_looked = True
        elif isinstance(path, str):
            full = os.path.join(self._here, path)
            self.has_looked |= full == self._here or full.startswith(os.path.join(self._here, ""))


class _Host:
    def __init__(self, socket: int, script: str) -> None:
        self._socket, self._script = socket, script
        self._interrupted = signal.getsignal(signal.SIGINT)

    def serve(self) -> None:
        """Answer questions until there are no more; return in forked processes only, ready for the script."""
        files, exits, watch = _open_files(), _exits(), _Watch()
        import_module(os.environ[BACKEND].partition(":")[0])
        watch.end()
        sys.stdout.flush()
        sys.stderr.flush()
        if watch.has_looked or not _is_fit(files, exits):
            os._exit(1)
        self._interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._answer(READY)
        with open(self._socket, "rb", closefd=False) as lines:
            for line in iter(lines.readline, b""):
                pid = os.fork()
                if pid == 0:
                    self._become(*json.loads(line))
                    return
                self._answer(b"%d\n" % self._wait(pid))
        os._exit(0)

    def _become(self, hook: str, control: str, output: str) -> None:
        _lead(0)
        signal.signal(signal.SIGINT, self._interrupted)
        os.close(self._socket)
        said = os.open(output, os.O_WRONLY | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.close(said)
        sys.argv[:] = [self._script, hook, control]

    def _wait(self, pid: int) -> int:
        """Return the exit code of a fork; kill it if nobody waits for it any more."""
        _lead(pid)
        ended = os.pidfd_open(pid)
        waiting = select.poll()
        waiting.register(ended, select.POLLIN)
        waiting.register(self._socket, 0)
        if all(each != ended for each, _ in waiting.poll()):
            os.killpg(pid, signal.SIGKILL)
        os.close(ended)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _answer(self, line: bytes) -> None:
        try:
            os.write(self._socket, line)
        except OSError:
            # Nobody asks any more.
            os._exit(1)


def _lead(pid: int) -> None:
    """Give a fork a process group, to be killed with all that it starts; both sides do, one of them first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        # It has ended, or the other side was first.
        pass


def _is_fit(files: set[str], exits: int) -> bool:
    """Tell whether a fork of this process is as a new process after the same import."""
    return (
        len(os.listdir("/proc/self/task")) == 1
        and _open_files() == files
        # The first fork's exit would undo what the next ones need.
        and _exits() - exits <= ("logging" in sys.modules) * _EXITS_OF_LOGGING
        and os.fstat(1).st_size == 0
    )


def _open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def _exits() -> int:
    return int(atexit._ncallbacks())


if __name__ == "__main__":
    # Python puts a script's folder first on the path. The script of pyproject_hooks removes its own.
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != _here]
    _socket, _script = int(sys.argv[1]), sys.argv[2]
    with open(_script, "rb") as _file:
        _code = compile(_file.read(), _script, "exec", dont_inherit=True)
    # The backend, when it is imported, sees the arguments of its own script.
    del sys.argv[:2]
    _main = type(sys)("__main__")
    vars(_main).update(__file__=_script, __builtins__=__builtins__)
    sys.modules["__main__"] = _main
    _Host(_socket, _script).serve()
    exec(_code, vars(_main))
