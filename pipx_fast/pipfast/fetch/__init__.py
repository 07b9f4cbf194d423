"""Bytes from the network: one pool of connections, large files in segments, hashed as they arrive.

The parts, from the caller inwards: ``pool`` (what callers use), ``job`` (the handle of one download),
``worker`` (what a thread does for it), ``scheduler`` (who does what next), ``assembly`` (one file being
put together), and the pure parts ``segments``, ``ranges``, ``hashing``, ``limiter``.
"""
