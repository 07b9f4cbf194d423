"""pip's request to install a wheel, and that wheel made ready."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pip._internal.metadata import FilesystemWheel, get_wheel_distribution, select_backend
from pip._internal.operations.install import wheel as pip_wheel
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.install.aside import scripts
from pipfast.install.compiling import compile_rewritten
from pipfast.wheel.scheme import SCHEME_KEYS

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


class LeftToPip(Exception):
    """Something that pip does otherwise, or has its own error for."""


class _EntryPointsOnly(importlib.metadata.Distribution):
    """Just enough of a distribution for its entry points to be read by the standard library."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "entry_points.txt" else None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


def read_entry_points(request: Request, text: str | None) -> EntryPoints:
    """Return the entry points that become scripts, as this pip reads them.

    :param text: the wheel's ``entry_points.txt``; None if it has none.
    :raises ValueError: pkg_resources refuses an entry, with which pip began to read metadata (Python 3.10).
    """
    if text is None:
        return EntryPoints({}, {})
    if select_backend().Distribution.__module__.endswith("pkg_resources"):
        wheel = FilesystemWheel(request.wheel_path)
        return EntryPoints(*pip_wheel.get_entrypoints(
            get_wheel_distribution(wheel, canonicalize_name(request.name))
        ))
    groups: dict[str, dict[str, str]] = {"console_scripts": {}, "gui_scripts": {}}
    for entry_point in _EntryPointsOnly(text).entry_points:
        if entry_point.group in groups:
            groups[entry_point.group][entry_point.name] = entry_point.value
    return EntryPoints(groups["console_scripts"], groups["gui_scripts"])


def make_scripts(request: Request, ready: Ready) -> Scripts:
    """Rewrite the wheel's scripts, and generate those of entry points with pip's maker, or raise ``LeftToPip``."""
    plan = ready.plan
    maker = pip_wheel.PipScriptMaker(None, request.scheme.scripts)
    if request.script_executable is not None:
        maker.executable = request.script_executable
    maker.clobber = True
    maker.variants = {""}
    maker.set_mode = True
    try:
        changed = frozenset(plan.installed[each] for each, path in plan.scripts if pip_wheel.fix_script(path))
        if request.pycompile:
            compile_rewritten(plan, ready.lib_dir)
        console = list(maker.make_multiple(pip_wheel.get_console_script_specs(ready.entry_points.console)))
        gui = [f"{name} = {value}" for name, value in ready.entry_points.gui.items()]
        return Scripts(changed, console, list(maker.make_multiple(gui, {"gui": True})))
    except Exception as error:
        raise LeftToPip from error
