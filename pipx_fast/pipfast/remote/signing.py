r"""Form and signature of the team's objects.

An object is one line, a head in JSON and the content:

    pipfast-object-1 <HMAC-SHA256, 64 hex digits> <bytes of the head>\n

The signature is over the format, the object's own name and the head, which has the content's size and SHA-256. So
an object that was altered, cut short or put under another name is not believed. No head is parsed before that.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import re
import select
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipfast.settings import Secret

FORMAT = b"pipfast-object-1"
"""The form's name and version; it is signed, too."""

MAX_LINE_BYTES = len(FORMAT) + 1 + 64 + 1 + 8 + 1
MAX_HEAD_BYTES = 1 << 20
"""Bytes beyond which a head cannot be one of ours: it names some dozen distributions."""

LEAST_KEY_CHARACTERS = 16

MAX_KEY_BYTES = 1 << 16
"""Bytes of a file with the team's key; a longer one is something else."""

_PIPE_S = 2.0
"""Seconds that a pipe may take to give the key."""

_LINE = re.compile(FORMAT + rb" ([0-9a-f]{64}) ([0-9]{1,8})\n")
_PURPOSE = b"pipfast: objects of the team's store, 1"


class Unbelievable(PipfastError):
    """An object is not what it should be; ``str()`` says how, and ends a sentence about it."""


class NotSigned(Unbelievable):
    """An object is whole, and has no signature with the team's key."""


class CutShort(Unbelievable):
    """An object lacks bytes: it may be just being put there."""


class Empty(CutShort):
    """An object has no bytes at all."""


class NoKey(PipfastError):
    """The team's key cannot be had; ``str()`` says why, without any part of it."""


class TeamKey:
    """The team's key: signs heads, and tells whether they are signed. Nothing shows it."""

    def __init__(self, secret: bytes) -> None:
        # Whoever uses the same secret elsewhere signs no object of ours by chance.
        self._key = hmac.digest(secret, _PURPOSE, "sha256")

    @property
    def object_name(self) -> str:
        """Return the name of the object that tells whether this is the team's key; it says nothing of the key."""
        return f"v1/keys/{self.signature('v1/keys', b'').decode('ascii')[:32]}"

    def signature(self, name: str, head: bytes) -> bytes:
        """Return the signature of an object of that name and head."""
        message = b"\n".join((FORMAT, name.encode("ascii"), head))
        return hmac.new(self._key, message, hashlib.sha256).hexdigest().encode("ascii")

    def is_signed(self, name: str, head: bytes, signature: bytes) -> bool:
        """Tell whether a signature is by this key."""
        return hmac.compare_digest(self.signature(name, head), signature)


def read_key(secret: Secret) -> TeamKey:
    """Return the team's key from the setting: the key itself, or ``@`` and the path of a file with it.

    :raises NoKey: the file cannot be read, or the key is too short.
    """
    text = secret.text
    if text.startswith("@"):
        path = key_place(secret)
        try:
            content = _content(path)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise NoKey(f"the team's key cannot be read from {path} ({why})") from error
        if len(content) > MAX_KEY_BYTES:
            raise NoKey(f"{path} is too long to be the team's key")
        key, where = content.strip(), path
    else:
        key, where = text.encode("utf-8", "surrogateescape"), key_place(secret)
    if len(key) < LEAST_KEY_CHARACTERS:
        raise NoKey(f"the team's key in {where} is shorter than {LEAST_KEY_CHARACTERS} characters")
    return TeamKey(key)


def _content(path: str) -> bytes:
    """Return what a file begins with; of a pipe what comes in time, as of ``@/dev/fd/63``."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    deadline, content = time.monotonic() + _PIPE_S, b""
    with open(descriptor, "rb", buffering=0) as file:
        while len(content) <= MAX_KEY_BYTES:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) and not select.select(
                [file], [], [], max(0.0, deadline - time.monotonic())
            )[0]:
                raise TimeoutError(errno.ETIMEDOUT, f"it gives nothing for {_PIPE_S:g} s", path)
            if not (block := file.read(MAX_KEY_BYTES + 1)):
                break
            content += block
    return content


def key_place(secret: Secret) -> str:
    """Return where the team's key stands: the path of a file, or the setting's name."""
    if secret.text.startswith("@"):
        return os.path.expanduser(secret.text[1:])
    # A command takes the variable away, since builds would get it.
    return "PIPFAST_REMOTE_KEY" if "PIPFAST_REMOTE_KEY" in os.environ else (
        "PIPFAST_REMOTE_KEY, or remote-key of pip's configuration"
    )


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of an object, believed."""

    name: str
    raw: bytes
    """As it is signed."""
    signature: bytes
    kind: str
    size: int
    """Bytes of the content."""
    sha256: str
    info: Mapping[str, Any]
    """What else it says, by kind."""

    @property
    def line(self) -> bytes:
        """The line before the head."""
        return b"%s %s %d\n" % (FORMAT, self.signature, len(self.raw))


def sign(key: TeamKey, name: str, kind: str, size: int, sha256: str, info: Mapping[str, Any]) -> Head:
    """Return the head of a new object."""
    document = {**info, "kind": kind, "size": size, "sha256": sha256}
    raw = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
    return Head(name, raw, key.signature(name, raw), kind, size, sha256, info)


def read_head(key: TeamKey | None, name: str, take: Callable[[int], bytes]) -> Head:
    """Read and check the head of an object.

    :param key: None: whoever asks has the content's digest from elsewhere, and believes nothing of the head.
    :param take: returns the next bytes of the object, fewer than asked for only at its end.
    :raises Unbelievable: it is no object, is cut short, or is not signed by this key under this name.
    """
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
        byte = take(1)
        if not byte:
            break
        line += byte
    if not line:
        raise Empty("is empty")
    match = _LINE.fullmatch(line)
    if match is None:
        raise Unbelievable("is no object of pipfast's")
    length = int(match[2])
    if length > MAX_HEAD_BYTES:
        raise Unbelievable("has a head that is too long")
    raw = take(length)
    if len(raw) != length:
        raise CutShort("is cut short")
    if key is not None and not key.is_signed(name, raw, match[1]):
        raise NotSigned("is not signed with the team's key, or was made under another name")
    try:
        document = json.loads(raw)
        kind, size, sha256 = str(document.pop("kind")), int(document.pop("size")), str(document.pop("sha256"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unbelievable("has a head that cannot be read") from error
    if size < 0 or re.fullmatch("[0-9a-f]{64}", sha256) is None:
        raise Unbelievable("has a head that cannot be read")
    return Head(name, raw, match[1], kind, size, sha256, document)
