"""Builds beside pip, ahead of it, and their answers."""
