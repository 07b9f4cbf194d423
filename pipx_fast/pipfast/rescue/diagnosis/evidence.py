"""What a failed build hook left behind, as the probe in its processes writes it down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from pipfast.errors import PipfastError

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["requires", "metadata", "wheel"]
"""The hook that failed: ``get_requires_for_build_*``, ``prepare_metadata_for_build_*`` or ``build_*``."""

STAGES: tuple[Stage, ...] = ("requires", "metadata", "wheel")


class EvidenceDamaged(PipfastError):
    """What the probe wrote is not what it writes; the build is left to pip's own error."""


@dataclass(frozen=True, slots=True)
class RaisedError:
    """One exception of the chain that ended the hook."""

    type: str
    """Qualified with its module: ``builtins.ModuleNotFoundError``."""
    message: str
    name: str | None = None
    """``ImportError.name``."""
    files: tuple[str, ...] = ()
    """The files of its traceback, innermost last."""

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
    pid: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one failed hook."""

    stage: Stage
    editable: bool = False
    errors: tuple[RaisedError, ...] = ()
    """The uncaught exception, then its causes and contexts; empty where the process just ended."""
    sought: tuple[SoughtModule, ...] = ()
    """Also what a script looked for and could do without: never a cause by itself."""
    output: str = ""
    """Standard output and error of the hook's processes, as they came."""
    declared: tuple[str, ...] = ()
    """``build-system.requires``, and what ``get_requires_for_build_*`` said."""

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as ``json.dumps`` takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: object) -> Evidence:
        """Read what ``json.loads`` made of a probe's file; keys that are not known are passed over.

        :raises EvidenceDamaged: something has another type than the probe gives it.
        """
        try:
            return _read(cast("Mapping[str, Any]", document))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise EvidenceDamaged(f"the record of a failed build cannot be read ({error!r})") from error


def _read(document: Mapping[str, Any]) -> Evidence:
    stage = _text(document["stage"])
    if stage not in STAGES:
        raise TypeError(f"unknown stage {stage!r}")
    return Evidence(
        stage=stage,
        editable=bool(document.get("editable")),
        errors=tuple(
            RaisedError(
                _text(each["type"]), _text(each["message"]),
                None if each.get("name") is None else _text(each["name"]), _texts(each.get("files", ())),
            )
            for each in document.get("errors", ())
        ),
        sought=tuple(
            SoughtModule(_text(each["name"]), bool(each["parent_found"]), int(each["pid"]))
            for each in document.get("sought", ())
        ),
        output=_text(document.get("output", "")),
        declared=_texts(document.get("declared", ())),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(values: object) -> tuple[str, ...]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{values!r} is no list")
    return tuple(_text(value) for value in values)
