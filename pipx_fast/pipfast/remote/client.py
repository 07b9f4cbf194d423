"""Requests to the team's store, each within the command's patience."""

from __future__ import annotations

import io
import json
import os
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.errors import PipfastError
from pipfast.remote import library
from pipfast.remote.failures import AGAIN
from pipfast.remote.patience import FREE_S, Patience
from pipfast.report import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_START = "import sys; sys.path.append({root!r}); from pipfast.remote.courier import main; main()"

_BLOCK = 1 << 18
"""Bytes that are read from the pipe at once."""

_START_S = 20.0
"""Seconds for the process to start and to load obstore: no server's fault."""

_LOOK_S = 0.1
"""Seconds after which one that waits sees that another of the command's has given up."""

_WRITE_S = 120.0
"""Seconds for some files of a prepared wheel to be written here: no server's fault either."""


class RemoteFailed(PipfastError):
    """The server does not do what it is asked for; ``str()`` says how, without any secret."""

    def __init__(self, what: str, hint: str = AGAIN) -> None:
        super().__init__(what)
        self.hint = hint


class Client:
    """One server, and the process that speaks with it. It is asked for one thing at a time.

    The process finds its credentials in its usual variables, files and services; nothing here looks at them.
    """

    def __init__(self, address: str, patience: Patience) -> None:
        self.address = address
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._held = b""
        self._is_open = self._is_closed = False
        self._turn = threading.RLock()

    def get(self, name: str) -> Incoming | None:
        """Return an object that is coming, or None if there is none of that name.

        :raises RemoteFailed: the server does not tell. NoLibrary: there is no obstore.
        """
        with self._turn:
            found = self._ask({"do": "get", "name": name}, free=FREE_S)["found"]
            return Incoming(self) if found else None

    def head(self, name: str) -> Callable[[int], bytes] | None:
        """Begin to get an object whose content the process that asks will write; None if there is none.

        :returns: yields the bytes of its line and head. Raises as ``get`` does.
        """
        with self._turn:
            if not self._ask({"do": "get", "name": name, "receives": True}, free=FREE_S)["found"]:
                return None
            began = time.monotonic()
            deadline, answer = began + self._patience.limit(), self._ask({"do": "head"}, counts=False)
            head = self._read(int(answer["bytes"]), deadline)
            # Much of the content has come with it.
            self._patience.spend(time.monotonic() - began, len(head) + int(answer["kept"]), free=FREE_S)
            return io.BytesIO(head).read

    def receive(self, plan: Sequence[Any], making: Sequence[Any]) -> str:
        """Have the content come whose head has come, and be written; return what is wrong with it, or nothing.

        :param plan: as ``entries.Plan``.
        :param making: as ``entries.Making``. Raises as ``get`` does. OSError: a file cannot be written.
        """
        with self._turn:
            wrong, free, count = self._work({"do": "receive", "plan": plan, "making": making}), FREE_S, 1
            while count and not wrong:
                began = time.monotonic()
                count = int(self._ask({"do": "fetch"}, counts=False)["bytes"])
                self._patience.spend(time.monotonic() - began, count, free=free)
                wrong, free = self._work({"do": "write"}), 0.0
            return wrong

    def link(self, **places: str) -> bool:
        """Have the wheel linked aside that came last, see ``Courier.link``; tell whether all of it was."""
        with self._turn:
            self._write({"do": "link", **places})
            late = f"files were not linked in {_WRITE_S:g} s"
            return bool(self._answer(time.monotonic() + _WRITE_S, late)["linked"])

    def _work(self, question: dict[str, Any]) -> str:
        self._write(question)
        answer = self._answer(time.monotonic() + _WRITE_S, f"files were not written in {_WRITE_S:g} s")
        if "refused" in answer:
            raise OSError(*answer["refused"])
        return str(answer.get("unlike", ""))

    def create(self, name: str, path: Path) -> bool:
        """Put a file under a name that is not taken, whole; False if it is taken. Raises as ``get`` does."""
        with self._turn:
            question = {"do": "create", "name": name, "path": os.fspath(path)}
            return bool(self._ask(question, size=path.stat().st_size, free=FREE_S)["made"])

    def delete(self, name: str) -> None:
        """Remove an object; raises as ``get`` does."""
        with self._turn:
            self._ask({"do": "delete", "name": name}, free=FREE_S)

    def names(self, prefix: str) -> tuple[Sequence[str], Sequence[str]]:
        """Return the names of folders, and of objects, newest first, below a prefix; raises as ``get`` does."""
        with self._turn:
            answer = self._ask({"do": "names", "prefix": prefix})
            return answer["folders"], answer["objects"]

    def more(self, *, free: float = 0.0) -> bytes:
        """Return the next bytes of the object that is coming, none at its end; raises as ``get`` does.

        :param free: seconds that cost no patience.
        """
        with self._turn:
            deadline, began = time.monotonic() + self._patience.limit(), time.monotonic()
            count = int(self._ask({"do": "more"}, counts=False)["bytes"])
            content = self._read(count, deadline)
            self._patience.spend(time.monotonic() - began, count, free=free)
            return content

    def close(self) -> None:
        """End the process, whatever it does."""
        self._is_closed = True
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            process.wait()

    def _ask(
        self, question: dict[str, Any], *, size: int = 0, free: float = 0.0, counts: bool = True
    ) -> dict[str, Any]:
        self._open()
        began = time.monotonic()
        try:
            return self._exchange(question, began + self._patience.limit(size))
        finally:
            if counts:
                self._patience.spend(time.monotonic() - began, size, free=free)

    def begin(self) -> None:
        """Start the process, which loads obstore meanwhile; raises as ``get`` does."""
        with self._turn:
            if self._process is not None:
                return
            folder = library.home()
            if self._is_closed or self._patience.is_over:
                raise RemoteFailed("it was given up")
            if folder is None:
                raise library.NoLibrary("where pipfast is installed, beside which obstore would be, is not known")
            try:
                self._process = subprocess.Popen(
                    # It imports the standard library, pipfast and obstore only.
                    [sys.executable, "-I", "-S", "-X", "utf8", "-c",
                     _START.format(root=os.fspath(Path(__file__).resolve().parents[2]))],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
                )
            except OSError as error:
                raise RemoteFailed(f"no process can be started for it ({error.strerror or error})") from error
            self._write({
                "do": "open", "address": self.address, "milliseconds": int(self._patience.seconds * 1000),
                "folder": folder,
            })

    def _open(self) -> None:
        if not self._is_open:
            self.begin()
            began = time.monotonic()
            self._answer(began + _START_S, f"the process that asks it has not started in {_START_S:g} s")
            self._patience.spend_start(time.monotonic() - began)
            self._is_open = True

    def _exchange(self, question: dict[str, Any], deadline: float) -> dict[str, Any]:
        self._write(question)
        return self._answer(deadline)

    def _write(self, question: dict[str, Any]) -> None:
        if self._process is None or self._process.stdin is None:
            raise RemoteFailed("it was given up")
        try:
            self._process.stdin.write(json.dumps(question).encode("ascii") + b"\n")
        except OSError as error:
            raise self._given_up("the process that asks it has ended") from error

    def _answer(self, deadline: float, why_not: str = "") -> dict[str, Any]:
        while b"\n" not in self._held:
            self._fill(deadline, why_not)
        line, _, self._held = self._held.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "library" in answer:
            self.close()
            raise library.NoLibrary(answer["library"])
        if "error" in answer:
            what, hint, raw = map(str, answer["error"])
            logger.debug("pipfast: an error of the team's store, whole: %s", raw)
            raise RemoteFailed(what, hint)
        return answer

    def _read(self, count: int, deadline: float) -> bytes:
        parts, missing = [self._held[:count]], count - len(self._held)
        self._held = self._held[count:]
        while missing > 0:
            self._fill(deadline)
            parts.append(self._held[:missing])
            missing, self._held = missing - len(self._held), self._held[missing:]
        return b"".join(parts)

    def _fill(self, deadline: float, why_not: str = "") -> None:
        process = self._process
        assert process is not None and process.stdout is not None
        descriptor = process.stdout.fileno()
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while not waiting.poll(max(0.0, min(_LOOK_S, deadline - time.monotonic())) * 1000):
            if self._patience.is_given_up or time.monotonic() >= deadline:
                raise self._given_up(why_not or f"it gave nothing for {self._patience.seconds:g} s")
        content = os.read(descriptor, _BLOCK)
        if not content:
            raise self._given_up("the process that asks it has ended")
        self._held += content

    def _given_up(self, why: str) -> RemoteFailed:
        self._patience.end()
        self.close()
        return RemoteFailed(why)


class Incoming:
    """An object on its way. What nobody takes of it does not come."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = b""
        self._free = FREE_S

    def take(self, count: int) -> bytes:
        """Return the next bytes, fewer than asked for only at the end; raises as ``Client.get`` does."""
        while len(self._held) < count:
            content = self._client.more(free=self._free)
            self._free = 0.0
            if not content:
                break
            self._held += content
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def rest(self) -> Iterator[bytes]:
        """Yield everything that follows; raises as ``Client.get`` does."""
        held, self._held = self._held, b""
        if held:
            yield held
        while content := self._client.more():
            yield content
