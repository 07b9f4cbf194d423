"""One run, its parts and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast.settings import Settings
from pipfast_hooks.run import END_S, Part, Run, begin_run, end_run
from support.program import add_shim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.program import Box


@pytest.fixture
def run() -> Iterator[Run]:
    yield begin_run(Settings.from_environ({}))
    end_run()


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_an_interrupt_while_all_is_closed(
    run: Run, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Somebody who holds Ctrl-C down gets no traceback of ours; what was under way is closed all the same."""
    calls = []

    def close(self: Run) -> None:
        calls.append(self)
        if len(calls) <= times:
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "close", close)
    end_run()
    assert len(calls) == min(times + 1, 2)


def test_what_fails_at_its_end_keeps_nothing_else_from_its_own(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes after it ends, and what is to be said is said."""
    ended = []

    class Older(Part):
        def close(self, wait_s: float) -> None:
            ended.append("older")

    class Failing(Part):
        def close(self, wait_s: float) -> None:
            raise ValueError("cannot end")

    run.part(Older), run.part(Failing)
    run.say_at_end("the last word")
    run.close()
    assert ended == ["older"]
    assert "the last word" in capsys.readouterr().err


def test_a_part_that_is_ended_early_is_made_anew(run: Run) -> None:
    """It ends once, at once; who asks for it afterwards gets another one."""
    ended = []

    class Early(Part):
        def close(self, wait_s: float) -> None:
            ended.append(self)

    run.end_part(Early)
    first = run.part(Early)
    run.end_part(Early)
    assert ended == [first]
    assert run.find(Early) is None
    assert run.part(Early) is not first


def test_all_are_told_to_end_before_any_is_waited_for(run: Run) -> None:
    """Whoever pressed Ctrl-C waits for all together, and not for one after another."""
    told: list[tuple[str, float]] = []

    class First(Part):
        def stop(self) -> None:
            told.append((type(self).__name__, 0.0))

        def close(self, wait_s: float) -> None:
            told.append((type(self).__name__, wait_s))

    class Second(First):
        pass

    run.part(First), run.part(Second)
    run.close()
    assert [name for name, _ in told] == ["Second", "First"] * 2
    assert [wait_s for _, wait_s in told[:2]] == [0.0] * 2
    assert all(0.0 < wait_s <= END_S for _, wait_s in told[2:])


def test_an_older_part_that_leans_on_a_younger_one_ends_before_it(run: Run) -> None:
    """Whoever sends through something else ends first, whenever the other was made."""
    ended = []

    class Older(Part):
        def close(self, wait_s: float) -> None:
            ended.append(type(self))

    class Younger(Older):
        pass

    older = run.part(Older)
    younger = run.lean(Older, Younger)
    assert run.lean(Older, Younger) is younger and run.part(Younger) is younger
    assert run.part(Older) is older
    run.close()
    assert ended == [Older, Younger]


def test_what_is_made_while_the_others_end_ends_as_well(run: Run) -> None:
    """A thread may come to it just then."""
    ended = []

    class Late(Part):
        def close(self, wait_s: float) -> None:
            ended.append("late")

    class First(Part):
        def close(self, wait_s: float) -> None:
            run.part(Late)

    run.part(First)
    run.close()
    assert ended == ["late"]
    assert run.find(Late) is None


NO_ROOM = """
import tempfile
stock = tempfile.mkdtemp
def mkdtemp(suffix=None, prefix=None, dir=None):
    if dir is not None and str(dir).endswith("store/tmp"):
        raise OSError(28, "No space left on device", str(dir))
    return stock(suffix, prefix, dir)
tempfile.mkdtemp = mkdtemp
"""


def test_downloads_go_elsewhere_where_the_store_has_no_room(box: Box, index_url: str) -> None:
    """They come in parallel into the system's temporary folder; nothing is left there."""
    add_shim(box, NO_ROOM)
    log = box.root / "log"
    ended = box.pipfast("install", "--log", str(log), "--index-url", index_url, "seamless")
    assert (ended.status, ended.err) == (0, "")
    text = log.read_text(encoding="utf-8")
    assert "downloads do not go to" in text
    assert "left to pip" not in text
    assert box.leftovers() == []
