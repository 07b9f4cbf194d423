"""Options, requirements and resolution of a command, for its builds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.report import timed
from pipfast.store.names import BUILT
from pipfast.store.notes import has_notes
from pipfast_hooks.guard import guarded
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pipfast_hooks.call import Call

VARIABLES = ("PATH", "PYTHONPATH", "PYTHONNOUSERSITE")
"""What pip's isolation changes."""


class Context(Part):
    """Options and requirements of a command, and pip's resolution; only of commands that have requirements."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.options: Any = None
        self.finder: Any = None
        self.requirements: list[Any] = []
        self.environ: Mapping[str, str | None] = {}
        """``VARIABLES`` as they were before any isolation."""
        self.resolver: Any = None
        """pip's resolver while it runs and sources may be built beside it."""
        self.named: frozenset[str] = frozenset()
        """Canonical names that the resolver was told; of other projects it may yet choose another source."""
        self.variables: Mapping[str, str] = {}
        """Environment variables when the resolver began; while pip runs a hook, it sets those of that build."""
        self.when_resolved: list[Callable[[bool], None]] = []
        """Functions to call when the resolver ends; the argument tells whether it has succeeded."""
        self._chosen: list[Any] | None = None
        self._resolved: dict[str, str] | None = None
        self._stale_before: set[str] | None = None

    def note(self, options: Any, finder: Any, requirements: list[Any]) -> None:
        """Note a command's requirements, before any build is isolated."""
        self.options, self.finder, self.requirements = options, finder, requirements
        self.environ = {name: os.environ.get(name) for name in VARIABLES}
        self._chosen = self._resolved = None

    def begin_resolution(self, resolver: Any, roots: Iterable[Any]) -> None:
        """Let sources be built beside a resolver that was given these requirements and constraints."""
        self.resolver, self.variables = resolver, dict(os.environ)
        self.named = frozenset(
            canonicalize_name(each.req.name) for each in roots if each.req is not None and not each.constraint
        )

    def end_resolution(self, *, has_succeeded: bool) -> None:
        """Begin no more builds, and end those that pip will not ask for."""
        self.resolver = None
        for end in self.when_resolved:
            end(has_succeeded)

    def note_chosen(self, requirements: Iterable[Any]) -> None:
        """Note pip's requirements as the resolver has decided them."""
        self._chosen, self._resolved = list(requirements), None

    def resolved(self) -> dict[str, str]:
        """Return name to version of the resolver's choices; empty before it is done."""
        if self._resolved is None and self._chosen is not None:
            self._resolved = {}
            for requirement in self._chosen:
                with guarded("no version of %s", requirement):
                    found = requirement.satisfied_by or requirement.get_dist()
                    self._resolved[str(requirement.name)] = str(found.version)
        return self._resolved or {}

    def hashes(self) -> dict[str, tuple[str, ...]]:
        """Return normalised name to the hashes that the user gives, as ``sha256:…``."""
        return {
            canonicalize_name(each.name): tuple(
                f"{kind}:{digest}" for kind, digests in each.hash_options.items() for digest in digests
            )
            for each in self.requirements if each.name and each.hash_options
        }

    def note_stale(self) -> None:
        """Note, before installing begins, which installed packages were built against others than are there.

        This imports the modules that ``say_stale`` needs.
        """
        layout = self.run.store.layout
        if getattr(self.options, "target_dir", None) or not has_notes(layout, BUILT):
            return
        from pipfast.rescue.installed import stale_here

        self._stale_before = set(stale_here(layout))

    def say_stale(self) -> None:
        """Name the packages that this run has made stale."""
        layout = self.run.store.layout
        if self._stale_before is None or not layout.keeps:
            return
        from pipfast.rescue.installed import stale_here

        for line, arguments in stale_here(layout).items():
            if line not in self._stale_before:
                self.run.say_at_end(line, f"build it again:\n  pipfast {arguments}")


def _around_get_requirements(call: Call) -> Any:
    """Note options and requirements."""
    requirements = call.original()
    with guarded("builds will not be rescued"):
        current_run().part(Context).note(call["options"], call["finder"], list(requirements))
    return requirements


def _around_prepare_linked_requirements_more(call: Call) -> Any:
    """Note the resolver's choices, before any of them is built or fetched."""
    context = current_run().find(Context)
    # With ``inprocess-build-deps`` pip also resolves the requirements of a build, during that.
    if context is not None and not getattr(call.instance.build_tracker, "_entries", None):
        context.note_chosen(call["reqs"])
    with timed("gather"):
        return call.original()
