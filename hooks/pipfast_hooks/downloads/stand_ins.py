"""Stand-ins for archives of wheels that came prepared."""

from __future__ import annotations

from pip._internal.metadata import select_backend
from pip._internal.operations.install import wheel as pip_wheel
from pip._internal.req import req_install
from pip._internal.utils.hashes import Hashes

from pipfast_hooks.attach import is_attached


def can_stand_in() -> bool:
    """Tell whether all of pip's functions that read a wheel's archive are ours, which have it fetched before.

    With the other backend of metadata, an unknown pip or a family that is left out, one is not.
    """
    install = pip_wheel.install_wheel
    functions = (
        getattr(select_backend().Distribution, "from_wheel", None), Hashes.check_against_path, install,
        getattr(req_install, "install_wheel", install),
    )
    return all(map(is_attached, functions))
