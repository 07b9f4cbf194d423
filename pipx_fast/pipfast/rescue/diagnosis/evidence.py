"""Evidence of a failed build hook: exceptions, missing modules, output."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence



class EvidenceDamaged(PipfastError):
    """The probe's file has another content than the probe writes; the build is left to pip's own error."""


@dataclass(frozen=True, slots=True)
class RaisedError:
    """One exception of the chain that ended the hook."""

    type: str
    """Qualified with its module: ``builtins.ModuleNotFoundError``."""
    message: str
    name: str | None = None
    """``ImportError.name``."""

    @property
    def kind(self) -> str:
        """The class's name alone."""
        return self.type.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class SoughtModule:
    """A module that a process of the build looked for on ``sys.meta_path`` and did not find."""

    name: str
    """Dotted, as it was looked for."""
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
    """Standard output and error of the hook's processes, as they came."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """Notes of the probe at the end of one process of a build."""

    argv: tuple[str, ...]
    errors: tuple[RaisedError, ...] | None
    """The exception that ended it and those before; empty where it exited, None where they are damaged."""
    sought: tuple[str, ...]
    """Modules that it looked for and did not find, dotted."""


def read_record(document: Mapping[str, Any]) -> ProcessRecord:
    """Return a line of the probe's file; unknown keys are passed over.

    Damaged errors count only if they ended the hook: any process of the build may write there.

    :raises EvidenceDamaged: ``sought`` has another type than the probe gives it.
    """
    try:
        sought = tuple(map(str, _list(document.get("sought", ()))))
    except TypeError as error:
        raise EvidenceDamaged(f"the record of a failed build cannot be read ({error!r})") from error
    errors = None
    with suppress(TypeError, KeyError, AttributeError, ValueError):
        errors = tuple(map(_read_error, document.get("errors", ())))
    argv = document.get("argv")
    return ProcessRecord(tuple(map(str, argv)) if isinstance(argv, list) else (), errors, sought)


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


def _list(values: object) -> Sequence[object]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{values!r} is no list")
    return values
