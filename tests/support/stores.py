"""Store of a test's own, and how to fill it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipfast.prepare.bytecode import current_kind
from pipfast.prepare.jobs import Terms
from pipfast.prepare.preparer import Preparer
from pipfast.prepare.workers import Workers
from pipfast.store.archives import add_archive
from pipfast.store.layout import Layout, open_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipfast.store.prepared import Prepared
    from support.wheels import Archive

UMASK = 0o022


def new_store(folder: Path) -> Layout:
    """Make a store in a folder that need not be there."""
    return open_layout(folder)


@contextmanager
def preparing(
    layout: Layout, *, workers: int = 1, umask: int = UMASK, compile_: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Preparer]:
    """Yield what prepares archives of this store, with real worker processes."""
    kind = current_kind(dict(os.environ if environ is None else environ)) if compile_ else None
    processes = Workers(workers, Terms(str(layout.root), umask, kind))
    try:
        yield Preparer(layout, processes)
    finally:
        processes.close()


def keep(layout: Layout, archive: Archive, folder: Path) -> Path:
    """Put an archive into the store and return its stored path."""
    source = folder / f"in-{archive.sha256[:8]}-{archive.filename}"
    source.write_bytes(archive.data)
    kept = add_archive(layout, source, archive.sha256, archive.filename, move=True)
    assert kept is not None
    return kept.path


def prepare(
    layout: Layout, archive: Archive, folder: Path, *, umask: int = UMASK, compile_: bool = True
) -> Prepared:
    """Keep, unpack and compile an archive."""
    path = keep(layout, archive, folder)
    with preparing(layout, umask=umask, compile_=compile_) as preparer:
        prepared = preparer.wait(archive.sha256, path)
    assert prepared is not None
    return prepared


def dead_session(layout: Layout) -> str:
    """Let a process make a folder in the store's tmp/ and be killed; return its name."""
    script = ("import os, sys; from pathlib import Path; from pipfast.store.layout import Layout;"
              "layout = Layout(Path(sys.argv[1]));"
              "print(layout.new_staging().name, flush=True); os.kill(os.getpid(), 9)")
    run = subprocess.run([sys.executable, "-c", script, str(layout.root)], stdout=subprocess.PIPE, text=True)
    return run.stdout.strip()
