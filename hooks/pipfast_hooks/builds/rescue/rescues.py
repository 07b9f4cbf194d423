"""The rescues of one run, by requirement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipfast.dependencies import Unusable
from pipfast.report import logger, say
from pipfast_hooks.builds.context import Context
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from pipfast_hooks.builds.rescue.rescue import Rescue


class Rescues(Part):
    """The rescues of a run's builds."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._rescues: dict[int, Rescue] = {}
        """By ``id()`` of pip's requirement, which the rescue keeps alive."""

    def made(self, requirement: Any) -> Rescue | None:
        """Return the rescue of a requirement's build if there is one."""
        return self._rescues.get(id(requirement))

    def of(self, requirement: Any) -> Rescue | None:
        """Return the rescue of a requirement's build; None where builds are not rescued."""
        context = self.run.find(Context)
        if requirement is None or context is None or self.run.settings.build_rescue == "off":
            return None
        rescue = self.made(requirement)
        if rescue is None:
            try:
                # Not at the top: it needs packaging, without which builds are pip's alone.
                from pipfast_hooks.builds.rescue.rescue import Rescue
            except Unusable as error:
                say(f"builds are not rescued: {error}", error.hint)
                return None
            except Exception:
                logger.debug("pipfast: builds are not rescued", exc_info=True)
                return None
            rescue = self._rescues[id(requirement)] = Rescue(context, requirement)
        return rescue

    def close(self, wait_s: float) -> None:
        """Remove the environments of all rescues."""
        for rescue in self._rescues.values():
            rescue.close()
