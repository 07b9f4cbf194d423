"""Isolated build environments: shared, filled by a forked pip."""
