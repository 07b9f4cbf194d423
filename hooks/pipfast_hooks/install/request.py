"""pip's request to install a wheel, and that wheel made ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipfast.install.aside import scripts
from pipfast.wheel.members import SCHEME_KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.install.plan import Batch, Plan
    from pipfast.store.prepared import Prepared


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of pip's ``install_wheel``, and their defaults."""

    name: str
    wheel_path: str
    scheme: Any
    """pip's ``Scheme``: the folders of the environment."""
    req_description: str
    pycompile: bool = True
    warn_script_location: bool = True
    direct_url: Any = None
    """pip's ``DirectUrl``; None for what an index has."""
    requested: bool = False
    script_executable: str | None = None

    @property
    def is_passing(self) -> bool:
        """Tell whether the wheel was built for this one installation, from a local folder."""
        info = getattr(self.direct_url, "info", None) or getattr(self.direct_url, "dir_info", None)
        return info is not None and type(info).__name__ == "DirInfo"

    def schemes(self) -> dict[str, str]:
        """Return the folders of the environment by the wheel format's keys."""
        return {key: getattr(self.scheme, key) for key in SCHEME_KEYS}


@dataclass(frozen=True, slots=True)
class EntryPoints:
    """A wheel's entry points that become scripts: ``module:function`` by name."""

    console: dict[str, str]
    gui: dict[str, str]


@dataclass(frozen=True, slots=True)
class Scripts:
    """What was made of a wheel's scripts in the environment."""

    changed: frozenset[str]
    """Paths in RECORD of those that were rewritten."""
    console: list[str]
    """Full paths of those that call console entry points."""
    gui: list[str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A wheel in the store, and where its files will go; nothing is written yet."""

    prepared: Prepared
    plan: Plan
    entry_points: EntryPoints
    lib_dir: str
    arranged: Path | None = None
    """Where its files are linked aside already, checked when that was done."""
    copied: bool = False
    """The store is read-only and so are its files: the environment gets copies with modes of its own."""
    scripts: Scripts | None = None
    """Those that are there, when everything is but the .dist-info folder's own files."""
    moved: bool = False
    """Everything but the .dist-info folder was moved from ``arranged``."""

    @property
    def info_dir(self) -> str:
        """Return the full path of the .dist-info folder."""
        return f"{self.lib_dir}/{self.prepared.manifest.info_dir}"

    def script_batches(self) -> list[Batch]:
        """Return the wheel's own scripts, which are never linked aside."""
        return scripts(self.plan.batches, self.info_dir)
