"""Wheels from the team's store, and built ones put there."""
