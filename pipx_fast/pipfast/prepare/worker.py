"""Worker process that unpacks, compiles and links, job by job.

It runs as ``python -I -S``, so that nothing of the environment that is being installed into, nor of
the current folder, is imported. Jobs come as lines on standard input and answers go as lines to standard output,
see ``jobs``; standard input's end ends it. All its modules are imported before the first job.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipfast.install.aside import arrange
from pipfast.prepare.jobs import (
    Arrange,
    Arranged,
    Checked,
    Compile,
    Done,
    Failed,
    Mend,
    Plan,
    PlanCompile,
    Prove,
    Read,
    Seal,
    SealBytecode,
    Unmendable,
    Unpack,
    decode_job,
    decode_terms,
    encode,
)
from pipfast.prepare.making import Maker
from pipfast.store.archives import find_archive, has_its_bytes
from pipfast.store.layout import Layout
from pipfast.store.manifest import Damaged
from pipfast.store.prepared import read_prepared
from pipfast.upkeep.mend import mend
from pipfast.wheel.members import NotStorable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipfast.prepare.jobs import Answer, ArchiveJob, Job, Note, Terms
    from pipfast.store.prepared import Prepared

READ_BYTES = 1 << 29
"""Bytes of archives that are read because they are expected: a third of a second's work."""


def main() -> None:
    """Do jobs until standard input ends."""
    # Ctrl-C reaches the whole process group; the parent decides and closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    output = sys.stdout.buffer
    # A print by anything we call must not be taken for an answer.
    sys.stdout = sys.stderr
    worker = Worker(decode_terms(sys.stdin.buffer.readline()))
    for line in sys.stdin.buffer:
        for answer in worker.answers(decode_job(line)):
            output.write(encode(answer))
            output.flush()


class Worker:
    """Does the jobs of one run, one after another."""

    def __init__(self, terms: Terms) -> None:
        self._layout = Layout(Path(terms.root))
        self._umask = terms.umask
        self._tag = terms.kind.tag if terms.kind is not None else None
        self._maker = Maker(self._layout, terms.umask, terms.kind)
        os.umask(terms.umask)

    def answers(self, job: Job) -> Iterator[Answer | Note]:
        """Do a job; yield notes about its parts, and its answer at last."""
        try:
            if isinstance(job, Arrange):
                yield from self._arrange(job)
                yield Done()
            elif isinstance(job, Read):
                yield from self._read(job)
                yield Done()
            elif isinstance(job, Mend):
                yield self._mend(job)
            else:
                yield self._do(job)
        except NotStorable as error:
            yield Failed(str(error))
        except (FileNotFoundError, Damaged) as error:
            # An entry went away meanwhile (pruned, or made again by another process).
            yield Failed(repr(error), vanished=True)
        except Exception as error:
            # Whatever it is, the archive is installed by pip's own code instead.
            yield Failed(repr(error), number=getattr(error, "errno", None))

    def _do(self, job: ArchiveJob) -> Answer:
        match job:
            case Plan():
                return self._maker.plan(job)
            case Unpack():
                return self._maker.unpack(job)
            case Seal():
                return self._maker.seal(job)
            case PlanCompile():
                return self._maker.plan_compile(job)
            case Compile():
                return self._maker.compile(job)
            case SealBytecode():
                return self._maker.seal_bytecode(job)
            case Prove():
                return self._prove(job)

    def _prove(self, job: Prove) -> Done:
        # Not at the top: most workers live in no machine that went down a moment before.
        from pipfast.upkeep.verify import prove

        prove(self._layout, job.digest, self._umask, self._tag)
        return Done()

    def _arrange(self, job: Arrange) -> Iterator[Arranged]:
        """Link stored wheels into folders that are moved into the environment later."""
        for digest in job.digests:
            folder = Path(job.folder, digest)
            try:
                folder.mkdir()
            except FileExistsError:
                # pip's own thread has come to it, and places it itself.
                continue
            tree_id, reason = "", "not every file can be linked"
            try:
                prepared = self._stored(digest)
                if arrange(prepared, folder, job.mode, self._umask, partial(self._is_mended, prepared)):
                    tree_id = prepared.manifest.tree_id
            except Exception as error:
                reason = repr(error)
            yield Arranged(digest, tree_id, reason)

    def _is_mended(self, prepared: Prepared) -> bool:
        return mend(self._layout, prepared) is None

    def _mend(self, job: Mend) -> Done | Unmendable:
        """Put a stored wheel's files right; take away the entry that cannot be, and tell why it cannot."""
        prepared = self._stored(job.digest)
        difference = mend(self._layout, prepared)
        if difference is None:
            return Done()
        code = prepared.bytecode
        self._layout.discard(
            code if code is not None and difference.path.startswith(f"{code}") else prepared.tree
        )
        return Unmendable(difference.path, difference.how)

    def _read(self, job: Read) -> Iterator[Checked]:
        """Hash stored archives, and tell of each when that begins and whether its bytes have its digest."""
        left = READ_BYTES
        for digest in job.digests:
            found = find_archive(self._layout, digest)
            if found is None or found.size > left:
                # If it is needed at all, a thread of pip's process reads it when that is certain.
                continue
            left -= found.size
            yield Checked(digest, None)
            yield Checked(digest, has_its_bytes(self._layout, digest))

    def _stored(self, digest: str) -> Prepared:
        return read_prepared(self._layout, digest, self._umask, self._tag)
