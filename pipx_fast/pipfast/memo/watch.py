"""Watch over a run, and first time that a question is asked.

A question that is asked once, as by a job in a fresh container, would pay for what nobody uses: that it was asked
is noted, and it is watched when it comes again.
"""

from __future__ import annotations

import os

from pipfast.memo.entry import path_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipfast.memo.again.installation import Placed
    from pipfast.memo.question import Question
    from pipfast.settings import Settings

ASKED = b"asked"
"""A note without an answer: the question was asked."""

MOST_IN_A_FOLDER = 8
"""Notes in one of the bucket's 256 folders: 2,000 in all, of some 30 to 300 kB each where they are answers."""


class Watch:
    """Hears what a run tells of itself; it watches nothing.

    :param store: the folder of the store, as the environment alone tells it.
    """

    def __init__(self, store: str) -> None:
        self.store = store
        self.objection = "it ended before its configuration was read"
        """Why nothing is to be kept; empty: nothing is known against it."""
        self.is_proof = False
        """The configuration asks for proof."""
        self.has_installed = False
        """Wheels were placed from the store."""

    def heed(self, settings: Settings, servers_answers: str, self_check: str) -> None:
        """Take what is known once the configuration is read; a run in which nobody says it is not kept.

        :param servers_answers: pattern of paths of what servers have said.
        :param self_check: part of the path of a JSON file with the time, ``last_check``, of a weekly question.
        """
        # From pip 26.3 on nothing can be imported when it has installed something.
        from pipfast.store import layout, notes  # noqa: F401
        from pipfast.store.folder import default_root

        self.objection = ""
        if not settings.enabled or "memo" in settings.disabled:
            self.object_to("it is switched off")
        if os.fspath(settings.store or default_root()) != self.store:
            self.object_to("the store is elsewhere")
        if settings.timings or settings.timeline:
            self.object_to("its times are wanted")
        self.is_proof = settings.memo == "verify"

    def object_to(self, why: str) -> None:
        """Note why nothing is to be kept: the first reason counts."""
        self.objection = self.objection or why

    def note_request(self) -> None:
        """Note that a server is asked."""

    def note_fresh(self, paths: Iterable[str], until: float) -> None:
        """Note that pip takes what is in these files for a server's answer.

        :param until: seconds since the epoch after which it asks; infinite: it is what a fresh answer says it is.
        """

    def note_archive(self) -> None:
        """Note that an archive is taken out of the store, whose digest an index page tells."""

    def begin_installing(self) -> None:
        """Note that pip has decided: what it reads from now on it has written, or it is in the wheels."""
    def note_wheel(self, wheel: Placed) -> None:
        """Note a wheel that was placed from the store."""
        self.has_installed = True

    def look_away(self) -> None:
        """Begin what has no part in the answer, in this thread."""

    def look_back(self) -> None:
        """End what ``look_away`` began."""


class unwatched:  # one reads `with unwatched(recording)`
    """Context of what has no part in an answer, or is noted in another way.

    What matters to requests only, such as the words in which pip presents itself to a server: a run with a request
    is not kept. Our own processes. Wheels that are placed from the store.
    """

    __slots__ = ("_watch",)

    def __init__(self, watch: Watch | None) -> None:
        self._watch = watch

    def __enter__(self) -> None:
        """Begin."""
        if self._watch is not None:
            self._watch.look_away()

    def __exit__(self, *error: object) -> None:
        """End."""
        if self._watch is not None:
            self._watch.look_back()


def was_asked(store: str, question: Question) -> bool:
    """Tell whether a question was asked before in these words: of this environment, or of another one."""
    return any(os.path.exists(path_in(store, key)) for key in (question.key, question.key_of_any) if key)


def noted(question: Question, store: str, run: Callable[[Watch | None], int], why: str) -> int:
    """Run pip, and note that this question was asked if it has come to a good end; return the exit code.

    :param why: why no kept answer was given, for the debug log.
    """
    watch = Watch(store)
    status: object = None
    try:
        status = run(watch)
        return status
    except SystemExit as end:
        status = end.code or 0
        raise
    finally:
        if status == 0:
            _note(watch, question, why)


def _note(watch: Watch, question: Question, why: str) -> None:
    from pipfast.report import logger

    logger.debug("pipfast: no kept answer was given: %s", why)
    try:
        if watch.objection:
            logger.debug("pipfast: this question is not noted: %s", watch.objection)
            return
        logger.debug("pipfast: this answer is not kept: it is the first time that this is asked")
        keep(watch.store, question.key, ASKED)
        if (watch.has_installed or question.is_dry_run) and question.key_of_any:
            keep(watch.store, question.key_of_any, ASKED)
    except Exception:
        logger.debug("pipfast: this question is not noted", exc_info=True)


def keep(store: str, key: str, payload: bytes) -> None:
    """Keep what is known of a question; OSError: it cannot be kept."""
    from pathlib import Path

    from pipfast.store.folder import is_usable
    from pipfast.store.layout import Layout
    from pipfast.store.names import MEMO
    from pipfast.store.notes import write_note

    root = Path(store)
    if not is_usable(root):
        return
    layout, path = Layout(root), Path(path_in(store, key))
    if path.is_dir() and not path.is_symlink():
        layout.discard(path)
    _make_room(path.parent)
    write_note(layout, MEMO, key, payload)


def _make_room(folder: Path) -> None:
    """Remove what was not used for longest: a job with a number of its own in a variable asks once."""
    try:
        found = sorted((each.stat(follow_symlinks=False).st_mtime, each.path) for each in os.scandir(folder))
    except OSError:
        return
    for _, path in found[: max(0, len(found) - MOST_IN_A_FOLDER + 1)]:
        try:
            os.unlink(path)
        except OSError:
            continue
