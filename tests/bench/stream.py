"""Time of one bare stream of an archive: the least that one connection needs."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.client import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ_BYTES = 1 << 20


def one_stream(index: str, archive: Mapping[str, str]) -> float:
    """Fetch ``archive`` of the corpus from ``index``'s server, keep nothing, and return the seconds."""
    place = urlsplit(index)
    assert place.hostname is not None
    digest = archive["sha256"]
    start = time.perf_counter()
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=600)
    connection.request("GET", f"/files/{digest[:2]}/{digest[2:]}/{archive['filename']}")
    response = connection.getresponse()
    if response.status != 200:
        raise BenchError(f"{archive['filename']}: {response.status} {response.reason}")
    buffer = bytearray(_READ_BYTES)
    while response.readinto(buffer):
        pass
    connection.close()
    return time.perf_counter() - start
