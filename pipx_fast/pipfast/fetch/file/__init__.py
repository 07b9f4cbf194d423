"""One file in the making: segments, bytes on disk, digests."""
