"""Wheels prepared by worker processes: unpacked, byte-compiled, linked aside."""
