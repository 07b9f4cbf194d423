"""Facts about pip and its seams for ``pipfast doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pip

from pipfast import dependencies
from pipfast.commands.facts import Examination, PipFacts, SeamFacts
from pipfast_hooks.pip_main import pip_location
from pipfast_hooks.seams import is_newer_than_tested, newest_tested

if TYPE_CHECKING:
    from pipfast.settings import Settings


def examine(settings: Settings) -> Examination:
    """Attach all hooks, note the state of each seam, and detach them."""
    found = dependencies.problems()
    problems = [f"{each}; {each.hint}" for each in found]
    seams = _seams(settings) if all(each.name != "wrapt" for each in found) else []
    version = pip.__version__
    facts = PipFacts(version, pip_location(), newest_tested(), is_newer_than_tested(version))
    return Examination(facts, seams, problems)


def _seams(settings: Settings) -> list[SeamFacts]:
    # Not at the top: it imports wrapt, which may be broken.
    from pipfast_hooks.attach import Hooks, without_disabled

    hooks = Hooks(settings, pip.__version__)
    hooks.apply()
    try:
        states = hooks.check_all()
        wanted = {id(state) for state in without_disabled(states)}
        names = [
            SeamFacts(name, family, "stock" if why else "as expected", why, not why or family in settings.disabled)
            for name, (family, why) in hooks.check_names().items()
        ]
        return names + [
            SeamFacts(
                state.seam.label, state.seam.family, state.state, state.why,
                # A seam that nothing is wrong with has no reason.
                as_wanted=(not state.why and state.state != "waiting for its module") or id(state) not in wanted,
            )
            for state in states
        ]
    finally:
        hooks.undo()
