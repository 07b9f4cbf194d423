"""pip's tracebacks have pip's frames only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.program import add_shim

if TYPE_CHECKING:
    from support.program import Box

# As pip itself raises where an index page's `hashes` is a list.
RAISING = """
import wrapt
@wrapt.when_imported("pip._internal.index.package_finder")
def spoil(module):
    def find(*args, **kwargs):
        try:
            {**[]}
        except TypeError as error:
            raise AttributeError("of a page") from error
    module.PackageFinder.find_best_candidate = find
"""


def test_an_error_of_pips_shows_no_frame_of_ours(box: Box, index_url: str) -> None:
    add_shim(box, RAISING)
    ended = box.pipfast("install", "--index-url", index_url, "seamless")
    assert ended.status == 2
    assert ended.err.count("Traceback (most recent call last)") == 2
    assert "package_finder" in ended.err or "find_best_candidate" in ended.err
    # The shim's own frame is in a file of the environment; `attach.py`, `run.py` … are ours.
    assert "pipfast_hooks" not in ended.err and "wrapt" not in ended.err
