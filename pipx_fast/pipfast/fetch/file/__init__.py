"""One file on its way: its stretches, its bytes on disk, its digests."""
