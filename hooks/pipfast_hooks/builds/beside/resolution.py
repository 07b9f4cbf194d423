"""Sources of a resolution: their builds beside pip, begun as they arrive."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.builds.hook_names import WHEEL
from pipfast.builds.native import has_native_code
from pipfast_hooks.builds.beside.sources import Recipe, SourceBuilds, recipe_for
from pipfast_hooks.builds.context import Context
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from pipfast_hooks.builds.beside.build import Build


def resolution_of(run: Run) -> Resolution | None:
    """Return the builds of the run's resolution; None for commands that ask for nothing."""
    return None if run.find(Context) is None else run.part(Resolution)


class Resolution(Part):
    """Begins builds while the resolver runs, and finds them when pip comes to their sources."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._context = run.part(Context)
        self._context.when_resolved.append(self._end)
        self._recipe: Recipe | None = None
        self._beginning = threading.Lock()

    def begin(self, name: str, link: Any, archive: Path) -> None:
        """Begin to build a source that has arrived, if it is one to build beside pip; return at once."""
        if name not in self._context.named:
            return
        with self._beginning:
            if self._recipe is None and self._context.resolver is not None:
                self._recipe = recipe_for(self.run, self._context)
            if self._recipe is not None:
                self.run.part(SourceBuilds).begin(name, link, archive, self._recipe)

    def begun(self, requirement: Any, *, anew: bool) -> Build | None:
        """Find or start the early build of a requirement; None if pip alone builds it.

        :param anew: pip has not run any hook of it: the build may begin now.
        """
        link = getattr(requirement, "link", None)
        if link is None or requirement.editable or link.is_vcs or link.subdirectory_fragment:
            return None
        build = self._found(link)
        if build is not None or not anew or self._context.resolver is None:
            return build
        archive = requirement.local_file_path
        if requirement.name and archive and os.path.isfile(archive):
            # It has not arrived ahead of pip. pip alone builds what needs a compiler, and a source that nothing
            # else is asked for with: there is little to gain, and a failed build takes its time twice.
            several = sum(not each.constraint for each in self._context.requirements) > 1
            if several and not has_native_code(requirement.unpacked_source_directory):
                self.begin(canonicalize_name(requirement.name), link, Path(archive))
        return self._found(link)

    def _found(self, link: Any) -> Build | None:
        builds = self.run.find(SourceBuilds)
        return None if builds is None else builds.builder.begun(link.url_without_fragment)

    def gives_wheel(self, link: Any) -> bool:
        """Tell whether the wheel of a source is there or may come."""
        builds = self.run.find(SourceBuilds)
        if builds is None or link is None:
            return False
        build = builds.builder.find(link.url_without_fragment)
        return build is not None and bool(build.given) and build.gives(WHEEL)

    def _end(self, has_succeeded: bool) -> None:
        builds = self.run.find(SourceBuilds)
        if has_succeeded and builds is not None and self._recipe is not None and self._recipe.with_wheels:
            builds.builder.stop()
        else:
            self.give_way()

    def give_way(self) -> None:
        """End all builds: pip will not ask for them, or is about to remove their environments."""
        with self._beginning:
            self._recipe = None
        self.run.end_part(SourceBuilds)
