"""Evidence of a failed build hook: exceptions, missing modules, output."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.errors import PipfastError
from pipfast.settings import RECORD_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class EvidenceDamaged(PipfastError):
    """The probe's file has another content than the probe writes; the build is left to pip's own error."""


@dataclass(frozen=True, slots=True)
class RaisedError:
    """One exception of the chain that ended the hook."""

    type: str
    """Qualified with its module: ``builtins.ModuleNotFoundError``."""
    message: str
    name: str | None = None

    @property
    def kind(self) -> str:
        """The class's name alone."""
        return self.type.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class SoughtModule:
    """A module that a process of the build looked for on ``sys.meta_path`` and did not find."""

    name: str
    parent_found: bool
    """The package that would hold it was there: for ``torch.utils``, that ``torch`` was."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known of one failed hook."""

    errors: tuple[RaisedError, ...] = ()
    """The uncaught exception, then its causes and contexts; empty where the process just ended."""
    sought: tuple[SoughtModule, ...] = ()
    """Among them modules that a script could do without: never a cause by themselves."""
    output: str = ""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """Notes of the probe at the end of one process of a build."""

    argv: tuple[str, ...]
    errors: tuple[RaisedError, ...] | None
    """The exception that ended it and those before; empty where it exited, None where they are damaged."""
    sought: tuple[str, ...]


def read_record(document: Mapping[str, Any]) -> ProcessRecord:
    """Return a line of the probe's file; unknown keys are passed over.

    Damaged errors count only if they ended the hook: any process of the build may write there.

    :raises EvidenceDamaged: ``sought`` has another type than the probe gives it.
    """
    sought = document.get("sought", ())
    if not isinstance(sought, (list, tuple)):
        raise EvidenceDamaged(f"the record of a failed build cannot be read ({sought!r} is no list)")
    errors = None
    with suppress(TypeError, KeyError, AttributeError, ValueError):
        errors = tuple(map(_read_error, document.get("errors", ())))
    argv = document.get("argv")
    return ProcessRecord(tuple(map(str, argv)) if isinstance(argv, list) else (), errors, tuple(map(str, sought)))


def imported_in(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the top-level modules that a process had imported from files, by its line of the probe's file."""
    names = document.get("imported")
    return tuple(each for each in names if isinstance(each, str)) if isinstance(names, list) else ()


def _read_error(each: Mapping[str, Any]) -> RaisedError:
    name = each.get("name")
    return RaisedError(_text(each["type"]), _text(each["message"]), None if name is None else _text(name))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


PROBE = Path(__file__).with_name("probe")
"""The first folder on ``PYTHONPATH``; it holds ``sitecustomize.py`` alone."""

MAX_RECORD_BYTES = 4 << 20
"""Bytes of a record that are read; no honest build writes more there."""

MAX_OUTPUT_CHARACTERS = 400_000
"""Characters of a hook's output that are kept, from its end, where the errors are."""

_LAST_LINE = re.compile(r"^(?P<type>[\w.]+): (?P<message>.*)\Z", re.DOTALL)
# e.g. `No module named 'mesonpy'`
_NO_MODULE = re.compile(r"No module named '([^']+)'")


@dataclass(slots=True)
class Watch:
    """The record of one call of a hook; a file in the temporary folder while it runs."""

    hook: str
    output: list[str] = field(default_factory=list)
    _path: Path = field(default_factory=Path)
    _record: bytes = b""

    def __enter__(self) -> Watch:
        # Named before it is made: an interrupt in the middle of mkstemp would leave the file behind.
        self._path = Path(tempfile.gettempdir(), f"pipfast-build-{secrets.token_hex(8)}.jsonl")
        try:
            self._path.touch(0o600, exist_ok=False)
        except BaseException as error:
            if not isinstance(error, FileExistsError):
                self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            with self._path.open("rb") as file:
                self._record = file.read(MAX_RECORD_BYTES)
        self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self._path.unlink()

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that put the probe into the hook's processes."""
        before = environ.get("PYTHONPATH")
        return {
            "PYTHONPATH": os.pathsep.join([os.fspath(PROBE), *([before] if before else [])]),
            RECORD_VARIABLE: os.fspath(self._path),
        }

    def evidence(self, unavailable: tuple[str, str] | None = None) -> Evidence | None:
        """Return the evidence of a hook that has failed; None if the record is damaged."""
        try:
            records = list(map(read_record, self._documents()))
            errors = _uncaught(records) if unavailable is None else _unavailable(*unavailable)
        except EvidenceDamaged:
            return None
        sought = dict.fromkeys(name for record in records for name in record.sought)
        return Evidence(
            errors=errors,
            sought=tuple(SoughtModule(name, "." in name) for name in sought),
            output="".join(self.output)[-MAX_OUTPUT_CHARACTERS:],
        )

    def imported(self) -> set[str]:
        """Return the modules that the processes of the hook had imported when they ended."""
        return {name for document in self._documents() for name in imported_in(document)}

    def _documents(self) -> Iterator[Mapping[str, Any]]:
        for each in self._record.decode("utf-8", "replace").splitlines():
            with suppress(ValueError):
                document = json.loads(each)
                if isinstance(document, dict):
                    yield document


def _uncaught(records: Sequence[ProcessRecord]) -> tuple[RaisedError, ...]:
    """Return the chain of exceptions that ended the hook: the one of its own process, none if that exited.

    A process that was killed notes nothing; then the last chain of any process counts.

    :raises EvidenceDamaged: that chain has another content than the probe writes.
    """
    # The script that runs a hook, by pip and by ``build``.
    own = (each for each in reversed(records) if each.argv and each.argv[0].endswith("_in_process.py"))
    ended = next(own, None) or next((each for each in reversed(records) if each.errors != ()), None)
    if ended is None:
        return ()
    if ended.errors is None:
        raise EvidenceDamaged("the errors of a failed build cannot be read")
    return ended.errors


def _unavailable(backend: str, traceback: str) -> tuple[RaisedError, ...]:
    unavailable = RaisedError("pyproject_hooks.BackendUnavailable", f"Cannot import {backend!r}")
    found = _LAST_LINE.match(traceback.strip().rpartition("\n")[2])
    if found is None:
        return (unavailable,)
    module = _NO_MODULE.search(found["message"])
    kind = found["type"] if "." in found["type"] else f"builtins.{found['type']}"
    return unavailable, RaisedError(kind, found["message"], module[1] if module else None)
