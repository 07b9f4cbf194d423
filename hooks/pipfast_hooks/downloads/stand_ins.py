"""Stand-ins for archives of wheels that came prepared."""

from __future__ import annotations

from pip._internal.metadata import select_backend
from pip._internal.operations.install import wheel as pip_wheel
from pip._internal.req import req_install
from pip._internal.utils.hashes import Hashes

from pipfast_hooks.attach import has_seams


def can_stand_in() -> bool:
    """Tell whether all of pip's functions that read a wheel's archive are ours, which have it fetched before.

    With the other backend of metadata, an unknown pip or a family that is left out, one is not.
    """
    bound_twice = hasattr(req_install, "install_wheel")
    return (
        has_seams(select_backend().Distribution, "from_wheel") and has_seams(Hashes, "check_against_path")
        and all(has_seams(each, "install_wheel") for each in (pip_wheel, req_install)[: 1 + bound_twice])
    )
