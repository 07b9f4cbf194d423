"""``pipfast doctor``: the facts about this environment, and what is wrong in it."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import stat
import sys
import sysconfig
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast import __version__
from pipfast.address import redacted
from pipfast.commands.doctor_text import everything, page
from pipfast.commands.output import program
from pipfast.dependencies import Unusable
from pipfast.settings import SETTINGS, Settings
from pipfast.store.folder import TAG, StoreUnusable, default_root
from pipfast.store.layout import open_layout
from pipfast.store.names import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipfast.store.condition import Condition
    from pipfast.store.layout import Layout


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
    """The pip of this process, as the hooks report it."""

    version: str
    location: str
    newest_tested: str
    is_newer: bool
    wrapt: str
    seams: list[SeamFacts]
    problems: list[str] = field(default_factory=list)
    """Why nothing is attached to it, where nothing can be."""


def main(arguments: list[str], settings: Settings, examine: Callable[[Settings], PipFacts]) -> int:
    """Run ``pipfast doctor`` and return its exit code: 1 if something is not as it should be."""
    options = parser().parse_args(arguments)
    document = _diagnosis(settings, examine(settings))
    if options.json:
        json.dump(document, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print("\n".join(page(document, _settings(Settings.from_environ({})))))
        if options.verbose:
            print("\n".join(everything(document)))
    return 1 if document["problems"] else 0


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line of ``pipfast doctor``."""
    made = argparse.ArgumentParser(
        f"{program()} doctor",
        description="Show what pipfast does in this environment, and what is wrong. "
        "Exits with 1 when something is wrong: a setting that cannot be read, a store that cannot be used, a pip "
        "that pipfast does not know, a package that stands beside another one than it was built against.",
    )
    made.add_argument("--json", action="store_true", help="print one JSON document")
    made.add_argument("-v", "--verbose", action="store_true",
                      help="show all settings and every function of pip that pipfast uses, too")
    return made


def _diagnosis(settings: Settings, pip: PipFacts) -> dict[str, Any]:
    store, layout = _store(settings)
    seams = [asdict(seam) for seam in pip.seams]
    problems = [*pip.problems, *settings.problems]
    problems += [f"{seam.name} stays stock: {seam.why or seam.state}" for seam in pip.seams if not seam.as_wanted]
    if not store["usable"]:
        problems.append(str(store["reason"]))
    elif store["condition"]:
        problems.append(str(store["condition"]))
    stale = _stale(layout)
    problems += [f"{line}; build it again: {program()} {arguments}" for line, arguments in stale.items()]
    return {
        "pipfast": {"version": __version__, "location": str(Path(__file__).parents[1])},
        "interpreter": {
            "path": sys.executable,
            "version": ".".join(map(str, sys.version_info[:3])),
            "implementation": sys.implementation.name,
            "virtual_environment": sys.prefix != sys.base_prefix,
            "prefix": sys.prefix,
        },
        "pip": {
            "version": pip.version,
            "location": pip.location,
            "newest_tested": pip.newest_tested,
            "newer_than_tested": pip.is_newer,
        },
        "libraries": {"wrapt": pip.wrapt, "inflate": _inflater()},
        "settings": _settings(settings),
        "seams": seams,
        "store": store,
        "link": _link(layout, settings, pip, Path(sysconfig.get_path("purelib"))),
        "built_against_something_else": list(stale),
        "problems": problems,
    }


def _settings(settings: Settings) -> dict[str, Any]:
    values: dict[str, Any] = {each.variable: _plain(getattr(settings, each.field)) for each in SETTINGS}
    return {**values, "problems": list(settings.problems)}


def _plain(value: object) -> object:
    """Return a setting's value as JSON has it, without passwords."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return {redacted(name): [redacted(each) for each in texts] for name, texts in value.items()} or None
    if isinstance(value, frozenset):
        return sorted(value)
    return str(value) if isinstance(value, Path) else value


def _stale(layout: Layout | None) -> dict[str, str]:
    try:
        from pipfast.rescue.stale import stale_here
    except Unusable:
        # It is among the problems already.
        return {}
    return stale_here(layout) if layout is not None else {}


def _inflater() -> str:
    from pipfast.system.inflate import version

    return f"isal {version}" if version else "zlib"


def _store(settings: Settings) -> tuple[dict[str, Any], Layout | None]:
    from pipfast.upkeep.inventory import Usage, in_use, leftovers

    try:
        root = settings.store or default_root()
        layout = open_layout(root)
    except StoreUnusable as error:
        facts = {"path": str(error.root), "usable": False, "reason": str(error), "hint": error.hint,
                 "condition": None, "free": None, "buckets": {}, "leftovers": 0, "in_use": 0}
        return facts, None
    buckets: dict[str, int] = {}
    for bucket in BUCKETS:
        usage = Usage()
        usage.add(root / bucket)
        buckets[bucket] = usage.bytes
    condition, free = _condition(root)
    return {
        "path": str(root), "usable": True, "reason": None, "hint": condition.hint if condition else None,
        "condition": str(condition) if condition else None, "free": free, "buckets": buckets,
        "leftovers": len(leftovers(layout)), "in_use": len(in_use(layout)),
    }, layout


def _condition(root: Path) -> tuple[Condition | None, int | None]:
    """Return why nothing can be kept in a store, or not much, and how many bytes are free there."""
    from pipfast.store.condition import find_condition, free_bytes, scarce

    try:
        free = free_bytes(root)
        return find_condition(root) or scarce(root, free), free
    except OSError:
        return None, None


def _link(layout: Layout | None, settings: Settings, pip: PipFacts, target: Path) -> dict[str, Any]:
    """Find the link mode for ``target`` with a file that is removed afterwards."""
    facts: dict[str, Any] = {"target": str(target), "mode": "none", "reason": None, "shared_by_root": False}
    if not settings.enabled:
        return {**facts, "mode": "pip", "reason": "PIPFAST=off"}
    if "install" in settings.disabled:
        return {**facts, "mode": "pip", "reason": "PIPFAST_DISABLE"}
    if not any(seam.family == "install" and not seam.why for seam in pip.seams):
        return {**facts, "mode": "pip", "reason": "pipfast is not attached to it"}
    if layout is None:
        return {**facts, "mode": "pip", "reason": "there is no store"}
    from pipfast.system.owner import effective_mode, is_root

    there = target / f".pipfast-doctor-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with _file_of_the_store(layout) as here:
            read_only = not here.stat().st_mode & stat.S_IWUSR
            asked = "copy" if read_only else effective_mode(settings.link_mode, str(target))
            facts["mode"], reason = _try_links(here, there, asked)
            facts["reason"] = "the store's files are read-only" if read_only else reason
            facts["shared_by_root"] = is_root() and facts["mode"] in ("hardlink", "own-sources")
    except OSError as error:
        facts["mode"], facts["reason"] = "none", error.strerror or str(error)
    finally:
        there.unlink(missing_ok=True)
    return facts


@contextmanager
def _file_of_the_store(layout: Layout) -> Iterator[Path]:
    """Yield a file that can be linked: a new one, or where none can be made the store's own tag."""
    with ExitStack() as stack:
        try:
            here = stack.enter_context(layout.staging()) / "file"
            here.write_bytes(b"pipfast")
        except OSError:
            here = layout.root / TAG
        yield here


def _try_links(here: Path, there: Path, asked: str) -> tuple[str, str | None]:
    """Return the link mode that works, and why no earlier one did.

    :raises OSError: nothing can be written there.
    """
    from pipfast.install.linker import Linker, clone
    from pipfast.store.manifest import StoredFile

    found = here.stat()
    file = StoredFile(here.name, found.st_size, found.st_mtime_ns)
    linker = Linker("copy", 0o077)
    # Fails first if the folder cannot be written, which is not the fault of a link mode.
    linker.copy(str(here), file, str(there))
    there.unlink()
    reason = None
    for mode in ("clone", "hardlink") if asked == "auto" else (asked,):
        try:
            if mode == "clone":
                clone(str(here), file, str(there), 0o077)
            elif mode in ("hardlink", "own-sources"):
                os.link(here, there)
            else:
                break
        except OSError as error:
            reason = f"no {mode}: {error.strerror}"
        else:
            return mode, reason
    return "copy", reason
