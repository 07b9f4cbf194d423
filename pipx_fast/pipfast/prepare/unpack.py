"""Unpacking of a wheel's members into a tree."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

from pipfast.system.inflate import inflater
from pipfast.wheel.scheme import NotStorable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipfast.store.manifest import FileFacts

_LOCAL_HEADER = struct.Struct("<4s2B4HL2L2H")
"""The fixed part of a ZIP local file header (APPNOTE 4.3.7): 30 bytes."""

_UTF8_NAME = 0x800
"""General purpose flag bit 11: the name is UTF-8, else code page 437 (APPNOTE appendix D)."""

_READ_BLOCK = 1 << 20
"""Bytes read at once. Read and not mapped: a mapped archive counts as memory of this process."""

_WRITE_BLOCK = 1 << 22
"""Bytes (4 MiB) inflated at once: bounds memory for huge members."""


def unpack_members(
    archive: Path, members: Sequence[zipfile.ZipInfo], tree: Path, umask: int, second: int
) -> list[FileFacts]:
    """Write ``members`` below ``tree`` with the modes that pip gives under ``umask``; return their facts."""
    facts: list[FileFacts] = []
    made: set[str] = set()
    root = os.fspath(tree)
    with archive.open("rb", buffering=0) as file:
        data = file.fileno()
        for member in members:
            target = f"{root}/{member.filename}"
            folder = target.rpartition("/")[0]
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            facts.append(_write_member(data, member, target, umask, second))
    return facts


def _write_member(data: int, member: zipfile.ZipInfo, target: str, umask: int, second: int) -> FileFacts:
    start = _member_start(data, member)
    # As pip: any executable bit of a regular file counts.
    bits = member.external_attr >> 16
    executable = bool(bits and stat.S_ISREG(bits) and bits & 0o111)
    # O_EXCL and O_NOFOLLOW: an earlier member is never written through.
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(target, flags, 0o777 if executable else 0o666)
    digest = hashlib.sha256()
    try:
        if member.compress_type == zipfile.ZIP_STORED:
            crc = _copy_stored(data, start, member, descriptor, digest)
        else:
            crc = _inflate(data, start, member, descriptor, digest)
        if crc != member.CRC:
            raise NotStorable(f"bad CRC-32 of {member.filename!r}")
        if executable and umask & 0o111:
            # pip makes it executable for all, whatever the umask.
            os.fchmod(descriptor, 0o777 & ~umask | 0o111)
        os.utime(descriptor, (second, second))
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return member.filename, found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode), digest.hexdigest()


def _member_start(data: int, member: zipfile.ZipInfo) -> int:
    """Return where the member's bytes begin; its local header must agree with the central one."""
    offset = member.header_offset
    header = os.pread(data, _LOCAL_HEADER.size + 4 * len(member.orig_filename), offset)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04":
        raise NotStorable(f"no local header for {member.filename!r}")
    fields = _LOCAL_HEADER.unpack_from(header)
    flags, name_length, extra_length = fields[3], fields[10], fields[11]
    encoded = header[_LOCAL_HEADER.size : _LOCAL_HEADER.size + name_length]
    try:
        name = encoded.decode("utf-8" if flags & _UTF8_NAME else "cp437")
    except UnicodeDecodeError as error:
        raise NotStorable(f"the local header of {member.filename!r}: {error}") from error
    if name != member.orig_filename:
        raise NotStorable(f"the headers name {member.filename!r} and {name!r}")
    start: int = offset + _LOCAL_HEADER.size + name_length + extra_length
    return start


def _packed(data: int, start: int, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the member's bytes as the archive has them, at most ``_READ_BLOCK`` at once."""
    end = start + member.compress_size
    while start < end:
        block = os.pread(data, min(_READ_BLOCK, end - start), start)
        if not block:
            raise NotStorable(f"{member.filename!r} ends behind the archive's end")
        start += len(block)
        yield block


def _copy_stored(data: int, start: int, member: zipfile.ZipInfo, descriptor: int, digest: hashlib._Hash) -> int:
    if member.compress_size != member.file_size:
        raise NotStorable(f"{member.filename!r} is stored, with two sizes")
    crc = 0
    for block in _packed(data, start, member):
        crc = inflater.crc32(block, crc)
        digest.update(block)
        _write_all(descriptor, block)
    return crc


def _inflate(data: int, start: int, member: zipfile.ZipInfo, descriptor: int, digest: hashlib._Hash) -> int:
    crc = written = 0
    stream = inflater.decompressobj(-15)
    try:
        for packed in _packed(data, start, member):
            block = packed
            while not stream.eof:
                # One byte more than due shows a member that holds more than it says.
                room = min(member.file_size - written + 1, _WRITE_BLOCK)
                part = stream.decompress(block, room)
                block = stream.unconsumed_tail
                written += len(part)
                if written > member.file_size:
                    raise NotStorable(f"{member.filename!r} is larger than it says")
                crc = inflater.crc32(part, crc)
                digest.update(part)
                _write_all(descriptor, part)
                if not block and len(part) < room:
                    break
            if stream.eof:
                break
    except (zlib.error, inflater.error) as error:
        raise NotStorable(f"{member.filename!r}: {error}") from error
    if not stream.eof:
        raise NotStorable(f"{member.filename!r} is cut short")
    if written != member.file_size:
        raise NotStorable(f"{member.filename!r} is smaller than it says")
    return crc


def _write_all(descriptor: int, block: bytes | memoryview) -> None:
    done = os.write(descriptor, block)
    while done < len(block):
        done += os.write(descriptor, block[done:])
