"""Facts that ``pipfast doctor`` shows, in the shape of its JSON document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast.remote.health import TeamFacts
    from pipfast.settings import LinkMode


@dataclass(frozen=True, slots=True)
class SeamFacts:
    """One function of pip's that pipfast uses."""

    name: str
    family: str
    state: str
    """``attached``, ``as expected`` (it is only called), or ``stock``."""
    why: str
    """Why pip's own code runs; empty if ours does."""
    as_wanted: bool
    """False if pip's own code runs and no setting asks for that."""


@dataclass(frozen=True, slots=True)
class PipFacts:
    """The pip of this process."""

    version: str
    location: str
    newest_tested: str
    newer_than_tested: bool


@dataclass(frozen=True, slots=True)
class Examination:
    """What the hooks report of this process's pip."""

    pip: PipFacts
    seams: list[SeamFacts]
    problems: list[str] = field(default_factory=list)
    """Why nothing is attached to it, where nothing can be."""
    why: str = ""
    """Why the run is about this Python."""
    installed_by_pip: str = ""
    """Why pip itself installs wheels; empty if pipfast does."""


@dataclass(frozen=True, slots=True)
class Package:
    """pipfast itself."""

    version: str
    location: str


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that runs this."""

    path: str
    version: str
    implementation: str
    virtual_environment: bool
    prefix: str
    why: str
    """Why the run is about this one."""
    managed: str | None = None
    """The file by which pip refuses to install there (PEP 668); None if there is none."""


@dataclass(frozen=True, slots=True)
class Libraries:
    """Libraries that pipfast brings with it."""

    folder: str
    versions: Mapping[str, str]
    """By name."""
    inflate: str
    """``isal 1.7``, or ``zlib`` where isal's compiled part does not load."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """The store, and what is wrong with it."""

    path: str
    usable: bool = False
    reason: str | None = None
    """Why it is not usable."""
    hint: str | None = None
    condition: str | None = None
    """Why nothing new can be kept, or not much."""
    free: int | None = None
    """Bytes; None where nobody knows."""
    buckets: dict[str, int] = field(default_factory=dict)
    """Bytes by name."""
    own_bytes: int = 0
    """Of these, what only the store holds."""
    bound: int | None = None
    """What only the store may hold; None: any number."""
    leftovers: int = 0
    leftover_bytes: int = 0
    in_use: int = 0


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """How installed files come into the environment."""

    target: str
    mode: LinkMode | Literal["none", "pip"]
    """``pip``: pip alone puts them there; ``none``: nothing can be written there."""
    reason: str | None = None
    shared_by_root: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """What `pipfast attach` has written into a site-packages folder."""

    pipfast: str
    """Folder of the pipfast that runs there."""
    problem: str | None = None
    """Why it does not run all the same."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was asked in the current folder, and is answered without pip while nothing changes."""

    words: str
    made: str
    """When pip gave the answer, in local time: ``2026-11-30 14:05:09``."""
    why: str = ""
    """Why pip is asked the next time; empty: it is not."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything: one JSON document."""

    pipfast: Package
    interpreter: Interpreter
    pip: PipFacts
    libraries: Libraries
    settings: Mapping[str, object]
    """By variable, as JSON has the values; under ``problems`` a list of those that cannot be read."""
    seams: list[SeamFacts]
    store: StoreFacts
    link: LinkFacts
    built_against_something_else: list[str]
    attached: Attachment | None
    """What makes this environment's own pip run with pipfast."""
    new_environments: dict[str, Attachment]
    """What makes venv and virtualenv attach what they make, by folder: user sites, and this site-packages."""
    problems: list[str]
    shell: str = ""
    """The shell in which ``pip`` is pipfast, if that has run this."""
    team: TeamFacts | None = None
    """The team's store; None where none is set."""
    kept_answers: list[KeptAnswer] = field(default_factory=list)
    """Those of the current folder, the newest first."""
