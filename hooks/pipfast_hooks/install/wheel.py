"""pip's installation of a wheel, from the store and by links."""

from __future__ import annotations

import compileall
import contextlib
import importlib.metadata
import importlib.util
import io
import os
import secrets
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.metadata import FilesystemWheel, get_wheel_distribution, select_backend
from pip._internal.operations.install import wheel as pip_wheel
from pip._vendor.packaging.utils import canonicalize_name

from pipfast.install.aside import LIB, Unmovable, move, move_info, scripts
from pipfast.install.linker import Linker
from pipfast.install.place import check_targets, place
from pipfast.install.plan import Batch, Plan, check_sources, plan_wheel
from pipfast.report import logger, say, timed
from pipfast.store.archives import add_archive, find_archive, sha256_of
from pipfast.store.manifest import is_tree
from pipfast.store.names import TMP
from pipfast.wheel.members import SCHEME_KEYS, NotStorable
from pipfast.wheel.record import digest_and_size, installed_rows, record_text
from pipfast_hooks.install.expectation import Expectation
from pipfast_hooks.run import current_run

if TYPE_CHECKING:

    from pipfast.store.prepared import Prepared
    from pipfast_hooks.call import Call
    from pipfast_hooks.run import Run


_PLACINGS = 3
"""How often a wheel is placed whose entry keeps vanishing from the store, before pip installs it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What pip asks to be installed, and its defaults."""

    name: str
    wheel_path: str
    scheme: Any
    req_description: str
    pycompile: bool = True
    warn_script_location: bool = True
    direct_url: Any = None
    requested: bool = False
    script_executable: str | None = None


@dataclass(frozen=True, slots=True)
class Scripts:
    """What was made of a wheel's scripts in the environment."""

    changed: frozenset[str]
    """Paths in RECORD of those that were rewritten."""
    console: list[str]
    """Full paths of those that call console entry points."""
    gui: list[str]


class _LeftToPip(Exception):
    """Something that pip does otherwise, or has its own error for."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A wheel in the store, and where its files will go; nothing is written yet."""

    prepared: Prepared
    plan: Plan
    console: dict[str, str]
    gui: dict[str, str]
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


def _around_install_wheel(call: Call) -> Any:
    """Install from the store; whatever is unusual, pip installs itself."""
    ready = None
    try:
        request = _request(call)
        ready = _ready(request, current_run())
    except NotStorable as error:
        logger.debug("pipfast: %s", error)
    except Exception:
        # Nothing is written yet: pip starts from the beginning.
        logger.debug("pipfast: installation left to pip", exc_info=True)
    if ready is None:
        return call.original()
    with pip_wheel.req_error_context(request.req_description):
        placed = _place(request, ready, current_run())
        if placed is not None:
            _install(request, placed, current_run())
            _note(request, placed, current_run())
    # What was placed of a wheel that then went from the store is replaced by pip's own files.
    return call.original() if placed is None else None


def _request(call: Call) -> Request:
    return Request(**{name: call[name] for name in Request.__slots__ if name in call})


def _ready(request: Request, run: Run, *, again: bool = False) -> Ready | None:
    """Get a wheel ready to be placed, or return None if pip is to install it.

    :param again: what was ready before has gone from the store.
    """
    preparer = run.store.preparer()
    if preparer is None or _is_passing(request):
        return None
    if request.pycompile != (run.intent.bytecode is not None):
        return None
    found = _stored(request.wheel_path, run)
    if found is None:
        return None
    digest, archive = found
    with timed("prepare", name=request.name):
        prepared = preparer.wait(digest, archive, again=again)
        if prepared is not None and not is_tree(prepared.tree, prepared.manifest.tree_id):
            # Pruned since it was prepared, during the downloads perhaps.
            prepared = preparer.wait(digest, archive, again=True)
    if prepared is None:
        return None
    ready = _planned(request, prepared)
    arrangement = preparer.arrangement(digest)
    if arrangement is not None:
        arranged = arrangement.take(prepared.manifest.tree_id)
        # Long ago - during downloads, or builds - is not now. Scripts are never linked aside.
        batches = ready.plan.batches if arrangement.is_old() else _scripts(ready)
        if arranged is not None and check_sources(batches) is None:
            return replace(ready, arranged=arranged)
    if check_sources(ready.plan.batches) is None:
        return ready
    if not _can_write(run):
        # A store in an image: nothing there can be put right, but what was only made read-only serves as it is.
        if check_sources(ready.plan.batches, read_only=True) is None:
            return replace(ready, copied=True)
        logger.debug("pipfast: %s is not as it was stored, in a store that is read-only", request.name)
        return None
    changed = preparer.mend(digest)
    if changed is not None:
        name = os.path.basename(request.wheel_path)
        say(f"a stored file of {name} {changed.how}; it is made again ({changed.path})")
        prepared = preparer.wait(digest, archive, again=True)
        if prepared is None:
            return None
        ready = _planned(request, prepared)
    return ready if check_sources(ready.plan.batches) is None else None


def _can_write(run: Run) -> bool:
    return os.access(run.store.layout.root / TMP, os.W_OK | os.X_OK)


def _scripts(ready: Ready) -> list[Batch]:
    return scripts(ready.plan.batches, ready.info_dir)


def _is_passing(request: Request) -> bool:
    """Tell whether the wheel was built for this one installation, from a local folder."""
    info = getattr(request.direct_url, "info", None) or getattr(request.direct_url, "dir_info", None)
    return info is not None and type(info).__name__ == "DirInfo"


def _stored(wheel_path: str, run: Run) -> tuple[str, Path] | None:
    """Return digest and path of the stored archive; a wheel that is not there yet is taken in."""
    layout = run.store.layout
    known = run.store.known(wheel_path)
    digest = known.digest if known is not None else sha256_of(Path(wheel_path))
    archive = find_archive(layout, digest)
    if archive is None:
        archive = add_archive(layout, Path(wheel_path), digest, os.path.basename(wheel_path), move=False)
    return None if archive is None else (digest, archive.path)


def _planned(request: Request, prepared: Prepared) -> Ready:
    info_dir = canonicalize_name(prepared.manifest.info_dir)
    if not info_dir.startswith(canonicalize_name(request.name)):
        raise NotStorable(f"{info_dir} is not the metadata of {request.name}")
    console, gui = _entry_points(request, prepared.manifest.entry_points)
    scheme = _schemes(request)
    lib_dir = scheme["purelib" if prepared.manifest.root_is_purelib else "platlib"]

    def is_wrapper(name: str) -> bool:
        # pip leaves out what setuptools put into the wheel for an entry point.
        for suffix in (".exe", "-script.py", ".pya"):
            if name.lower().endswith(suffix):
                name = name[: -len(suffix)]
                break
        return name in console or name in gui

    plan = plan_wheel(prepared, scheme, lib_dir, is_wrapper)
    targets = [f"{batch.target}/{file.name}" for batch in plan.batches for file in batch.files]
    if len(set(targets)) != len(targets):
        raise NotStorable("two of its files go to the same place")
    return Ready(prepared, plan, console, gui, lib_dir)


class _EntryPointsOnly(importlib.metadata.Distribution):
    """Just enough of a distribution for its entry points to be read by the standard library."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "entry_points.txt" else None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(path)


def _entry_points(request: Request, text: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the console scripts and the graphical ones, as this pip reads them.

    :raises ValueError: pkg_resources refuses an entry, with which pip began to read metadata (Python 3.10).
    """
    if text is None:
        return {}, {}
    if select_backend().Distribution.__module__.endswith("pkg_resources"):
        wheel = FilesystemWheel(request.wheel_path)
        found: tuple[dict[str, str], dict[str, str]] = pip_wheel.get_entrypoints(
            get_wheel_distribution(wheel, canonicalize_name(request.name))
        )
        return found
    groups: dict[str, dict[str, str]] = {"console_scripts": {}, "gui_scripts": {}}
    for entry_point in _EntryPointsOnly(text).entry_points:
        if entry_point.group in groups:
            groups[entry_point.group][entry_point.name] = entry_point.value
    return groups["console_scripts"], groups["gui_scripts"]


def _place(request: Request, ready: Ready, run: Run) -> Ready | None:
    """Put the stored files in place; return what they were, or None if pip has to install the wheel.

    The store may lose an entry at any time (`store prune`, `store purge`, another run that makes a
    changed one again). Then all its files are placed once more: half of a tree and half of its
    successor would be sources of two times, with bytecode for one of them.

    Where the environment is what refuses a file, pip's own code has the last word: it passes over bytecode that
    cannot be written, and has its own error for everything else. It replaces what was placed.

    The .dist-info folder says that a package is there: it comes last, after the scripts, so that a command that is
    killed leaves nothing that pip takes for a package.
    """
    for _ in range(_PLACINGS):
        try:
            with timed("place", name=request.name) as facts:
                placed = _put(request, ready, run)
                facts["files"], facts["moved"] = sum(len(each.files) for each in ready.plan.batches), placed.moved
        except _LeftToPip as error:
            logger.debug("pipfast: %s is left to pip: %r", request.name, error.__cause__)
            return None
        except OSError as error:
            if check_sources(ready.plan.batches, read_only=ready.copied) is None:
                logger.debug("pipfast: %s is left to pip: %r", request.name, error)
                return None
        else:
            if is_tree(ready.prepared.tree, ready.prepared.manifest.tree_id):
                return placed
        logger.debug("pipfast: %s went from the store while it was placed", request.name)
        try:
            found = _ready(request, run, again=True)
        except Exception:
            logger.debug("pipfast: installation left to pip", exc_info=True)
            return None
        if found is None:
            return None
        ready = found
    return None


def _put(request: Request, ready: Ready, run: Run) -> Ready:
    """Give the stored files their names in the environment, and make the scripts; return what is there then.

    :raises OSError: as ``place`` does; nothing is placed where ``check_targets`` sees why.
    :raises _LeftToPip: a script could not be made.
    """
    batches = ready.plan.batches
    check_targets(batches)
    moved = _move(request, ready, run)
    linker = Linker("copy", run.umask) if ready.copied else run.store.linker
    if not moved:
        place([each for each in batches if not _is_info(each, ready)], linker)
    made = replace(ready, scripts=_make_scripts(request, ready), moved=moved)
    if not moved:
        place(_info_batches(ready), linker)
    return made


def _move(request: Request, ready: Ready, run: Run) -> bool:
    """Move what is linked aside, if anything is; False if files have to be placed one by one."""
    if ready.arranged is None:
        return False
    try:
        move(ready.arranged, ready.prepared.manifest.info_dir, ready.lib_dir, _schemes(request))
    except (OSError, Unmovable) as error:
        # Placing anew replaces what was moved, and gives its own error.
        logger.debug("pipfast: %s is placed file by file: %s", request.name, error)
        return False
    place(_scripts(ready), run.store.linker)
    return True


def _info_batches(ready: Ready) -> list[Batch]:
    """Return what goes to the .dist-info folder; RECORD is written anew, when everything else is there."""
    return [
        replace(batch, files=tuple(file for file in batch.files if file.name != "RECORD"))
        if batch.target == ready.info_dir else batch
        for batch in ready.plan.batches if _is_info(batch, ready)
    ]


def _is_info(batch: Batch, ready: Ready) -> bool:
    return f"{batch.target}/".startswith(f"{ready.info_dir}/")


def _schemes(request: Request) -> dict[str, str]:
    return {key: getattr(request.scheme, key) for key in SCHEME_KEYS}


def _install(request: Request, ready: Ready, run: Run) -> None:
    """Write what says that the package is there: INSTALLER and its like, RECORD last."""
    assert ready.scripts is not None
    if request.warn_script_location:
        message = pip_wheel.message_about_scripts_not_on_PATH(ready.scripts.console)
        if message is not None:
            pip_wheel.logger.warning(message)
    name = ready.prepared.manifest.info_dir
    if ready.moved and ready.arranged is not None:
        try:
            _write_info(request, ready, run, f"{ready.arranged}/{LIB}/{name}")
            move_info(ready.arranged, name, ready.lib_dir)
            return
        except (OSError, Unmovable) as error:
            logger.debug("pipfast: the metadata of %s is placed file by file: %s", request.name, error)
            place(_info_batches(ready), run.store.linker)
    _write_info(request, ready, run, ready.info_dir)


def _write_info(request: Request, ready: Ready, run: Run, folder: str) -> None:
    """Write the generated files of the .dist-info folder, in pip's order, to ``folder``."""
    assert ready.scripts is not None
    mode = 0o666 & ~run.umask
    contents: list[tuple[str, bytes]] = [("INSTALLER", b"pip\n")]
    if request.direct_url is not None:
        contents.append(("direct_url.json", request.direct_url.to_json().encode("utf-8")))
    for name, content in contents:
        _write_private(f"{folder}/{name}", content, mode)
    generated = [name for name, _ in contents]
    if request.requested:
        generated.append("REQUESTED")
        # Made where it stands, as pip does: a folder's default access list has its say.
        with open(f"{folder}/REQUESTED", "wb"):
            pass
    made, manifest = ready.scripts, ready.prepared.manifest
    scripts_made = made.console + made.gui
    rows = installed_rows(manifest.rows, ready.plan.installed, made.changed, scripts_made, ready.lib_dir)
    rows += [(f"{manifest.info_dir}/{name}", *digest_and_size(f"{folder}/{name}")) for name in generated]
    _write_private(f"{folder}/RECORD", record_text(sorted(rows)), mode)


def _note(request: Request, ready: Ready, run: Run) -> None:
    known, expectation = run.store.known(request.wheel_path), run.find(Expectation)
    if known is not None and expectation is not None:
        expectation.note(known.digest, ready.prepared.manifest.info_dir)


def _compile_rewritten(plan: Plan, lib_dir: str) -> None:
    """Byte-compile Python scripts where they are: their first line was perhaps rewritten."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.filterwarnings("ignore")
        for path in sorted(plan.uncompiled):
            if compileall.compile_file(path, force=True, quiet=True):
                pyc = importlib.util.cache_from_source(path)
                relative = os.path.relpath(pyc, lib_dir).replace(os.path.sep, "/")
                plan.installed[pyc] = relative
    logger.debug(said.getvalue())


def _make_scripts(request: Request, ready: Ready) -> Scripts:
    """Rewrite the wheel's own scripts, and generate those of entry points with pip's own maker.

    :raises _LeftToPip: a script could not be made: what pip leaves then is pip's.
    """
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
            _compile_rewritten(plan, ready.lib_dir)
        console = list(maker.make_multiple(pip_wheel.get_console_script_specs(ready.console)))
        gui = [f"{name} = {value}" for name, value in ready.gui.items()]
        return Scripts(changed, console, list(maker.make_multiple(gui, {"gui": True})))
    except Exception as error:
        raise _LeftToPip from error


def _write_private(path: str, content: bytes, mode: int) -> None:
    """Write a file of this environment's own, whole or not at all.

    :raises OSError: it could not be written.
    """
    aside = f"{path}.{secrets.token_hex(8)}.tmp"
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(aside, mode)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise


