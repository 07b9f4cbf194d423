"""Causes of a failed build: modules and distributions that it misses.

Each has its sentence for the user, and its form in the note of a source's next build (see ``rescue.learnt``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class MissingModule:
    """The build imported a module that is not there."""

    module: str
    """Dotted, as the build looked for it."""
    backend: bool = False
    """It is the build backend itself: ``build-system.requires`` comes first."""

    @property
    def subject(self) -> str:
        """The missing thing in one word; the same subject a second time ends the rescue."""
        return self.module

    def sentence(self, package: str) -> str:
        """Return what a package missed, without a full stop."""
        return f"{package} {'is built with' if self.backend else 'imports'} {self.module} without declaring it"


@dataclass(frozen=True, slots=True)
class MissingDistribution:
    """The build asked for a distribution by its own name."""

    requirement: str
    """With its specifier, where one was given; without markers."""
    by: str = ""
    """Distributions that, by the message, depend on it, separated by commas; their own metadata counts."""

    @property
    def subject(self) -> str:
        """As ``MissingModule`` has it."""
        return self.requirement

    def sentence(self, package: str) -> str:
        """As ``MissingModule`` has it."""
        return f"{package} asks for {self.requirement}, which is not there"


@dataclass(frozen=True, slots=True)
class NeedsOlderSetuptools:
    """The build imported a module that setuptools has dropped."""

    module: str
    below: str
    """The first release of setuptools without it."""

    @property
    def subject(self) -> str:
        """As ``MissingModule`` has it."""
        return self.module

    def sentence(self, package: str) -> str:
        """As ``MissingModule`` has it."""
        return f"{package} imports {self.module}, which setuptools has no longer"


Cause: TypeAlias = MissingModule | MissingDistribution | NeedsOlderSetuptools

_WORDS: Mapping[type[Cause], str] = MappingProxyType({
    MissingModule: "module", MissingDistribution: "distribution", NeedsOlderSetuptools: "setuptools",
})
_READERS: Mapping[str, Callable[[Mapping[str, Any]], Cause]] = MappingProxyType({
    "module": lambda each: MissingModule(_text(each["module"]), backend=bool(each["backend"])),
    "distribution": lambda each: MissingDistribution(_text(each["requirement"]), str(each.get("by", ""))),
    "setuptools": lambda each: NeedsOlderSetuptools(_text(each["module"]), _text(each["below"])),
})


def to_json(cause: Cause) -> dict[str, object]:
    """Return a cause as ``read_cause`` takes it."""
    return {"missing": _WORDS[type(cause)], **asdict(cause)}


def read_cause(each: Mapping[str, Any]) -> Cause:
    """Return the cause that ``to_json`` described. Raises LookupError: it is none; or TypeError."""
    return _READERS[each["missing"]](each)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value!r} is no text")
    return value


@dataclass(frozen=True, slots=True)
class NoCause:
    """No installation mends this build, or nothing shows that one would."""

    reason: str
