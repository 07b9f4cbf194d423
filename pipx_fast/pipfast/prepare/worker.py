"""Worker process that unpacks, compiles and links, job by job.

It runs as ``python -I -S``, so that it imports nothing of the target environment or the current folder. Jobs come
on standard input, answers go to standard output, see ``jobs``. It imports all its modules before the first job.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipfast.install.aside import arrange
from pipfast.prepare import jobs
from pipfast.prepare.making import Maker
from pipfast.report import record, timed
from pipfast.store.archives import find_archive, has_its_bytes
from pipfast.store.layout import Layout
from pipfast.store.manifest import Damaged
from pipfast.store.prepared import Prepared, read_prepared
from pipfast.timeline.events import Recorder
from pipfast.upkeep.mend import mend
from pipfast.wheel.scheme import NotStorable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


READ_BYTES = 1 << 29
"""Bytes of expected archives that are read: a third of a second's work."""


def main() -> None:
    """Do jobs until standard input ends."""
    # Ctrl-C reaches the whole process group; the parent decides, and closes our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    output = sys.stdout.buffer
    # A print by anything we call must not be taken for an answer.
    sys.stdout = sys.stderr
    terms = jobs.decode_terms(sys.stdin.buffer.readline())
    recorder = Recorder() if terms.timed else None
    record(recorder)
    worker = Worker(terms)
    for line in sys.stdin.buffer:
        for answer in worker.answers(jobs.decode(line)):
            if recorder is not None and (told := recorder.told()):
                output.write(jobs.encode(jobs.Spans(told)))
            output.write(jobs.encode(answer))
            output.flush()


class Worker:
    """Does the jobs of one run, one after another."""

    def __init__(self, terms: jobs.Terms) -> None:
        self._layout = Layout(Path(terms.root))
        self._umask = terms.umask
        self._tag = terms.kind.tag if terms.kind is not None else None
        maker = Maker(self._layout, terms.umask, terms.kind)
        self._does: dict[type[jobs.Job], Callable[[Any], jobs.Answer]] = {
            jobs.Plan: maker.plan, jobs.Unpack: maker.unpack, jobs.Seal: maker.seal, jobs.Mend: self._mend,
            jobs.PlanCompile: maker.plan_compile, jobs.Compile: maker.compile, jobs.Prove: self._prove,
            jobs.SealBytecode: maker.seal_bytecode,
        }
        os.umask(terms.umask)

    def answers(self, job: jobs.Job) -> Iterator[jobs.Answer | jobs.Note]:
        """Do a job; yield notes about its parts, and its answer at last."""
        try:
            if isinstance(job, jobs.Arrange):
                yield from self._arrange(job)
                yield jobs.Done()
            elif isinstance(job, jobs.Read):
                yield from self._read(job)
                yield jobs.Done()
            else:
                yield self._does[type(job)](job)
        except NotStorable as error:
            yield jobs.Failed(str(error))
        except (FileNotFoundError, Damaged) as error:
            # An entry went away meanwhile (pruned, or made again by another process).
            yield jobs.Failed(repr(error), vanished=True)
        except Exception as error:
            # Whatever it is, pip's own code installs the archive.
            yield jobs.Failed(repr(error), number=getattr(error, "errno", None))

    def _prove(self, job: jobs.Prove) -> jobs.Done:
        # Not at the top: needed only after the machine went down.
        from pipfast.upkeep.verify import prove

        prove(self._layout, job.digest, self._umask, self._tag)
        return jobs.Done()

    def _arrange(self, job: jobs.Arrange) -> Iterator[jobs.Arranged]:
        for digest in job.digests:
            folder = Path(job.folder, digest)
            try:
                folder.mkdir()
            except FileExistsError:
                # pip's own thread has come to it first, and places it.
                continue
            tree_id, reason = "", "not every file can be linked"
            try:
                with timed("arrange", digest=digest):
                    prepared = self._stored(digest)
                    if arrange(prepared, folder, job.mode, self._umask, partial(mend, self._layout, prepared)):
                        tree_id = prepared.manifest.tree_id
            except Exception as error:
                reason = repr(error)
            yield jobs.Arranged(digest, tree_id, reason)

    def _mend(self, job: jobs.Mend) -> jobs.Done | jobs.Unmendable:
        try:
            prepared = self._stored(job.digest)
        except FileNotFoundError:
            tree = self._layout.tree(job.digest, self._umask)
            self._layout.discard(tree)
            return jobs.Unmendable(str(tree), "is gone", vanished=True)
        difference = mend(self._layout, prepared)
        if difference is None:
            return jobs.Done()
        code = prepared.bytecode
        entry = code if code is not None and difference.path.startswith(f"{code}") else prepared.tree
        vanished = not entry.exists()
        self._layout.discard(entry)
        return jobs.Unmendable(difference.path, difference.how, vanished)

    def _read(self, job: jobs.Read) -> Iterator[jobs.Checked]:
        left = READ_BYTES
        for digest in job.digests:
            found = find_archive(self._layout, digest)
            if found is None or found.size > left:
                # A thread of pip's process reads it if it is needed.
                continue
            left -= found.size
            yield jobs.Checked(digest, None)
            with timed("read", digest=digest, cache="store", bytes=found.size):
                sound = has_its_bytes(self._layout, digest)
            yield jobs.Checked(digest, sound)

    def _stored(self, digest: str) -> Prepared:
        return read_prepared(self._layout, digest, self._umask, self._tag)
