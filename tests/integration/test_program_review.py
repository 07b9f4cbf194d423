"""What a hostile reading of the program found, each as a user meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.index import Manners, serving
from support.wheels import Wheel

if TYPE_CHECKING:
    from support.program import Box


def test_a_path_for_a_digest(box: Box) -> None:
    """An index that names a file of the user's where the digest belongs does not have it thrown away."""
    precious = box.root / "precious"
    precious.write_text("mine", encoding="utf-8")
    with serving() as server:
        index = server.index().add(Wheel("demo").build(), sha256=str(precious))
        ended = box.pipfast("install", *index.args, "demo")
    assert ended.status == 1 and "DO NOT MATCH THE HASHES" in ended.err
    assert precious.read_text(encoding="utf-8") == "mine"
    assert box.installed() == [] and box.leftovers() == []


def test_without_a_digest_from_pips_cache(box: Box) -> None:
    """A link that says no digest is fetched once, as under pip: the next answer is in pip's own cache."""
    with serving() as server:
        index = server.index("a", Manners(hashes=False, core_metadata=False)).add(Wheel("demo").build())
        outputs = [
            box.pipfast("install", *index.args, "--trusted-host", "127.0.0.1", "--target", f"there-{time}", "demo")
            for time in range(2)
        ]
        asked = [request.path for request in server.requests() if request.path.endswith(".whl")]
    assert [ended.status for ended in outputs] == [0, 0]
    assert len(asked) == 1
    assert "Downloading demo" in outputs[0].out and "Using cached demo" in outputs[1].out
