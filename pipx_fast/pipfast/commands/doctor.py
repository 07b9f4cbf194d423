"""``pipfast doctor``: facts about this environment, and its problems."""

from __future__ import annotations

import os
import secrets
import stat
import sys
import sysconfig
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipfast import __version__, dependencies
from pipfast.address import concealed, redacted
from pipfast.commands.command_line import Option, Parser, json_option
from pipfast.commands.doctor_text import everything, page, stays_stock
from pipfast.commands.facts import (
    Attachment,
    Diagnosis,
    Interpreter,
    KeptAnswer,
    Libraries,
    LinkFacts,
    Package,
    StoreFacts,
)
from pipfast.commands.output import print_json, program
from pipfast.dependencies import Unusable
from pipfast.report import visible
from pipfast.settings import SETTINGS, SHELL_VARIABLE, Secret, Settings
from pipfast.store.folder import TAG, StoreUnusable, default_root, nearest_folder
from pipfast.store.layout import layout_to_look_at
from pipfast.store.names import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipfast.commands.facts import Examination
    from pipfast.remote.health import TeamFacts
    from pipfast.settings import LinkMode
    from pipfast.store.condition import Condition
    from pipfast.store.layout import Layout

_STARTED = "this Python was started"


def main(arguments: list[str], settings: Settings, examine: Callable[[Settings], Examination]) -> int:
    """Run ``pipfast doctor`` and return its exit code: 1 if something is not as it should be.

    :param examine: attaches all hooks, notes the state of each, and detaches them.
    """
    options = parser().read(arguments)
    diagnosis = _diagnose(settings, examine(settings))
    if options.json:
        print_json(diagnosis)
    else:
        print("\n".join(map(visible, page(diagnosis, _values(Settings.from_environ({}))))))
        if options.verbose:
            print("\n".join(map(visible, everything(diagnosis))))
    return 1 if diagnosis.problems else 0


def parser() -> Parser:
    """Return what reads the command line of ``pipfast doctor``."""
    return Parser(
        "doctor",
        "Show what pipfast does in this environment, and what is wrong.\n"
        "Exits with 1 when something is wrong: a setting that cannot be read, a store that cannot be used, a pip "
        "that pipfast does not know, a package that stands beside another one than it was built against.",
        [
            Option("-v", "--verbose", action="store_true", default=False,
                   help="Show all settings and every function of pip that pipfast uses, too."),
            json_option(),
        ],
        usages=["[--verbose] [--json]"],
    )


def _diagnose(settings: Settings, found: Examination) -> Diagnosis:
    store, layout = _store(settings)
    problems = [*found.problems, *settings.problems]
    problems += [stays_stock(seam) for seam in found.seams if not seam.as_wanted]
    problems += [each for each in (store.reason, store.condition) if each]
    attached = _attached(Path(sysconfig.get_path("purelib")))
    new_environments = _new_environments()
    problems += [each.problem for each in (attached, *new_environments.values()) if each and each.problem]
    team = _team(settings, layout)
    problems += [team.problem] if team and team.problem else []
    stale = _stale(layout)
    problems += [f"{line}; build it again: {program()} {arguments}" for line, arguments in stale.items()]
    return Diagnosis(
        Package(__version__, str(Path(__file__).parents[1])),
        Interpreter(sys.executable, ".".join(map(str, sys.version_info[:3])), sys.implementation.name,
                    sys.prefix != sys.base_prefix, sys.prefix, found.why or _STARTED, _managed()),
        found.pip,
        Libraries(dependencies.FOLDER, dependencies.versions(), _inflater()),
        {**_values(settings), "problems": list(settings.problems)},
        found.seams,
        store,
        _link(layout, settings, found, Path(sysconfig.get_path("purelib"))),
        list(stale),
        attached,
        new_environments,
        problems,
        os.environ.get(SHELL_VARIABLE, ""),
        team,
        _kept_answers(layout),
    )


def _kept_answers(layout: Layout | None) -> list[KeptAnswer]:
    from pipfast.memo.why import kept_here

    if layout is None:
        return []
    return [
        KeptAnswer(words, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(made // 10**9)), redacted(why))
        for words, made, why in kept_here(os.fspath(layout.root), os.environ)
    ]


def _managed() -> str | None:
    """Return the file by which pip takes this Python for externally managed."""
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    return str(marker) if sys.prefix == sys.base_prefix and marker.is_file() else None


def _values(settings: Settings) -> dict[str, object]:
    """Return the values of all settings, by variable, as JSON has them."""
    return {each.variable: _plain(getattr(settings, each.field)) for each in SETTINGS}


def _plain(value: object) -> object:
    """Return a setting's value as JSON has it, without passwords."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return {redacted(name): [redacted(each) for each in texts] for name, texts in value.items()} or None
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, str):
        return concealed(value)
    return str(value) if isinstance(value, (Path, Secret)) else value


def _stale(layout: Layout | None) -> dict[str, str]:
    try:
        from pipfast.rescue.installed import stale_here
    except Unusable:
        return {}  # it is among the problems already
    return stale_here(layout) if layout is not None else {}


def _team(settings: Settings, layout: Layout | None) -> TeamFacts | None:
    if settings.remote is None:
        return None
    # Not at the top: hardly anybody has one.
    try:
        from pipfast.remote.health import examine
    except Unusable:
        return None  # it is among the problems already
    return examine(settings, layout)


def _attached(site_packages: Path, *, makers: bool = False) -> Attachment | None:
    """Return what stands in a site-packages folder: for the pip there, or for venv and virtualenv."""
    from pipfast.plugin.files import OF_MAKERS, OF_PIP, ForeignFile, look

    alone, may_be, its = "plain pip runs alone", "plain pip may run alone", "its"
    if makers:
        alone, may_be, its = "new environments stay plain", "new environments may stay plain", "their"
    option = " --new-environments" if makers else ""
    try:
        there = look(site_packages, OF_MAKERS if makers else OF_PIP)
    except (ForeignFile, OSError) as error:
        return Attachment("", f"{may_be}: {error}")
    if there is None:
        return None
    again = f"`{program()} attach{option}` mends that, `{program()} detach{option}` ends it"
    problem = None
    if not there.complete:
        problem = f"{may_be}: a file of pipfast is missing in {site_packages}; {again}"
    elif not (there.folder / "runner.py").is_file():
        problem = f"{alone}: {its} pipfast is gone from {there.folder}; {again}"
    return Attachment(str(there.folder), problem)


def _new_environments() -> dict[str, Attachment]:
    from pipfast.plugin.makers import switched_on

    found = ((str(place), _attached(place, makers=True)) for place in switched_on())
    return {place: there for place, there in found if there is not None}


def _inflater() -> str:
    from pipfast.system.inflate import version

    return f"isal {version}" if version else "zlib"


def _store(settings: Settings) -> tuple[StoreFacts, Layout | None]:
    from pipfast.upkeep.inventory import Usage, in_use, leftovers, usage_of

    try:
        root = settings.store or default_root()
        layout = layout_to_look_at(root)
    except StoreUnusable as error:
        return StoreFacts(str(error.root), reason=str(error), hint=error.hint), None
    usages = {bucket: usage_of(root / bucket) for bucket in BUCKETS}
    buckets = {bucket: usage.bytes for bucket, usage in usages.items()}
    condition, free = _condition(root)
    left, of_leftovers = leftovers(layout), Usage()
    for path in left:
        of_leftovers.add(path)
    return StoreFacts(
        str(root), usable=True, hint=condition.hint if condition else None,
        condition=str(condition) if condition else None, free=free, buckets=buckets,
        own_bytes=sum(usage.bytes - usage.shared for usage in usages.values()), bound=settings.store_size,
        leftovers=len(left), leftover_bytes=of_leftovers.bytes, in_use=len(in_use(layout)),
    ), layout


def _condition(root: Path) -> tuple[Condition | None, int | None]:
    """Return why nothing can be kept in a store, or not much, and how many bytes are free there."""
    from pipfast.store.condition import find_condition, free_bytes, scarce

    try:
        free = free_bytes(nearest_folder(root))
        found = find_condition(root) if (root / TAG).exists() else None
        return found or scarce(root, free), free
    except OSError:
        return None, None


def _link(layout: Layout | None, settings: Settings, found: Examination, target: Path) -> LinkFacts:
    """Find the link mode for ``target`` with a file that is removed afterwards."""
    if not settings.enabled:
        return LinkFacts(str(target), "pip", "PIPFAST=off")
    if "install" in settings.disabled:
        return LinkFacts(str(target), "pip", "PIPFAST_DISABLE")
    if not any(seam.family == "install" and not seam.why for seam in found.seams):
        return LinkFacts(str(target), "pip", "pipfast is not attached to it")
    if found.installed_by_pip:
        return LinkFacts(str(target), "pip", found.installed_by_pip)
    if layout is None:
        return LinkFacts(str(target), "pip", "there is no store")
    from pipfast.system.owner import effective_mode, is_root

    there = _place_in(target) / f".pipfast-doctor-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with _file_of_the_store(layout) as here:
            read_only = not here.stat().st_mode & stat.S_IWUSR
            mode, reason = _try_links(
                here, there, "copy" if read_only else effective_mode(settings.link_mode, str(target))
            )
    except OSError as error:
        return LinkFacts(str(target), "none", error.strerror or str(error))
    finally:
        there.unlink(missing_ok=True)
    return LinkFacts(
        str(target), mode, "the store's files are read-only" if read_only else reason,
        is_root() and mode in ("hardlink", "own-sources"),
    )


def _place_in(target: Path) -> Path:
    """Return a folder in ``target`` in which nobody sees a file come and go; itself where there is none.

    With a new time of site-packages nothing holds that pip has found there, and that is kept.
    """
    try:
        looks = target.stat()
        for each in target.glob("*.dist-info"):
            found = each.lstat()
            alike = ((here.st_mode, here.st_uid, here.st_gid, here.st_dev) for here in (found, looks))
            if os.access(target, os.W_OK) and next(alike) == next(alike):
                return each
    except OSError:
        pass  # whoever writes there says so
    return target


@contextmanager
def _file_of_the_store(layout: Layout) -> Iterator[Path]:
    """Yield a file that can be linked: a new one, or where none can be made the store's own tag.

    Where no store is, it is in the folder in which the store would be made.
    """
    with ExitStack() as stack:
        try:
            if (layout.root / TAG).exists():
                folder = stack.enter_context(layout.staging())
            else:
                near = nearest_folder(layout.root)
                folder = Path(stack.enter_context(TemporaryDirectory(prefix=".pipfast-doctor-", dir=near)))
            here = folder / "file"
            here.write_bytes(b"pipfast")
        except OSError:
            here = layout.root / TAG
        yield here


def _try_links(here: Path, there: Path, asked: LinkMode) -> tuple[LinkMode, str | None]:
    """Return the link mode that works, and why no earlier one did.

    :raises OSError: nothing can be written there.
    """
    from pipfast.install.linker import Linker, clone
    from pipfast.store.manifest import StoredFile

    found = here.stat()
    file = StoredFile(here.name, found.st_size, found.st_mtime_ns)
    # Fails first if the folder cannot be written, which is not the fault of a link mode.
    Linker("copy", 0o077).copy(str(here), file, str(there))
    there.unlink()
    reason = None
    modes: tuple[LinkMode, ...] = ("clone", "hardlink") if asked == "auto" else (asked,)
    for mode in modes:
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
