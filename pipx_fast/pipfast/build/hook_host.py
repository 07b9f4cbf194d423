"""Run as a script by a build's interpreter: a process that imports the backend once, and forks for each hook.

PEP 517 wants a fresh process for each hook. A fork of one that has done nothing but import the backend is what
such a process is when it has imported it. Where an import does what a fork would not have of its own (threads,
open files, output, functions for the exit), this process ends before it serves: each hook has one of its own.

Imported here is hardly more than the hooks' own script imports.

Usage: ``hook_host.py SCRIPT SOCKET``: the script that a hook is run by, and a descriptor. A question is a line, a
JSON list of the hook's name, its control folder and the file for its output; the answer to each is a line with its
exit code, negative for a signal. The first answer is ``READY``; it never comes where nothing is served.
"""

import atexit
import json
import os
import signal
import sys
from importlib import import_module

READY = b"ready\n"

BACKEND = "_PYPROJECT_HOOKS_BUILD_BACKEND"
"""The variable with the backend's entry point (pyproject_hooks)."""

_EXITS_OF_LOGGING = 1
"""What the logging module has called at the exit: it closes what this process itself has opened."""

_TERM = (signal.SIGTERM,)


class _Host:
    """One backend, imported, and at most one hook under way."""

    def __init__(self, script: str, socket: int) -> None:
        self._script, self._socket = script, socket
        self._interrupted = signal.getsignal(signal.SIGINT)
        self._terminated = signal.getsignal(signal.SIGTERM)
        self._running = self._pidfd = -1

    def serve(self) -> None:
        """Answer questions until there are no more; returns in a forked process only, ready for the script."""
        files, exits = _open_files(), _exits()
        import_module(os.environ[BACKEND].partition(":")[0])
        sys.stdout.flush()
        sys.stderr.flush()
        if not _is_fit(files, exits):
            os._exit(1)
        self._interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._terminated = signal.signal(signal.SIGTERM, self._end)
        self._answer(READY)
        with open(self._socket, "rb", closefd=False) as lines:
            for line in iter(lines.readline, b""):
                # Between the fork and when it is known here, the order to end would leave the hook running.
                signal.pthread_sigmask(signal.SIG_BLOCK, _TERM)
                pid = os.fork()
                if pid == 0:
                    self._become(*json.loads(line))
                    return
                self._answer(b"%d\n" % self._wait(pid))
        os._exit(0)

    def _become(self, hook: str, control: str, output: str) -> None:
        """Be what the script's own process would be."""
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGTERM, self._terminated)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERM)
        os.close(self._socket)
        said = os.open(output, os.O_WRONLY | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.close(said)
        sys.argv[:] = [self._script, hook, control]

    def _wait(self, pid: int) -> int:
        """Return how a process has ended."""
        self._running, self._pidfd = pid, os.pidfd_open(pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERM)
        _, status = os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, _TERM)
        os.close(self._pidfd)
        self._running = -1
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERM)
        return os.waitstatus_to_exitcode(status)

    def _end(self, *_: object) -> None:
        """End, and the hook that is under way before."""
        if self._running >= 0:
            try:
                # Not by its number, which may be another one's as soon as it was waited for.
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                os.waitpid(self._running, 0)
            except OSError:
                pass
        os._exit(1)

    def _answer(self, line: bytes) -> None:
        try:
            os.write(self._socket, line)
        except OSError:
            # Nobody asks any more.
            os._exit(1)


def _is_fit(files: set[str], exits: int) -> bool:
    """Tell whether a fork of this process is what a new one would be after the same import."""
    return (
        len(os.listdir("/proc/self/task")) == 1
        and _open_files() == files
        # The first hook's end would take away what the next ones need.
        and _exits() - exits <= ("logging" in sys.modules) * _EXITS_OF_LOGGING
        and os.fstat(1).st_size == 0
    )


def _open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def _exits() -> int:
    return int(atexit._ncallbacks())


if __name__ == "__main__":
    # A script's folder goes first on the path; the hooks' own script takes its own off it.
    _here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != _here]
    _script = sys.argv[1]
    with open(_script, "rb") as _file:
        _code = compile(_file.read(), _script, "exec", dont_inherit=True)
    _Host(_script, int(sys.argv[2])).serve()
    _main = type(sys)("__main__")
    vars(_main).update(__file__=_script, __builtins__=__builtins__)
    sys.modules["__main__"] = _main
    exec(_code, vars(_main))
