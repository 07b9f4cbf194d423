"""Kept installation, placed in one more environment.

Whatever is not as it was is found before anything is written. What is written and cannot be finished is taken away
again: pip begins with the environment as it was, and has its own words for what is wrong.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipfast.errors import PipfastError
from pipfast.install.info import Installed, info_batches, is_info, write_info
from pipfast.install.linker import Linker
from pipfast.install.place import check_targets, place
from pipfast.install.plan import Plan, check_sources, plan_wheel, wrapper_test
from pipfast.store.folder import is_usable
from pipfast.store.layout import Layout, note_use
from pipfast.store.manifest import is_tree
from pipfast.store.prepared import Prepared, read_prepared
from pipfast.system.owner import effective_mode
from pipfast.wheel.scheme import SCHEME_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipfast.install.plan import Batch
    from pipfast.memo.again.elsewhere import Environment
    from pipfast.memo.again.installation import Installation, KeptWheel

LONGEST_LINE = 127
"""Bytes of a script's first line beyond which pip writes another form (distlib's limit for Linux)."""


class Declined(PipfastError):
    """The installation cannot be placed here; nothing was written."""


class _Ready(NamedTuple):
    kept: KeptWheel
    prepared: Prepared
    plan: Plan
    lib_dir: str

    @property
    def info_dir(self) -> str:
        return f"{self.lib_dir}/{self.prepared.manifest.info_dir}"


class Placing:
    """One installation on its way into one environment.

    :param store: the store's folder.
    :raises Declined, Damaged, OSError: it cannot be placed.
    """

    def __init__(self, kept: Installation, store: str, environment: Environment) -> None:
        root = Path(store)
        if not is_usable(root):
            raise Declined("the store cannot be used")
        self._first_line = b"#!" + os.fsencode(sys.executable) + b"\n"
        if b" " in self._first_line or len(self._first_line) > LONGEST_LINE:
            raise Declined("the interpreter's path does not fit into a script's first line")
        self._kept, self._environment = kept, environment
        self._layout = Layout(root)
        library = self._schemes(kept.wheels[0])["purelib"]
        if os.stat(library).st_dev != os.stat(root).st_dev:
            raise Declined("the store is on another filesystem")
        self._linker = Linker(effective_mode(kept.mode, library), kept.umask)  # type: ignore[arg-type]
        self._ready = [self._get_ready(wheel) for wheel in kept.wheels]
        self._folders = self._new_folders()
        self._refuse_others()
        why = kept.weekly.renew(environment) if kept.weekly is not None else ""
        if why:
            raise Declined(why)
        self._begun: list[_Ready] = []
        self._aside = ""

    def _schemes(self, wheel: KeptWheel) -> dict[str, str]:
        folders = map(self._environment.full, wheel.folders)
        return dict(zip(SCHEME_KEYS, folders, strict=True))

    def _get_ready(self, wheel: KeptWheel) -> _Ready:
        kept = self._kept
        try:
            prepared = read_prepared(self._layout, wheel.digest, kept.umask, kept.tag or None)
        except FileNotFoundError:
            raise Declined(f"the store has not {wheel.digest}") from None
        note_use(self._layout.archive(wheel.digest))
        note_use(prepared.tree)
        if prepared.bytecode is not None:
            note_use(prepared.bytecode)
        schemes = self._schemes(wheel)
        lib_dir = schemes["purelib" if prepared.manifest.root_is_purelib else "platlib"]
        plan = plan_wheel(prepared, schemes, lib_dir, wrapper_test(wheel.entry_points))
        changed = check_sources(plan.batches)
        if changed is not None:
            raise Declined(f"{changed} is not as it was stored")
        return _Ready(wheel, prepared, plan, lib_dir)

    def _new_folders(self) -> set[str]:
        """Return the folders that placing will make."""
        found: set[str] = set()
        there: set[str] = set()
        for folder in {os.path.dirname(path): None for path in self._paths(self._ready)}:
            while folder not in found and folder not in there:
                if os.path.lexists(folder):
                    there.add(folder)
                else:
                    found.add(folder)
                    folder = os.path.dirname(folder)
        return found

    def _refuse_others(self) -> None:
        """Refuse an environment that has one of the files already, or cannot be written to."""
        check_targets(list(self._batches()))
        for path in self._paths(self._ready):
            if os.path.dirname(path) not in self._folders and os.path.lexists(path):
                raise Declined(f"{path} is there")

    def _batches(self) -> Iterator[Batch]:
        for ready in self._ready:
            yield from ready.plan.batches

    def _paths(self, wheels: Sequence[_Ready]) -> Iterator[str]:
        """Yield the full paths of all files."""
        for ready in wheels:
            for batch in ready.plan.batches:
                for file in batch.files:
                    yield f"{batch.target}/{file.name}"
            for script in ready.kept.scripts:
                yield self._environment.full(script.path)
            if ready.kept.compiles:
                from pipfast.install.compiling import bytecode_of_rewritten

                yield from bytecode_of_rewritten(ready.plan)
            for name in ("INSTALLER", "REQUESTED", "RECORD"):
                yield f"{ready.info_dir}/{name}"

    def run(self, stop: Callable[[], None] = lambda: None) -> None:
        """Place the wheels, each .dist-info folder last: pip takes nothing for a package that is not whole.

        :param stop: called before each wheel; what it raises ends this.
        :raises Declined: an entry went from the store. OSError: as placing does.
        """
        for ready in self._ready:
            stop()
            self._begun.append(ready)
            batches, info_dir = ready.plan.batches, ready.info_dir
            place([each for each in batches if not is_info(each, info_dir)], self._linker)
            changed, made = self._write_scripts(ready)
            if ready.kept.compiles:
                from pipfast.install.compiling import compile_rewritten

                compile_rewritten(ready.plan, ready.lib_dir)
            # Another name until it is whole: pip takes a .dist-info folder without RECORD for a package, too.
            self._aside = f"{info_dir}.{os.urandom(6).hex()}.tmp"
            place([each._replace(target=f"{self._aside}{each.target[len(info_dir):]}")
                   for each in info_batches(batches, info_dir)], self._linker)
            if not is_tree(ready.prepared.tree, ready.prepared.manifest.tree_id):
                raise Declined(f"{ready.prepared.tree} went while it was placed")
            write_info(
                Installed(ready.prepared.manifest, ready.plan, ready.lib_dir, changed, made,
                          ready.kept.requested, None),
                self._aside, self._kept.umask,
            )
            os.rename(self._aside, info_dir)

    def _write_scripts(self, ready: _Ready) -> tuple[frozenset[str], list[str]]:
        own = {path: each for each, path in ready.plan.scripts}
        changed, made = set(), []
        for script in ready.kept.scripts:
            path = self._environment.full(script.path)
            if script.is_made:
                made.append(path)
            else:
                changed.add(ready.plan.installed[own[path]])
            if script.is_made:
                # Never through another wheel's file of that name, which may be a link of the store's.
                with suppress(FileNotFoundError):
                    os.unlink(path)
            with open(path, "wb") as file:
                file.write(self._first_line + script.rest)
            if script.is_made:
                os.chmod(path, (os.stat(path).st_mode | 0o555) & 0o7777)
        return frozenset(changed), made

    def end(self) -> None:
        """Leave everything where it is."""

    def undo(self) -> None:
        """Take away what was placed; Ctrl-C does not stop it."""
        with _without_interrupts():
            for path in self._paths(self._begun):
                with suppress(OSError):
                    os.unlink(path)
            if os.path.lexists(self._aside):
                import shutil

                shutil.rmtree(self._aside, ignore_errors=True)
            for folder in sorted(self._folders, key=len, reverse=True):
                with suppress(OSError):
                    os.rmdir(folder)


class _without_interrupts:
    def __enter__(self) -> None:
        import signal

        self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def __exit__(self, *error: object) -> None:
        import signal

        signal.signal(signal.SIGINT, self._before)
