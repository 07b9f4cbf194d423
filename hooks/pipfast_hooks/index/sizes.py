"""File sizes that index pages tell."""

from __future__ import annotations

from typing import Any

from pipfast_hooks.run import Part, Run


class Sizes(Part):
    """Bytes of files by address, of links that were made."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.by_address: dict[str, int] = {}

    def of(self, link: Any, unknown: int) -> int:
        """Return the bytes of the file behind pip's link; ``unknown`` if no page told."""
        return self.by_address.get(link.url_without_fragment, unknown)
