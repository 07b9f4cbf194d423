"""Builds of source distributions: hooks, environments, builds beside pip, rescue."""
