"""Archives that are fetched, read and built ahead of pip's resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipfast_hooks.attach import is_attached
from pipfast_hooks.builds.context import Context

# What fetches, reads or builds is imported in the methods: where everything is satisfied nothing of it happens.
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipfast_hooks.metadata.ranged import Found
    from pipfast_hooks.run import Run


class Archives:
    """Begins, for one resolution of pip's, what is done with archives ahead of it."""

    def __init__(self, run: Run, factory: Any) -> None:
        """:param factory: that of pip's resolver."""
        self._run = run
        self._factory = factory
        self._downloader = factory.preparer._download
        self.are_built = run.find(Context) is not None
        # A seam that is not attached leaves pip's method as it is, and pip's downloads would find nothing.
        self.are_fetched = is_attached(type(self._downloader).__call__)

    def begin(
        self, name: str, link: Any, *, needed: bool, then: Callable[[Path], None] | None,
        described: Callable[[bytes], None],
    ) -> None:
        """Fetch an archive, or only its METADATA where pip needs nothing else.

        :param needed: the resolver needs the archive for its metadata.
        :param then: called with the archive once it is there.
        :param described: called with METADATA that came alone.
        """
        run, downloader = self._run, self._downloader
        if not link.is_wheel:
            if self._factory.get_wheel_cache_entry(link, name) is not None:
                # Built before: pip takes the wheel.
                return
            context = run.find(Context)
            if context is not None and context.resolver is not None:
                from pipfast_hooks.builds.environments.runner import runner_of

                # The process that fills its environment takes a while to start.
                runner_of(run)
        from pipfast_hooks.downloads.connections import Sessions

        def whole() -> None:
            run.part(Sessions).of(downloader).begin_ahead(name, link, needed=needed, then=then)

        def read(found: Found | None) -> None:
            described(found.content) if found is not None else whole()

        if needed and run.intent.metadata_only and link.is_wheel:
            from pipfast_hooks.metadata.ranged import RangedMetadata

            ranged = run.part(RangedMetadata)
            if ranged.is_wanted(link):
                ranged.begin(downloader._session, link, read)
                return
        whole()

    def look_inside(self, link: Any, described: Callable[[bytes], None]) -> None:
        """Read the METADATA of a large wheel while that is on its way."""
        from pipfast_hooks.metadata.ranged import RangedMetadata

        def read(found: Found | None) -> None:
            if found is not None:
                described(found.content)

        ranged = self._run.part(RangedMetadata)
        if ranged.is_sooner(link):
            ranged.begin(self._factory._finder._link_collector.session, link, read)

    def build(self, name: str, link: Any, archive: Path) -> None:
        """Begin to build a source that has arrived."""
        from pipfast_hooks.builds.beside.resolution import Resolution

        self._run.part(Resolution).begin(name, link, archive)
