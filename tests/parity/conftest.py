"""Twins: stock pip and pipfast do the same things in the same place.

``PIPFAST_TWIN=pip`` compares pip with itself, which tries the suite; ``PIPFAST_TWIN=attached`` compares it with
itself in an attached environment, the path of a ``runner.py`` with the pipfast that is installed there.
"""
