"""Rescue of failed builds: a second try without isolation."""
