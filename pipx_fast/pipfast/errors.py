"""Root of pipfast's errors."""

from __future__ import annotations


class PipfastError(Exception):
    """Root of all errors of ours.

    ``str()`` gives what happened and to which thing; ``hint``, where there is one, what to do.
    """

    hint: str | None = None
