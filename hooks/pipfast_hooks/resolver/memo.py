"""Questions that pip's resolver asks again and again, answered once."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipfast_hooks.call import Call

_KEPT = "_pipfast_satisfied"
"""The attribute of a criterion that keeps the last pin it was held against, and whether that satisfied it."""

_NOTHING = object()


def _instead_of_is_current_pin_satisfying(original: Callable[..., bool]) -> Callable[..., bool]:
    """Hold a pin against a criterion once: each round asks for all of them twice, and neither ever changes."""

    @functools.wraps(original)
    def is_current_pin_satisfying(self: Any, name: Any, criterion: Any) -> bool:
        try:
            pin = self.state.mapping.get(name, _NOTHING)
            attributes = criterion.__dict__
            kept = attributes.get(_KEPT)
        except AttributeError:
            return original(self, name, criterion)
        if pin is _NOTHING:
            return False
        if kept is not None and kept[0] is pin:
            return kept[1]  # type: ignore[no-any-return]  # it came from the original
        satisfied = original(self, name, criterion)
        attributes[_KEPT] = (pin, satisfied)
        return satisfied

    return is_current_pin_satisfying


def _around_wheel_cache_get(call: Call) -> Any:
    """Answer at once where there is no folder for wheels that were built of an archive."""
    link, name = call["link"], call["package_name"]
    if name and call.instance.cache_dir and link.scheme in ("http", "https"):
        if not os.path.isdir(call.instance.get_path_for_link(link)):
            return link
    return call.original()
