"""Process that speaks with the server of the team's store.

obstore is loaded here, not in pip's process: whatever a server, a name service, a network file system or obstore
itself does, this process can be ended at any time, and pip's ends as pip would.

Asked by a line of JSON, it answers with one. After that for ``head`` and ``more`` come as many bytes as the line
says. A prepared wheel's content never passes through pip's process: it is compared and written here.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import re
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipfast.errors import PipfastError
from pipfast.remote import failures, library
from pipfast.remote.signing import MAX_HEAD_BYTES, MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipfast.remote.entries import Receiver
    from pipfast.settings import LinkMode

CHUNK_BYTES = 1 << 18
"""Bytes that are handed over at once: at the least rate, a quarter of a second's."""

_RECEIVED_BYTES = 1 << 20
"""The same of what is written here."""

_MOST_NAMES = 256
"""Names that are told of a folder: all of a wheel's, and of the folders of two digits."""

_ATTEMPTS = 6
_PAUSE_S = 0.2
"""Seconds between two attempts to put an object that another member is putting."""

# e.g. `Server returned non-2xx status code: 423 Locked`
_IN_USE = re.compile(r"status code: (?:409|423)\b")

TMP = "v1/tmp"
"""Folder of objects that a WebDAV server is still getting; they are copied when they are whole."""


class Courier:
    """One server."""

    def __init__(self, address: str, milliseconds: int, folder: str) -> None:
        """:raises NoLibrary: there is no obstore. Exception: the address or its settings cannot be used."""
        self._obstore = obstore = library.load(folder)
        self._address = address
        self._folder = failures.folder_of(address) if address.startswith("file:") else ""
        self._is_webdav = address.startswith(("http:", "https:"))
        options: dict[str, Any] = {}
        if not self._folder and not address.startswith("memory:"):
            # Whoever asks waits less, and bounds the whole: a large wheel may well take longer.
            wait = f"{2 * milliseconds}ms"
            client: dict[str, Any] = {"connect_timeout": wait, "read_timeout": wait, "timeout": "1h"}
            # obstore asks for its own variable only where it is given no options.
            if address.startswith("http:") or os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"):
                client["allow_http"] = True
            options = {"client_options": client, "retry_config": {"max_retries": 0}}
        # A folder is looked at when the first question is asked: one of a network may not answer.
        # obstore joins address and name with a slash.
        self._opened: Any = None if self._folder else obstore.store.from_url(
            address.rstrip("/") if self._is_webdav else address, **options
        )
        errors = obstore.exceptions
        self._missing = (FileNotFoundError, errors.NotFoundError)
        self._taken = (errors.AlreadyExistsError, errors.PreconditionError)
        self._stream: Any = None
        self.held = b""
        """Bytes that came with the head."""
        self._chunk: Any = b""
        self._receiver: Receiver | None = None
        self._refuses: type[Exception] = library.NoLibrary

    @property
    def _store(self) -> Any:
        """Return what obstore asks; raises NoFolder."""
        if self._opened is None:
            failures.check_folder(self._folder)
            self._opened = self._obstore.store.LocalStore(prefix=self._folder, mkdir=False)
        return self._opened

    def get(self, name: str, *, receives: bool = False) -> Mapping[str, object]:
        """Begin to get an object; say whether there is one.

        :param receives: its content is not handed over.
        """
        self._stream, self.held, self._receiver = None, b"", None
        try:
            result = self._obstore.get(self._store, name)
        except self._missing:
            return {"found": False}
        if receives and self._folder:
            self._stream = self._ranges(name, int(result.meta["size"]))
        else:
            self._stream = iter(result.stream(min_chunk_size=_RECEIVED_BYTES if receives else CHUNK_BYTES))
        return {"found": True}

    def _ranges(self, name: str, size: int) -> Iterator[Any]:
        """Yield a file's bytes: obstore streams them by 8 kB, which takes several times as long."""
        for start in range(0, size, _RECEIVED_BYTES):
            yield self._obstore.get_range(self._store, name, start=start, end=min(size, start + _RECEIVED_BYTES))

    def more(self) -> bytes:
        """Return the next bytes of the object; none at its end."""
        return bytes(next(self._stream, b""))

    def head(self) -> bytes:
        """Return the object's line and head, or as much of it as could be one; the rest is kept."""
        while (length := _head_length(self.held)) is None:
            content = self.more()
            if not content:
                length = len(self.held)
                break
            self.held += content
        head, self.held = self.held[:length], self.held[length:]
        return head

    def receive(self, plan: Sequence[Any], making: Sequence[Any]) -> Mapping[str, object]:
        """Make ready for the content of a prepared wheel; say what it is if it can be none."""
        # Not at the top: whoever asks for wheels and archives has no use for it.
        from pipfast.remote import entries

        self._refuses = entries.NotAnEntry
        return self._judged(lambda: self._got(entries.Receiver(entries.Plan(*plan), entries.Making(*making))))

    def _got(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def fetch(self) -> Mapping[str, object]:
        """Wait for the next bytes of the content; say how many they are, none at its end."""
        self._chunk, self.held = self.held or next(self._stream, b""), b""
        return {"bytes": len(self._chunk)}

    def write(self) -> Mapping[str, object]:
        """Write what was fetched, at the end the manifests; say what it is if it is no prepared wheel."""
        receiver, chunk, self._chunk = self._receiver, self._chunk, b""
        assert receiver is not None
        return self._judged(lambda: receiver.take(memoryview(chunk)) if len(chunk) else receiver.end())

    def link(self, root: str, tree: str, code: str, folder: str, mode: LinkMode) -> Mapping[str, object]:
        """Link the wheel that was written last; say whether all of it could be."""
        from pipfast.store.layout import Layout

        receiver, linked = self._receiver, False
        assert receiver is not None
        paths = Path(tree), Path(code) if code else None, Path(folder)
        with suppress(OSError, PipfastError):
            linked = receiver.link(Layout(Path(root)), *paths, mode)
        return {"linked": linked}

    def _judged(self, do: Callable[[], None]) -> Mapping[str, object]:
        try:
            do()
        except self._refuses as error:
            answer: dict[str, object] = {"unlike": str(error)}
        except OSError as error:
            answer = {"refused": [error.errno, error.strerror or str(error)]}
        else:
            return {}
        if self._receiver is not None:
            self._receiver.give_up()
        return answer

    def create(self, name: str, path: str) -> Mapping[str, object]:
        """Put a file's bytes under a name that is not taken yet; say whether it was not.

        The file is mapped: obstore sends it page by page, and a large one takes no memory of this process.
        """
        if self._folder:
            # obstore would make it, were it gone since the first question.
            failures.check_folder(self._folder)
        content: mmap.mmap | bytes
        with open(path, "rb") as file:
            try:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):
                # Not every file system, and no small address space, has room for that.
                content = file.read()
        for attempt in range(_ATTEMPTS):
            try:
                self._create(name, content)
            except self._taken:
                return {"made": False}
            except Exception as error:
                # Another member is just putting an object of that name.
                if attempt + 1 == _ATTEMPTS or _IN_USE.search(str(error)) is None:
                    raise
                time.sleep(_PAUSE_S * random.uniform(0.5, 1.5))
            else:
                break
        return {"made": True}

    def _create(self, name: str, content: mmap.mmap | bytes) -> None:
        if not self._is_webdav:
            self._obstore.put(self._store, name, content, mode="create", use_multipart=False)
            return
        # obstore has no conditional PUT for WebDAV, but COPY with "Overwrite: F".
        aside = f"{TMP}/{secrets.token_hex(16)}"
        self._obstore.put(self._store, aside, content, use_multipart=False)
        try:
            self._obstore.copy(self._store, aside, name, overwrite=False)
        finally:
            self._obstore.delete(self._store, aside)

    def delete(self, name: str) -> Mapping[str, object]:
        """Remove an object."""
        self._obstore.delete(self._store, name)
        return {}

    def names(self, prefix: str) -> Mapping[str, object]:
        """Return the names one step below a prefix: those of folders, and those of objects, the newest first."""
        found = self._obstore.list_with_delimiter(self._store, prefix=prefix)
        objects = sorted(found["objects"], key=lambda each: each["last_modified"], reverse=True)
        paths = found["common_prefixes"], [each["path"] for each in objects]
        # Of a WebDAV server they begin with the address's own path.
        folders, names = ([each[f"/{each}".find(f"/{prefix}/") :] for each in some[:_MOST_NAMES]
                           if f"/{prefix}/" in f"/{each}"] for some in paths)
        return {"folders": folders, "objects": names}


def _head_length(held: bytes) -> int | None:
    """Return the length of an object's line and head; None: more bytes are needed to tell, or to have it."""
    end = held.find(b"\n", 0, MAX_LINE_BYTES)
    if end < 0:
        return MAX_LINE_BYTES if len(held) >= MAX_LINE_BYTES else None
    length = held[:end].rpartition(b" ")[2]
    if not length.isdigit() or int(length) > MAX_HEAD_BYTES:
        return end + 1
    whole = end + 1 + int(length)
    return whole if len(held) >= whole else None


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there is nothing more to read."""
    courier: Courier | None = None
    address = ""
    for line in asked:
        question = json.loads(line)
        what, content = question.pop("do"), b""
        answer: Mapping[str, object] = {}
        try:
            if what == "open":
                address = question["address"]
                courier = Courier(**question)
            elif what in ("head", "more"):
                content = getattr(courier, what)()
                answer = {"bytes": len(content), "kept": len(courier.held) if courier is not None else 0}
            else:
                answer = getattr(courier, what)(**question)
        except library.NoLibrary as error:
            answer = {"library": str(error)}
        except Exception as error:
            answer = {"error": failures.told(error, address)}
        answers.write(json.dumps(answer).encode("ascii") + b"\n" + content)
        answers.flush()


def main() -> None:
    """Answer pip's process."""
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, KeyboardInterrupt):
        # It is gone, or is told to end, too.
        sys.stdout = None
