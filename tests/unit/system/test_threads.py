"""Threads that the system refuses."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.system import threads

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let only so many threads be alive beside those that there are now."""
    name = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
    start = getattr(threading, name)

    def at_most(most: int) -> None:
        alive = [0]

        def limited(function: Callable[..., Any], *more: Any, **further: Any) -> Any:
            if alive[0] >= most:
                raise RuntimeError("can't start new thread")
            alive[0] += 1

            def counted(*arguments: Any) -> None:
                try:
                    function(*arguments)
                finally:
                    alive[0] -= 1

            return start(counted, *more, **further)

        monkeypatch.setattr(threading, name, limited)

    return at_most


@pytest.mark.parametrize("most", [0, 1])
def test_the_last_thread_is_left_to_pip(refuse: Callable[[int], None], most: int) -> None:
    """Where none, or one, can be started nothing is called; the one can be started afterwards."""
    refuse(most)
    called: list[int] = []
    assert threads.start(lambda: called.append(1), "test") is None
    assert called == []
    if most:
        thread = threading.Thread(target=lambda: called.append(2))
        thread.start()
        thread.join()
        assert called == [2]


def test_calls_without_a_thread_are_made_by_who_asks(refuse: Callable[[int], None]) -> None:
    """A pool that gets no thread makes each call once, where its result is asked for."""
    refuse(0)
    made: list[int] = []
    pool = threads.Pool(2, "test")
    task = pool.submit(lambda: made.append(threading.get_ident()))
    broken = pool.submit(lambda: 1 // 0)
    assert made == []
    task.result(), task.result()
    assert made == [threading.get_ident()]
    with pytest.raises(ZeroDivisionError):
        broken.result()
    pool.close(0.0)


def test_a_pool_goes_on_with_the_threads_it_has(refuse: Callable[[int], None]) -> None:
    """One of five threads is enough for all calls."""
    refuse(2)
    pool = threads.Pool(5, "test")
    tasks = [pool.submit(threading.get_ident) for _ in range(5)]
    assert len({task.result(20) for task in tasks} - {threading.get_ident()}) == 1
    pool.close(20.0)


def test_a_closed_pool_waits_for_no_call_that_has_not_begun() -> None:
    """What is queued is cancelled; what is under way is not waited for longer than was said."""
    begun, go_on = threading.Event(), threading.Event()
    pool = threads.Pool(1, "test")

    def wait() -> bool:
        begun.set()
        return go_on.wait(20)

    first = pool.submit(wait)
    second = pool.submit(lambda: None)
    assert begun.wait(20)
    pool.close(0.0)
    assert second.cancelled()
    assert not first.done()
    with pytest.raises(RuntimeError, match="have ended"):
        pool.submit(lambda: None)
    go_on.set()
    assert first.result(20)


def test_ctrl_c_cannot_leave_a_lock_taken() -> None:
    """``with`` calls the lock's own methods: KeyboardInterrupt comes between two steps of Python code only."""
    changed = threads.Condition(threading.Lock())
    for name in ("__enter__", "__exit__"):
        method = getattr(threads.Condition, name).__get__(changed)
        assert inspect.isbuiltin(method) and method.__self__ is vars(changed)["_lock"]
    with changed:
        assert not changed.wait(0.001) and vars(changed)["_lock"].locked()
    assert not vars(changed)["_lock"].locked()
