"""Digests of a file whose parts arrive in any order."""

from __future__ import annotations

import hashlib
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipfast.fetch.file import hashing
from pipfast.fetch.file.hashing import HashFront, known_algorithms


class Memory:
    """What stands in for the file, and counts what is read back."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.read_back = 0

    def read(self, offset: int, count: int) -> bytes:
        self.read_back += count
        return bytes(self.data[offset : offset + count])


def parts(body: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    edges = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [(start, body[start:end]) for start, end in itertools.pairwise(edges)]


@given(body=st.binary(max_size=3000), cuts=st.lists(st.integers(0)), seed=st.randoms(use_true_random=False))
def test_any_order_gives_the_digest(body: bytes, cuts: list[int], seed: random.Random) -> None:
    """Every permutation of the parts gives the digests of the whole."""
    memory = Memory(len(body))
    front = HashFront(["sha256", "md5"], memory.read)
    pieces = parts(body, cuts)
    seed.shuffle(pieces)
    for offset, data in pieces:
        memory.data[offset : offset + len(data)] = data
        front.arrived(offset, data)
    assert front.finish() == {name: hashlib.new(name, body).hexdigest() for name in ("sha256", "md5")}
    assert front.hashed == len(body)


@pytest.mark.parametrize("position", [0, 50, 100, 150, 200])
@pytest.mark.parametrize("caught_up", [1, 1000], ids=["barely", "fully"])
def test_forgotten_parts_come_again(monkeypatch: pytest.MonkeyPatch, position: int, caught_up: int) -> None:
    """Parts that one stream brings again count as if they had never come, hashed or not, adjacent or not."""
    monkeypatch.setattr(hashing, "STEP", 10)
    monkeypatch.setattr(hashing, "CATCH_UP", caught_up)
    memory = Memory(400)
    front = HashFront(["sha256", "md5"], memory.read)

    def bring(start: int, end: int, byte: bytes) -> None:
        memory.data[start:end] = byte * (end - start)
        front.arrived(start, byte * (end - start))

    bring(position, 250, b"x")
    bring(300, 350, b"x")
    if position:
        bring(0, position, b"o")
    front.forget_beyond(position)
    for start in range(position, 400, 70):
        bring(start, min(400, start + 70), b"o")
    assert front.finish() == {name: hashlib.new(name, b"o" * 400).hexdigest() for name in ("sha256", "md5")}


def test_parts_in_order_are_not_read_back() -> None:
    """A single stream is hashed from memory alone."""
    memory = Memory(3000)
    front = HashFront(["sha256"], memory.read)
    for offset in range(0, 3000, 100):
        front.arrived(offset, bytes(100))
        assert front.hashed == offset + 100
    front.finish()
    assert memory.read_back == 0


def test_catching_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that closes a gap hashes a bounded part of what lies behind it, the next one goes on."""
    monkeypatch.setattr(hashing, "STEP", 100)
    monkeypatch.setattr(hashing, "CATCH_UP", 300)
    memory = Memory(10_000)
    front = HashFront(["sha256"], memory.read)
    for offset in range(1000, 9000, 1000):
        front.arrived(offset, bytes(1000))
    front.arrived(0, bytes(1000))
    assert front.hashed == 1000 + 300
    front.arrived(9000, bytes(1000))
    assert front.hashed == 1000 + 600
    assert front.finish()["sha256"] == hashlib.sha256(bytes(10_000)).hexdigest()


def test_threads_share_the_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that report at once neither hash a byte twice nor lose one."""
    monkeypatch.setattr(hashing, "STEP", 4096)
    body = random.Random(1).randbytes(1_000_000)
    memory = Memory(len(body))
    front = HashFront(["sha256"], memory.read)
    together = threading.Barrier(4, timeout=20)

    def work(worker: int) -> None:
        together.wait()
        for offset in range(worker * 5000, len(body), 20_000):
            data = body[offset : offset + 5000]
            memory.data[offset : offset + len(data)] = data
            front.arrived(offset, data)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert front.finish() == {"sha256": hashlib.sha256(body).hexdigest()}


def test_shortened_file_is_an_error() -> None:
    """A file that another program cut off is noticed, and does not hang anybody."""
    front = HashFront(["sha256"], lambda offset, count: b"")
    front.arrived(100, bytes(100))
    with pytest.raises(OSError, match="byte 100"):
        front.arrived(0, bytes(100))
    with pytest.raises(OSError, match="byte 100"):
        front.finish()


def test_known_algorithms() -> None:
    """SHA-256 always; no algorithm twice, none without a fixed length, none that is unknown."""
    assert known_algorithms(["sha512", "sha256", "nothing", "shake_128", "md5"]) == ["sha256", "sha512", "md5"]
