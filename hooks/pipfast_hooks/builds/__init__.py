"""Builds of source distributions: environments, builds beside pip, rescue."""
