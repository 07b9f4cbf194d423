"""Process that speaks with the server of the team's store.

obstore is loaded here, not in pip's process: whatever a server, a name service, a network file system or obstore
itself does, this process can be ended at any time, and pip's ends as pip would.

Asked by a line of JSON, it answers with one. After that for ``more`` come as many bytes as the line says.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipfast.address import redacted
from pipfast.remote import library

if TYPE_CHECKING:
    from collections.abc import Mapping

CHUNK_BYTES = 1 << 18
"""Bytes that are handed over at once: at the least rate, a quarter of a second's."""

_ATTEMPTS = 6
_PAUSE_S = 0.2
"""Seconds between two attempts to put an object that another member is putting."""

# e.g. `Server returned non-2xx status code: 423 Locked`
_IN_USE = re.compile(r"status code: (?:409|423)\b")

MAX_SAID_CHARACTERS = 160
"""Characters of an error that are repeated; some servers answer with a page."""

TMP = "v1/tmp"
"""Folder of objects that a WebDAV server is still getting; they are copied when they are whole."""


class Courier:
    """One server."""

    def __init__(self, address: str, milliseconds: int, folder: str, *, writes: bool) -> None:
        """:raises NoLibrary: there is no obstore. Exception: the address or its settings cannot be used."""
        self._obstore = obstore = library.load(folder)
        self._is_webdav = address.startswith(("http:", "https:"))
        options: dict[str, Any] = {}
        if address.startswith("file:"):
            # A reader makes no folder.
            options["mkdir"] = writes
        elif not address.startswith("memory:"):
            # Whoever asks waits less, and bounds the whole: a large wheel may well take longer.
            wait = f"{2 * milliseconds}ms"
            client: dict[str, Any] = {"connect_timeout": wait, "read_timeout": wait, "timeout": "1h"}
            # obstore asks for its own variable only where it is given no options.
            if address.startswith("http:") or os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"):
                client["allow_http"] = True
            options = {"client_options": client, "retry_config": {"max_retries": 0}}
        # obstore joins address and name with a slash.
        self._store = obstore.store.from_url(address.rstrip("/") if self._is_webdav else address, **options)
        errors = obstore.exceptions
        self._missing = (FileNotFoundError, errors.NotFoundError)
        self._taken = (errors.AlreadyExistsError, errors.PreconditionError)
        self._stream: Any = None

    def get(self, name: str) -> Mapping[str, object]:
        """Begin to get an object; say whether there is one."""
        self._stream = None
        try:
            result = self._obstore.get(self._store, name)
        except self._missing:
            return {"found": False}
        self._stream = iter(result.stream(min_chunk_size=CHUNK_BYTES))
        return {"found": True}

    def more(self) -> bytes:
        """Return the next bytes of the object; none at its end."""
        return bytes(next(self._stream, b""))

    def create(self, name: str, path: str) -> Mapping[str, object]:
        """Put a file's bytes under a name that is not taken yet; say whether it was not."""
        content = Path(path).read_bytes()
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

    def _create(self, name: str, content: bytes) -> None:
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


# e.g. `Generic S3 error: Error performing GET https://host/key in 2ms - Server returned non-2xx status code: 403`
_PERFORMING = re.compile(r".*Error performing (\w+) \S+(?: in [\d.]+[mµn]?s\b)? - ")
# What is behind it stands further below, e.g. `Os { code: 111, message: "Connection refused" }`,
# `InvalidCertificate(Expired)`, or in a server's answer `<Code>RequestTimeTooSkewed</Code>`.
_BEHIND = re.compile(
    r'message: "([\w ]{1,60})"|(InvalidCertificate\(\w{1,40})|(dns error)|<Code>(\w{1,40})</Code>'
)


def told(error: BaseException) -> str:
    """Return the words of an error that say what is wrong: obstore's have all of a request, and of its answer."""
    whole = str(error)
    first = whole.partition("\n")[0].partition("<")[0]
    # A server may answer with what moves a terminal's cursor.
    first = "".join(each if each.isprintable() else "?" for each in first)
    text = redacted(_PERFORMING.sub(r"\1: ", first)).strip(" :-") or type(error).__name__
    if len(text) > MAX_SAID_CHARACTERS:
        text = f"{text[:MAX_SAID_CHARACTERS]} …"
    behind = _BEHIND.search(whole)
    return f"{text} ({next(filter(None, behind.groups()))})" if behind else text


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there is nothing more to read."""
    courier: Courier | None = None
    for line in asked:
        question = json.loads(line)
        what, content = question.pop("do"), b""
        answer: Mapping[str, object] = {}
        try:
            if what == "open":
                courier = Courier(**question)
            elif what == "more":
                content = courier.more()  # type: ignore[union-attr]  # it is opened first
                answer = {"bytes": len(content)}
            else:
                answer = getattr(courier, what)(**question)
        except library.NoLibrary as error:
            answer = {"library": str(error)}
        except Exception as error:
            answer = {"error": told(error)}
        answers.write(json.dumps(answer).encode("ascii") + b"\n" + content)
        answers.flush()


def main() -> None:
    """Answer pip's process."""
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, KeyboardInterrupt):
        # It is gone, or is told to end, too.
        sys.stdout = None
