"""Notes of pip about its weekly question for a newer pip."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from hashlib import sha224

from pipfast.memo.again.elsewhere import HERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipfast.memo.again.elsewhere import Environment

WEEK = timedelta(days=7)
"""The time for which pip does not ask again."""

_WHEN = "last_check"


class Weekly:
    """What a run knew, or found out, of a newer pip.

    :param folder: where pip keeps its notes.
    :param mode: permission bits of one.
    :param rest: the note without its time, as JSON, with ``HERE`` for the environment's folder.
    :param asked: pip has asked, and written the note; else it was there.
    """

    __slots__ = ("asked", "folder", "mode", "rest")

    def __init__(self, folder: str, mode: int, rest: str, asked: bool) -> None:
        self.folder = folder
        self.mode = mode
        self.rest = rest
        self.asked = asked

    def renew(self, environment: Environment) -> str:
        """Have another environment's note say the same; return why pip has to ask, if it has."""
        path = _path(self.folder, environment)
        try:
            when, rest, _ = _read(path, environment)
            if datetime.now(timezone.utc) - when <= WEEK:
                return "" if rest == self.rest else f"{path} tells of another pip"
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            return f"{path}: {error}"
        if not self.asked:
            return f"{path} is missing or old"
        try:
            self._write(path, environment)
        except OSError as error:
            return f"{path}: {error}"
        return ""

    def _write(self, path: str, environment: Environment) -> None:
        note = {**_full(json.loads(self.rest), environment), _WHEN: datetime.now(timezone.utc).isoformat()}
        aside = f"{path}{os.urandom(6).hex()}.tmp"
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_text(note).encode("utf-8"))
                os.fchmod(descriptor, self.mode)
            os.replace(aside, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(aside)
            raise


def noted(path: str, environment: Environment, *, was_there: bool) -> Weekly:
    """Return what pip has noted of an environment; ValueError: it is none of the notes that we know.

    :param was_there: pip found it, and did not ask.
    :raises OSError: it cannot be read.
    """
    folder = os.path.dirname(path)
    if path != _path(folder, environment):
        raise ValueError(f"{path} has not the name that it would have")
    _, rest, mode = _read(path, environment)
    return Weekly(folder, mode, rest, not was_there)


def until(path: str) -> int:
    """Return when pip asks again, in nanoseconds since the epoch; ValueError, OSError: it is not told."""
    with open(path, encoding="utf-8") as file:
        return int((_when(json.load(file)) + WEEK).timestamp() * 10**9)


def _path(folder: str, environment: Environment) -> str:
    return f"{folder}/{sha224(environment.prefix.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _read(path: str, environment: Environment) -> tuple[datetime, str, int]:
    with open(path, encoding="utf-8") as file:
        text, mode = file.read(1 << 16), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    note = json.loads(text)
    if _text(note) != text or HERE in text:
        raise ValueError("it is not as pip writes it")
    when = _when(note)
    del note[_WHEN]
    return when, _text({name: environment.neutral(value) for name, value in note.items()}), mode


def _when(note: object) -> datetime:
    if not isinstance(note, dict) or not all(isinstance(each, str) for each in note.values()) or _WHEN not in note:
        raise ValueError("it is not as pip writes it")
    found = datetime.fromisoformat(note[_WHEN].replace("Z", "+00:00"))
    return found.replace(tzinfo=timezone.utc) if found.tzinfo is None else found


def _full(note: dict[str, str], environment: Environment) -> dict[str, str]:
    return {name: environment.full(value) for name, value in note.items()}


def _text(note: object) -> str:
    return json.dumps(note, sort_keys=True, separators=(",", ":"))
