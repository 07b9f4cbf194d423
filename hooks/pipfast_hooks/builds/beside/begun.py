"""The build beside pip that is about a requirement of pip's, begun when pip comes to it at the latest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from pipfast.builds.native import has_native_code
from pipfast_hooks.builds import context as builds_context
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from pipfast_hooks.builds.beside.sources import Build


def begun(requirement: Any, *, anew: bool = True) -> Build | None:
    """Return the build of a requirement's source, on its way now if that is one to build beside pip.

    :param anew: pip has run nothing of it yet: it may begin now.
    """
    run, link = current_run(), getattr(requirement, "link", None)
    if link is None or requirement.editable or link.is_vcs or link.subdirectory_fragment:
        return None
    build = None if run.builds_ahead is None else run.builds_ahead.begun(link.url_without_fragment)
    if build is not None or not anew or run.build_ahead is None:
        return build
    archive = requirement.local_file_path
    if requirement.name and archive and os.path.isfile(archive):
        # It has not arrived ahead of pip. Where there is code for a compiler, pip is to build it alone; where
        # nothing else is asked for, little is gained if it succeeds, and time lost if it fails: pip does it again.
        if _are_several() and not has_native_code(requirement.unpacked_source_directory):
            run.build_ahead(canonicalize_name(requirement.name), link, Path(archive))
    return None if run.builds_ahead is None else run.builds_ahead.begun(link.url_without_fragment)


def _are_several() -> bool:
    """Tell whether the user asks for more than one thing."""
    context = builds_context.current()
    return context is not None and sum(not each.constraint for each in context.requirements) > 1
