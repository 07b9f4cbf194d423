"""What a worker thread does for one task: ask, read, write, and cope with what goes wrong."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pipfast.fetch.assembly import Assembly
from pipfast.fetch.errors import TruncatedBody, UnsafeName
from pipfast.fetch.job import Fetched
from pipfast.fetch.ranges import FileIdentity, Verdict
from pipfast.fetch.segments import OPEN_END
from pipfast.fetch.transport import Failure, FailureKind
from pipfast.wheel.soundness import is_sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pipfast.fetch.job import Download
    from pipfast.fetch.scheduler import Scheduler, Task
    from pipfast.fetch.segments import Claim
    from pipfast.fetch.transport import Response, Transport


class _Broken(Exception):
    """Carries an exception of the transport past those of ours."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Worker:
    """Runs tasks; one instance serves all threads."""

    def __init__(self, scheduler: Scheduler, transport: Transport, segment_threshold: int) -> None:
        self._scheduler = scheduler
        self._lock = scheduler.lock
        self._transport = transport
        self._segment_threshold = segment_threshold

    def run(self, task: Task) -> bool:
        """Do what ``task`` asks for; return whether this has completed its download."""
        if task.assembly is not None:
            with self._lock:
                task.assembly.enter()
        try:
            try:
                self._request(task)
            except _Broken as broken:
                self._recover(task, broken.error)
            return self._complete(task)
        except BaseException as error:
            # The disk, the caller's name function, or a mistake of ours: none gets better by trying again.
            self.give_up(task, error)
            return False
        finally:
            if task.assembly is not None:
                with self._lock:
                    task.assembly.leave()

    def give_up(self, task: Task, error: BaseException) -> None:
        """End the download of ``task`` with ``error``, unless it has ended already."""
        with self._lock:
            streams = self._scheduler.fail_locked(task.download, error)
        _close(streams)

    def _request(self, task: Task) -> None:
        if task.assembly is None or task.claim is None:
            self._begin(task, self._get(task.download, {}))
        else:
            self._read_part(task, task.assembly, task.claim)

    def _get(self, download: Download, headers: Mapping[str, str]) -> Response:
        try:
            return self._transport.get(download.url, headers)
        except Exception as error:
            raise _Broken(error) from error

    # --- whole files -------------------------------------------------------------------------

    def _begin(self, task: Task, response: Response) -> None:
        """Start a file from an answer that holds all of it."""
        with _closing(response):
            download = task.download
            identity = FileIdentity.of(response)
            assembly = Assembly(
                download.directory,
                self._file_name(download, response),
                response,
                identity,
                streams=self._streams(download, response, identity),
                algorithms=download.expected,
            )
            assembly.enter()
            with self._lock:
                begun = self._scheduler.begin_locked(task, assembly, response)
                if not begun:
                    self._scheduler.discard_locked(assembly)
                    assembly.leave()
            if begun:
                self._pump(task, response, 0, OPEN_END if assembly.size is None else assembly.size)
                if assembly.size is None:
                    self._end_of_open_file(assembly)

    def _file_name(self, download: Download, response: Response) -> str:
        if download.state.resolved_name is None:
            name = download.state.name(response)
            separators = {os.sep, os.altsep, "/", "\\", "\0"} - {None}
            if name in ("", ".", "..") or any(separator in name for separator in separators if separator):
                raise UnsafeName(download.url, name)
            download.state.resolved_name = name
        return download.state.resolved_name

    def _streams(self, download: Download, response: Response, identity: FileIdentity) -> int:
        if response.from_cache or not identity.resumable(digest_known=download.has_digest):
            return 1
        with self._lock:
            if not self._scheduler.allows_ranges(download):
                return 1
        return self._scheduler.limiter.connections if (identity.size or 0) >= self._segment_threshold else 1

    def _end_of_open_file(self, assembly: Assembly) -> None:
        with self._lock:
            if not assembly.dead:
                assembly.size = assembly.received

    # --- parts -------------------------------------------------------------------------------

    def _read_part(self, task: Task, assembly: Assembly, claim: Claim) -> None:
        with self._lock:
            start, end = claim.position, claim.end
        if start == end:
            return  # the first stream was faster
        try:
            response = self._get(task.download, assembly.identity.request_headers(start, end))
        except _Broken as broken:
            if self._transport.classify(broken.error).kind is FailureKind.FATAL:
                # Such as 416, or a signed address that knows no ranges: the plain request may still work.
                self._without_ranges(task, assembly, None)
                return
            raise
        verdict, limit = assembly.identity.judge(response, start, end)
        if verdict is Verdict.PART:
            with _closing(response):
                with self._lock:
                    wanted = self._scheduler.attach_locked(task, response)
                    if wanted and limit < end and self._scheduler.collapse_locked(task, assembly):
                        wanted = False  # less than was asked for, and the first answer brings it all
                    stale = self._scheduler.stale_locked()
                _close(stale)
                if wanted:
                    self._pump(task, response, start, limit)
        elif verdict is Verdict.REFUSED:
            self._without_ranges(task, assembly, response)
        else:
            self._start_again(task, assembly, response)

    def _without_ranges(self, task: Task, assembly: Assembly, response: Response | None) -> None:
        """Go back to one stream: the first one if it is still there, else from the beginning."""
        with self._lock:
            kept = self._scheduler.collapse_locked(task, assembly)
            stale = self._scheduler.stale_locked()
        _close(stale)
        if not kept:
            self._start_again(task, assembly, response)
        elif response is not None:
            _close([response])

    def _start_again(self, task: Task, assembly: Assembly, response: Response | None) -> None:
        """Throw away what there is, and go on with ``response`` if that is a whole file."""
        download = task.download
        whole = response is not None and response.status == 200
        with self._lock:
            current = download.state.assembly is assembly and not assembly.finishing
            if current:
                download.state.ranges_allowed = False
                # Until the answer at hand is the new beginning, nobody else shall make one.
                streams = self._scheduler.abandon_locked(download, task)
                assembly.leave()
                task.assembly = task.claim = None
                task.ranged = False
        if current:
            _close(streams)
        if response is None:
            return
        if current and whole:
            self._begin(task, response)
        else:
            _close([response])

    # --- reading -----------------------------------------------------------------------------

    def _pump(self, task: Task, response: Response, at: int, limit: int) -> None:
        """Read the answer, which begins ``at`` and ends at ``limit``, into the claim until one of them ends."""
        assembly, claim = task.assembly, task.claim
        if assembly is None or claim is None:
            return  # an empty file
        scheduler = self._scheduler
        for chunk in self._chunks(response):
            view = memoryview(chunk)
            while view:
                with self._lock:
                    # The first stream may have brought some of it meanwhile.
                    known = min(claim.position - at, len(view))
                    wanted = len(view) - known
                    taken = scheduler.take_locked(task, assembly, claim, wanted, limit) if wanted else (at, 0)
                    stale = scheduler.stale_locked()
                _close(stale)
                if taken is None or not (wanted or claim.remaining):
                    return
                offset, count = taken
                at += known + count
                view = view[known:]
                if not count:
                    continue
                try:
                    assembly.write(offset, view[:count], believed=not task.abandoned)
                finally:
                    with self._lock:
                        scheduler.written_locked(assembly, claim)
                with self._lock:
                    scheduler.progressed_locked(task, count)
                view = view[count:]
            with self._lock:
                if scheduler.is_cut_short_locked(task, assembly, claim, limit):
                    return
        with self._lock:
            scheduler.stream_ended_locked(task, assembly, claim, limit)
            if assembly.dead or not claim.remaining or claim.end == OPEN_END or claim.position == limit:
                return
        raise _Broken(TruncatedBody(task.download.url, claim.position, limit))

    def _chunks(self, response: Response) -> Iterator[bytes]:
        chunks = iter(response.chunks())
        while True:
            try:
                chunk = next(chunks, None)
            except Exception as error:
                raise _Broken(error) from error
            if chunk is None:
                return
            yield chunk

    # --- endings -----------------------------------------------------------------------------

    def _recover(self, task: Task, error: BaseException) -> None:
        """Decide what a failed request or a broken stream means for its download, and for the run."""
        download, assembly = task.download, task.assembly
        failure = Failure(FailureKind.BUSY)
        if not isinstance(error, TruncatedBody):
            failure = self._transport.classify(error)
        now = time.monotonic()
        with self._lock:
            if not self._scheduler.matters_locked(task):
                return
            if task.ranged and assembly is not None and self._scheduler.collapse_locked(task, assembly):
                streams = self._scheduler.stale_locked()
            elif failure.kind is FailureKind.FATAL:
                streams = self._scheduler.fail_locked(download, error)
            else:
                limiter, budget = self._scheduler.limiter, download.state.budget
                alone = limiter.in_flight == 1 or limiter.allowed == 1
                limiter.busy(download.state.host, started=task.started, now=now, retry_after=failure.retry_after)
                if budget.failed(now - task.started, alone=alone):
                    streams = self._scheduler.retry_locked(task, budget.delay())
                elif download.state.ranges_allowed and (task.ranged or (assembly and assembly.ranged)):
                    # Perhaps it is only the ranges that this server cannot do: one last time in one stream.
                    budget.progressed()
                    download.state.ranges_allowed = False
                    streams = self._scheduler.abandon_locked(download, task)
                else:
                    streams = self._scheduler.fail_locked(download, error)
        _close(streams)

    def _complete(self, task: Task) -> bool:
        """If the file is whole, and nobody else is at it: check the digests and publish it."""
        download, assembly = task.download, task.assembly
        if assembly is None:
            return False
        with self._lock:
            self._scheduler.settle_claim_locked(task)
            if assembly.dead or assembly.finishing or assembly.received != assembly.size:
                return False
            assembly.finishing = True
        digests = assembly.hashes.finish()
        known = {name: digest for name, digest in download.expected.items() if name in digests}
        matches = all(digests[name] == digest for name, digest in known.items()) if known else None
        sound = is_sound(assembly.partial, assembly.target.name) if assembly.ranged and not known else matches
        if assembly.ranged and not sound:
            self._once_more(task)
            return False
        with self._lock:
            if download.finished:
                return False
            fetched = Fetched(
                path=assembly.publish(),
                sha256=digests["sha256"],
                size=assembly.received,
                digests=digests,
                headers=assembly.first.headers,
                from_cache=assembly.first.from_cache,
                matches=matches,
            )
            streams = self._scheduler.succeed_locked(download, fetched)
        _close(streams)
        return True

    def _once_more(self, task: Task) -> None:
        """Fetch in one stream what came in parts that are not of one file: that is what pip would have got."""
        download = task.download
        with self._lock:
            download.state.ranges_allowed = False
            self._scheduler.no_more_ranges_locked(download)
            streams = self._scheduler.abandon_locked(download, task)
        _close(streams)


def _close(responses: Iterable[Response]) -> None:
    for response in responses:
        with suppress(Exception):
            response.close()


@contextmanager
def _closing(response: Response) -> Iterator[None]:
    try:
        yield
    finally:
        _close([response])
