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
    seams, installed_by_pip = _seams(settings) if all(each.name != "wrapt" for each in found) else ([], "")
    version = pip.__version__
    facts = PipFacts(version, pip_location(), newest_tested(), is_newer_than_tested(version))
    if installed_by_pip and facts.newer_than_tested:
        installed_by_pip = f"this pip is newer than {facts.newest_tested}"
    return Examination(facts, seams, problems, installed_by_pip=installed_by_pip)


def _seams(settings: Settings) -> tuple[list[SeamFacts], str]:
    """Return all seams, and why pip itself installs wheels, if it does."""
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
        stock = any(state.why and state.seam.installs for state in states)
        return names + [
            SeamFacts(
                state.seam.label, state.seam.family, state.state, state.why,
                # A seam that nothing is wrong with has no reason.
                as_wanted=(not state.why and state.state != "waiting for its module") or id(state) not in wanted,
            )
            for state in states
        ], "the function that does it is not as pipfast knows it" if stock else ""
    finally:
        hooks.undo()
