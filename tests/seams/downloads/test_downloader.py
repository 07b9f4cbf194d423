"""Downloads inside pip: threads, and pip's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.index import Breakage, serving
from support.program import add_shim
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.program import Box

NOT_IN_THE_MAIN_THREAD = """
import pathlib, threading
import wrapt
@wrapt.when_imported("pipfast.store.archives")
def watch(module):
    original = module.stored_sha256
    def sha256_of(path):
        with pathlib.Path({noted!r}).open("a", encoding="utf-8") as file:
            file.write(threading.current_thread().name + "\\n")
        return original(path)
    module.stored_sha256 = sha256_of
"""

ROOM = """
from pip._internal.network.session import PipSession
from pipfast_hooks.network.early import EarlyRequests
from pipfast_hooks.run import current_run
early = current_run().part(EarlyRequests)
session = PipSession(cache={cache!r})
def room(url):
    return session.get_adapter(url).poolmanager.connection_from_url(url).pool.maxsize
there, before = room("http://one.test/"), room("https://one.test/")
early.attach(session)
early.attach(session)
print(there, before, room("http://one.test/"), room("https://one.test/"), room("https://two.test/"))
class Session:
    adapters = {{"https://": object()}}
early.attach(Session())
"""


def test_stored_archives_are_read_again_beside_the_main_thread(box: Box, index_url: str) -> None:
    """The second installation hashes both stored wheels; pip's thread does not wait for each in turn.

    In other words than the first: what the same words are expected to install is read by workers.
    """
    noted = box.root / "threads"
    assert box.pipfast("install", "--index-url", index_url, "seamless").status == 0
    assert box.pipfast("uninstall", "-y", "seamless", "needed").status == 0
    add_shim(box, NOT_IN_THE_MAIN_THREAD.format(noted=str(noted)))
    assert box.pipfast("install", "--index-url", index_url, "needed", "seamless").status == 0
    names = noted.read_text(encoding="utf-8").split()
    assert len(names) == 2
    assert "MainThread" not in names


def test_session_keeps_a_connection_for_every_worker(box: Box) -> None:
    """Otherwise urllib3 warns, in pip's output, that its pool of ten connections is full."""
    ended = box.run("-c", ROOM.format(cache=str(box.root / "cache")))
    assert (ended.out.split(), ended.err) == (["10", "10", "26", "26", "26"], "")


@pytest.mark.parametrize("refusal", [
    "asks for a password", pytest.param("breaks off", marks=pytest.mark.once),
])
def test_error_has_no_history_of_ours(box: Box, refusal: str) -> None:
    """What pip's own attempt has raised is not said to have come during ours."""
    archive = Wheel("demo", files={"demo.txt": "x" * 5000}).build()
    with serving() as server:
        index = server.index().add(archive)
        if refusal == "breaks off":
            server.break_off(f"a/files/{archive.filename}", Breakage.SHORT, times=99)
        else:
            server.override(f"a/files/{archive.filename}", 401)
        command = ("download", *index.args, "-vv", "--no-input", "--retries", "0", "--no-cache-dir", "demo")
        told = []
        for run in (box.pip, box.pipfast):
            ended = run(*command)
            assert ended.status != 0
            information = ended.out.partition("\nException information:\n")[2].split("\nRemoved ")[0]
            told.append((information + ended.err).count("Traceback"))
    assert told[0] == told[1] > 0
