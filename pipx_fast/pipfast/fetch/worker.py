"""Work on one task: a request, its answer read into a file."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pipfast import report
from pipfast.fetch.endings import Endings
from pipfast.fetch.errors import TruncatedBody, UnsafeName
from pipfast.fetch.file.assembly import Assembly
from pipfast.fetch.file.ranges import FileIdentity, Verdict
from pipfast.fetch.file.segments import OPEN_END, Claim
from pipfast.fetch.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipfast.fetch.board import Board, Task
    from pipfast.fetch.job import Download
    from pipfast.fetch.transport import Response, Transport


class _Broken(Exception):
    """Carrier of an exception of the transport, to tell it from ours."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Worker:
    """Runs tasks; one instance serves all threads."""

    def __init__(self, board: Board, transport: Transport, segment_threshold: int) -> None:
        self._board = board
        self._streams = Streams(board)
        self._endings = Endings(board, self._streams, transport)
        self._transport = transport
        self._segment_threshold = segment_threshold

    def run(self, task: Task) -> bool:
        """Do what ``task`` asks for; return whether this has completed its download."""
        if task.assembly is not None:
            with self._board:
                task.assembly.enter()
        try:
            try:
                if task.assembly is None or task.claim is None:
                    self._begin(task, self._get(task.download, {}))
                else:
                    self._read_part(task, task.assembly, task.claim)
            except _Broken as broken:
                self._endings.recover(task, broken.error)
            return self._endings.complete(task)
        except BaseException as error:
            # The disk, the caller's name function, or a mistake of ours: a retry would fail, too.
            self.give_up(task, error)
            return False
        finally:
            with self._board:
                if task.assembly is not None:
                    task.assembly.leave()
                self._board.end(task)
            if (recorder := report.recorder) is not None:
                recorder.note("segment", task.started, {
                    "key": task.download.url, "bytes": task.brought, "ranged": task.ranged,
                    "answered": task.answered, "cache": task.download.origin,
                })

    def give_up(self, task: Task, error: BaseException) -> None:
        """End a task, and its download with ``error``, unless they have ended already."""
        with self._board:
            self._board.fail(task.download, error)
            self._board.end(task)

    def _get(self, download: Download, headers: Mapping[str, str]) -> Response:
        try:
            return self._transport.get(download.url, headers)
        except Exception as error:
            raise _Broken(error) from error

    def _begin(self, task: Task, response: Response) -> None:
        with _closing(response):
            download = task.download
            identity = FileIdentity.of(response)
            assembly = Assembly(
                download.directory, self._file_name(download, response), response, identity,
                streams=self._stream_count(download, response, identity), algorithms=download.expected,
            )
            assembly.enter()
            with self._board:
                begun = self._streams.begin(task, assembly, response)
            if begun:
                self._pump(task, response, 0, OPEN_END if assembly.size is None else assembly.size)
                with self._board:
                    if assembly.size is None and not assembly.dead:
                        assembly.size = assembly.received

    def _file_name(self, download: Download, response: Response) -> str:
        if download.state.resolved_name is None:
            name = download.state.name(response)
            separators = {os.sep, os.altsep, "/", "\\", "\0"}
            if name in ("", ".", "..") or not separators.isdisjoint(name):
                raise UnsafeName(download.url, name)
            download.state.resolved_name = name
        return download.state.resolved_name

    def _stream_count(self, download: Download, response: Response, identity: FileIdentity) -> int:
        if response.from_cache or not identity.resumable(digest_known=download.has_digest):
            return 1
        with self._board:
            if not download.state.ranges_allowed or download.state.host in self._board.without_ranges:
                return 1
        return self._board.limiter.connections if (identity.size or 0) >= self._segment_threshold else 1

    def _read_part(self, task: Task, assembly: Assembly, claim: Claim) -> None:
        with self._board:
            start, end = claim.position, claim.end
        if start == end:
            return  # the first stream was faster
        try:
            response = self._get(task.download, assembly.identity.request_headers(start, end))
        except _Broken as broken:
            if not self._endings.is_busy(broken.error):
                # E.g. 416, or a signed address without ranges: the plain request may work.
                with self._board:
                    goes_on = self._board.is_settled(task, assembly) or self._board.miss(
                        task.download, assembly, forgiven=False
                    )
                if not goes_on:
                    self._start_again(task, assembly, None)
                return
            raise
        verdict, limit = assembly.identity.judge(response, start, end)
        if verdict is Verdict.PART:
            with _closing(response):
                with self._board:
                    wanted = self._streams.attach(task, response)
                    if wanted and limit < end and self._board.collapse(task, assembly):
                        wanted = False  # less than was asked for, and the first answer brings it all
                if wanted:
                    self._pump(task, response, start, limit)
        elif verdict is Verdict.REFUSED:
            self._without_ranges(task, assembly, response)
        else:
            self._start_again(task, assembly, response)

    def _without_ranges(self, task: Task, assembly: Assembly, response: Response | None) -> None:
        """Go back to one stream: the first one if it is alive, else a new one from the beginning."""
        with self._board:
            # One that has been read past what came brings only the rest.
            kept = self._board.collapse(task, assembly) or (
                assembly.first_is_read and self._board.miss(task.download, assembly, forgiven=False)
            )
        if not kept:
            self._start_again(task, assembly, response)
        else:
            _close(response)

    def _start_again(self, task: Task, assembly: Assembly, response: Response | None) -> None:
        download = task.download
        with self._board:
            # A task that somebody else took on in vain begins nothing: that one would begin it, too.
            current = download.state.assembly is assembly and not assembly.finishing and not task.abandoned
            if current:
                download.state.ranges_allowed = False
                # The task stays in flight, so that nobody else begins the file.
                self._board.abandon(download, task)
                assembly.leave()
                task.assembly = task.claim = None
                task.ranged = False
        if current and response is not None and response.status == 200:
            self._begin(task, response)
        else:
            _close(response)

    def _pump(self, task: Task, response: Response, at: int, limit: int) -> None:
        """Read the answer, which begins ``at`` and ends at ``limit``, into the claim until one of them ends."""
        assembly, claim = task.assembly, task.claim
        if assembly is None or claim is None:
            return  # an empty file
        board, streams = self._board, self._streams
        for chunk in self._chunks(response):
            view = memoryview(chunk)
            while view:
                with board:
                    # The first stream may have brought some of it meanwhile.
                    known = min(claim.position - at, len(view))
                    wanted = len(view) - known
                    taken = streams.take(task, assembly, claim, wanted, limit) if wanted else (at, 0)
                is_overtaken = not wanted and not claim.remaining and claim is not assembly.front
                if taken is None or is_overtaken:
                    return
                offset, count = taken
                at += known + count
                view = view[known:]
                if not count:
                    continue
                written = 0
                try:
                    assembly.write(offset, view[:count], believed=not task.abandoned)
                    written = count
                finally:
                    with board:
                        streams.written(task, assembly, claim, written)
                view = view[count:]
            with board:
                if streams.is_cut_short(task, assembly, claim, at, limit):
                    return
        with board:
            streams.ended(task, assembly, claim, limit)
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


def _close(response: Response | None) -> None:
    with suppress(Exception):
        if response is not None:
            response.close()


@contextmanager
def _closing(response: Response) -> Iterator[None]:
    try:
        yield
    finally:
        _close(response)
