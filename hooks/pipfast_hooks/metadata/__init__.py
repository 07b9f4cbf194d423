"""Metadata of candidates and of installed distributions."""
