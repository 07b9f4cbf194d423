"""The team's store, as a command uses it."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pipfast.remote import built
from pipfast.remote.built import SLOTS, TeamWheel, object_of, read_wheel
from pipfast.remote.client import Client, RemoteFailed
from pipfast.remote.failures import AGAIN
from pipfast.remote.library import NoLibrary
from pipfast.remote.patience import Patience
from pipfast.remote.signing import (
    CutShort,
    Empty,
    Head,
    NoKey,
    NotSigned,
    TeamKey,
    Unbelievable,
    read_head,
    read_key,
    sign,
)
from pipfast.report import logger, say, timed
from pipfast.store.archives import Archive, add_archive, find_archive, is_digest, is_sound, sha256_of
from pipfast.store.names import REMOTE
from pipfast.store.notes import keep_note, load_note, note_key, read_note, write_note

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipfast.remote.client import Incoming
    from pipfast.settings import Settings
    from pipfast.store.layout import Layout

R = TypeVar("R", bound="Remote")

MAX_OBJECT_BYTES = 4 << 30
"""Bytes beyond which nothing is put there: it is one request, and S3 takes no more than 5 GB in one."""

WITHOUT_KEY = "without the team's key no wheel of it is believed, prepared or not, and nothing is put there"

ARCHIVES_ALONE = "of the team's store only archives are read whose SHA-256 the index or the user gives"

KEY_IS = "PIPFAST_REMOTE_KEY is the team's key, or @ and the path of a file with it"

SET_KEY = "set PIPFAST_REMOTE_KEY"

MAX_DOUBTS = 16
"""Objects that are not believed, after which the server is asked for no more."""

PROBED_S = 86_400.0
"""Seconds for which it is believed that a server creates and never replaces."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a server was found to do; ``problem`` is empty if it creates objects and never replaces them."""

    when: float
    problem: str


@dataclass(slots=True)
class Standing:
    """What a command has made out of its team's store: all that ask for it share one."""

    patience: Patience
    is_over: bool = False
    """It is left out from now on."""
    doubts: int = 0
    """Objects that were not believed."""


class Remote:
    """The team's store of one command. Whatever is wrong with it is said once, and then it is left out."""

    def __init__(self, settings: Settings, layout: Layout, standing: Standing | None = None) -> None:
        """:param standing: that of another one, beside which this asks for other things."""
        assert settings.remote
        self._settings, self._layout = settings, layout
        self._standing = standing or Standing(Patience(settings.remote_timeout))
        self.client = Client(settings.remote, self._standing.patience)
        # What is kept of it is there without a network, too.
        self._asks = settings.offline != "only"
        self.writes = settings.remote_write and self._asks
        self._coming: tuple[str, Incoming] | None = None
        """The last object that was asked for, of which the head has come."""
        # One stretch of questions at a time: a second thread's would end the first one's object.
        self._turn = threading.RLock()
        self._key: TeamKey | None = None
        try:
            self._key = read_key(settings.remote_key) if settings.remote_key is not None else None
        except NoKey as error:
            self._leave(str(error), KEY_IS)
        if self._key is None and not self.is_over:
            if not settings.remote_archives:
                self._leave(WITHOUT_KEY, SET_KEY)
            elif settings.remote_prepared or settings.remote_write:
                say(f"{ARCHIVES_ALONE}; {WITHOUT_KEY}", SET_KEY)

    @property
    def is_over(self) -> bool:
        """Tell whether it is left out from now on."""
        return self._standing.is_over

    def another(self: R) -> R:
        """Return the same store, to be asked for something else meanwhile."""
        return type(self)(self._settings, self._layout, self._standing)

    def begin(self) -> None:
        """Start what speaks with it; return at once."""
        if self._asks and not self.is_over:
            try:
                self.client.begin()
            except (RemoteFailed, NoLibrary) as error:
                self._fail(error)

    def wheels(self, place: str) -> Iterator[tuple[str, Head, TeamWheel]]:
        """Yield the wheels of a place, name by name, believed; only their heads have come."""
        if self._key is None:
            return
        for slot in range(SLOTS):
            name = object_of(place, slot)
            head = self._kept_head(name)
            if head is None:
                head, there = self._head(name)
                if not there:
                    return
            if head is not None:
                try:
                    yield name, head, read_wheel(head.info)
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    self._doubt(name, Unbelievable(f"has no wheel in it ({error!r})"))

    def fetch(self, name: str, head: Head, filename: str) -> Archive | None:
        """Return an object's content as an archive of the store, from there or from the server."""
        kept = find_archive(self._layout, head.sha256)
        if kept is not None and is_sound(self._layout, kept):
            return kept
        with self._turn, timed("remote", name=name, size=head.size), self._endings(name):
            return self._fetch(name, head, filename)
        return None

    def archive(self, digest: str, filename: str) -> Archive | None:
        """Return a file that an index has under a digest, as an archive of the store.

        The digest vouches for it. Where there is a key, its head must be signed all the same.
        """
        if not is_digest(digest):
            return None
        name = f"v1/archives/{digest[:2]}/{digest}"
        with self._turn, timed("remote", name=name), self._endings(name):
            incoming = self.client.get(name) if self._asks and not self.is_over else None
            if incoming is None:
                return None
            head = read_head(self._key, name, incoming.take)
            if head.sha256 != digest:
                raise Unbelievable("has another file's digest")
            if head.size > MAX_OBJECT_BYTES:
                # Without the key anybody may have said so.
                raise Unbelievable("is larger than any that is put there")
            return self._saved(incoming, head, filename)
        return None

    def keep_archive(self, digest: str, filename: str, path: Path) -> None:
        """Put a downloaded file there, of which the index has this digest."""
        if self.is_over or not self.writes or self._key is None:
            return
        if path.stat().st_size > MAX_OBJECT_BYTES:
            self._say_too_large(filename)
            return
        name = f"v1/archives/{digest[:2]}/{digest}"
        try:
            with self._turn:
                if self._may_create():
                    head = sign(self._key, name, "archive", path.stat().st_size, digest, {"filename": filename})
                    self._put(head, path)
        except (RemoteFailed, NoLibrary) as error:
            self._fail(error)
        except OSError as error:
            logger.debug("pipfast: %s cannot be prepared for the team's store: %r", filename, error)

    @staticmethod
    def _say_too_large(what: str) -> None:
        say(f"{what} is not put into the team's store: it has more than {MAX_OBJECT_BYTES >> 30} GiB")

    @contextmanager
    def _endings(self, name: str) -> Iterator[None]:
        """Say or note why an object is not had, and go on without it."""
        try:
            yield
        except Unbelievable as error:
            self._doubt(name, error)
        except (RemoteFailed, NoLibrary) as error:
            self._fail(error)
        except OSError as error:
            logger.debug("pipfast: %s cannot be kept: %r", name, error)
            self._layout.note_refusal(error.errno)

    def _fetch(self, name: str, head: Head, filename: str) -> Archive | None:
        if self.is_over or not self._asks:
            return None
        coming, self._coming = self._coming, None
        if coming is not None and coming[0] == name:
            incoming = coming[1]
        else:
            asked = self.client.get(name)
            if asked is None:
                raise Unbelievable("is gone")
            if read_head(self._key, name, asked.take).raw != head.raw:
                raise Unbelievable("was replaced by another one")
            incoming = asked
        return self._saved(incoming, head, filename)

    def _saved(self, incoming: Incoming, head: Head, filename: str) -> Archive | None:
        with self._layout.staging() as folder:
            path = folder / "content"
            _save(incoming, path, head)
            return add_archive(self._layout, path, head.sha256, filename, move=True)

    def _head(self, name: str) -> tuple[Head | None, bool]:
        """Return an object's head, if it is believed, and whether there may be an object."""
        if self.is_over or not self._asks:
            return None, False
        self._coming = None
        try:
            with self._turn, timed("remote", name=name):
                incoming = self.client.get(name)
                if incoming is None:
                    return None, False
                head = read_head(self._key, name, incoming.take)
                self._coming = name, incoming
        except Unbelievable as error:
            self._doubt(name, error)
            return None, True
        except (RemoteFailed, NoLibrary) as error:
            self._fail(error)
            return None, False
        # Never replaced there, so never asked for again: an older object in its place is not even seen.
        self._keep_head(head)
        return head, True

    def _keep_head(self, head: Head) -> None:
        write_note(self._layout, REMOTE, self._note_key(head.name), head.line + head.raw)

    def _note_key(self, name: str) -> str:
        # The address may have a password, of which no trace is kept but this digest.
        return note_key(self.client.address, "\n", name)

    def _kept_head(self, name: str) -> Head | None:
        content = read_note(self._layout, REMOTE, self._note_key(name))
        if content is None:
            return None
        rest = memoryview(content)

        def take(count: int) -> bytes:
            nonlocal rest
            taken, rest = rest[:count], rest[count:]
            return bytes(taken)

        try:
            return read_head(self._key, name, take)
        except Unbelievable:
            # Of another key, most likely.
            return None

    def keep(self, place: str, wheel: TeamWheel, path: Path) -> bool:
        """Put a wheel there, unless there is one that was built against the same; tell whether it is new there.

        :param path: its file.
        """
        if self.is_over or not self.writes or self._key is None:
            return False
        size = path.stat().st_size
        if size > MAX_OBJECT_BYTES:
            self._say_too_large(path.name)
            return False
        try:
            if not self._may_create():
                return False
            for slot in range(SLOTS):
                if (made := self._keep_at(object_of(place, slot), wheel, path)) is not None:
                    return made
        except (RemoteFailed, NoLibrary) as error:
            self._fail(error)
        except OSError as error:
            logger.debug("pipfast: %s cannot be prepared for the team's store: %r", path.name, error)
        return False

    def _keep_at(self, name: str, wheel: TeamWheel, path: Path) -> bool | None:
        """Put a wheel under one name; None if another one has that name."""
        assert self._key is not None
        there = self._kept_head(name)
        if there is None:
            head = sign(self._key, name, built.KIND, path.stat().st_size, sha256_of(path), wheel.to_json())
            if self._put(head, path):
                self._keep_head(head)
                return True
            there, _ = self._head(name)
        try:
            return False if there is not None and read_wheel(there.info).is_as(wheel) else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def _put(self, head: Head, path: Path) -> bool:
        """Put an object under its name, unless there is one."""
        with timed("remote-put", name=head.name, size=head.size), self._layout.staging() as folder:
            content = folder / "object"
            with content.open("wb") as file, path.open("rb") as source:
                file.write(head.line + head.raw)
                shutil.copyfileobj(source, file, 1 << 20)
            return self.client.create(head.name, content)

    def _may_create(self) -> bool:
        key = note_key("probe\n", self.client.address)
        probed = load_note(self._layout, REMOTE, key, _read_probed)
        if probed is None or not 0 <= time.time() - probed.when <= PROBED_S:
            assert self._key is not None
            probed = probe(self.client, self._layout, self._key)
            keep_note(self._layout, REMOTE, key, [probed.when, probed.problem])
        if probed.problem:
            self._leave(f"nothing is put there: {probed.problem}", AGAIN)
        return not probed.problem

    def _doubt(self, name: str, how: Unbelievable) -> None:
        logger.debug("pipfast: %s of the team's store %s", name, how)
        if isinstance(how, Empty) and self.client.address.startswith(("http:", "https:")):
            # Some WebDAV servers show an object so until they have copied it: that is nobody's fault.
            return
        standing = self._standing
        standing.doubts += 1
        standing.is_over = standing.is_over or standing.doubts >= MAX_DOUBTS
        if standing.doubts == 1:
            say(f"an object of the team's store is not believed: it {how} ({name})", _what_to_do(how))

    def _fail(self, error: RemoteFailed | NoLibrary) -> None:
        self._leave(str(error), error.hint or AGAIN)

    def _leave(self, why: str, hint: str) -> None:
        if not self.is_over and not self._standing.doubts:
            say(f"the team's store is left out: {why}", hint)
        logger.debug("pipfast: the team's store is left out: %s", why)
        self._standing.is_over = True
        self.client.close()

    def close(self) -> None:
        """End what speaks with it; whoever waits for it just now has nothing to say of that."""
        self._standing.is_over = True
        self.client.close()


def probe(client: Client, layout: Layout, key: TeamKey | None = None) -> Probed:
    """Try whether a server creates an object, and refuses to create it twice; RemoteFailed: it does neither.

    :param key: if it does, the team's key is made known there, by which ``pipfast doctor`` finds a wrong one.
    """
    name = f"v1/probe/{secrets.token_hex(16)}"
    with layout.staging() as folder:
        path = folder / "object"
        path.write_bytes(b"pipfast puts this here twice, and removes it\n")
        if not client.create(name, path):
            return Probed(time.time(), "the server says of a new name that it is taken")
        path.write_bytes(b"the second one\n")
        problem = "the server replaces objects, so that one machine could undo another's" if client.create(
            name, path
        ) else ""
        if key is not None and not problem:
            head = sign(key, key.object_name, "key", 0, hashlib.sha256().hexdigest(), {})
            path.write_bytes(head.line + head.raw)
            try:
                client.create(key.object_name, path)
            except RemoteFailed as error:
                logger.debug("pipfast: the team's key is not made known: %s", error)
    try:
        client.delete(name)
    except RemoteFailed as error:
        logger.debug("pipfast: the probe's object stays: %s", error)
    return Probed(time.time(), problem)


def _what_to_do(how: Unbelievable) -> str:
    if isinstance(how, NotSigned):
        return "if the team has changed its key, set PIPFAST_REMOTE_KEY to the new one"
    if isinstance(how, CutShort):
        return "if it is not just being put there, remove it there"
    return "see who may write there, and remove it"


def _read_probed(payload: bytes) -> Probed:
    import json

    when, problem = json.loads(payload)
    return Probed(float(when), str(problem))


def _save(incoming: Incoming, path: Path, head: Head) -> None:
    """Write an object's content, and compare it with its head. Raises Unbelievable: it is another one."""
    digest, missing = hashlib.sha256(), head.size
    with path.open("xb") as file:
        for content in incoming.rest():
            missing -= len(content)
            if missing < 0:
                raise Unbelievable("is longer than it says")
            digest.update(content)
            file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if missing:
        raise CutShort("is cut short")
    if digest.hexdigest() != head.sha256:
        raise Unbelievable("was altered")
