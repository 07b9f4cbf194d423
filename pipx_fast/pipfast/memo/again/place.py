"""Kept installation, placed by one process or by two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipfast.memo.again.placing import Declined, Placing
from pipfast.store.manifest import Damaged

if TYPE_CHECKING:
    from pipfast.memo.again.elsewhere import Environment
    from pipfast.memo.again.halves import Halves
    from pipfast.memo.again.installation import Installation


def place_all(kept: Installation, store: str, environment: Environment) -> Placing | Halves:
    """Place all wheels of an installation; each is whole before pip can see it.

    :param store: the store's folder.
    :returns: what can undo it; its end has to be told.
    :raises Declined: they cannot be placed here; nothing is changed. What else is raised has changed nothing, too.
    """
    try:
        placing = _begun(kept, store, environment)
    except (Damaged, OSError, ValueError) as error:
        raise Declined(repr(error)) from error
    try:
        placing.run()
    except BaseException as error:
        placing.undo()
        if isinstance(error, OSError):
            raise Declined(repr(error)) from error
        raise
    return placing


def _begun(kept: Installation, store: str, environment: Environment) -> Placing | Halves:
    from pipfast.memo.again.halves import Halves, is_worth_it

    if is_worth_it(kept):
        try:
            return Halves(kept, store, environment)
        except OSError:
            # There is no second process to be had.
            pass
    return Placing(kept, store, environment)
