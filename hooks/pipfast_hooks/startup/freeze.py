"""``freeze`` without pipfast, which pip leaves out as it leaves out itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pipfast_hooks.seams import LEFT_OUT_OF_FREEZE

_OURS = "pipfast"


def leave_us_out() -> None:
    """Have ``freeze`` leave out pipfast, unless ``--all`` is given.

    Replaced without wrapt, whose import would delay it. A pip that has none of the names lists pipfast.
    """
    module, function, names = LEFT_OUT_OF_FREEZE
    freeze: Any = import_module(module)
    if callable(original := getattr(freeze, function, None)):
        setattr(freeze, function, lambda: {*original(), _OURS})
    elif isinstance(left_out := getattr(freeze, names, None), set):
        setattr(freeze, names, left_out | {_OURS})
