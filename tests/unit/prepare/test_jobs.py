"""Jobs and answers as lines."""

from __future__ import annotations

import pytest

from pipfast.prepare import jobs
from pipfast.prepare.bytecode import BytecodeKind

DIGEST = 64 * "a"


@pytest.mark.parametrize("job", [
    jobs.Plan(DIGEST, "/a/\udcff.whl", True, "/s", ""),
    jobs.Unpack(DIGEST, "/a", "/s", 1, 2, 3, 1_700_000_000),
    jobs.Seal(DIGEST, "/a", "/s", "/c"),
    jobs.PlanCompile(DIGEST, "0a"),
    jobs.Compile(DIGEST, "", "/s", "/c", 0, 1, 2, 3),
    jobs.SealBytecode(DIGEST, "0a", "/c"),
    jobs.Prove(DIGEST),
    jobs.Mend(DIGEST),
    jobs.Arrange("/f", "hardlink", [DIGEST]),
    jobs.Read([DIGEST]),
], ids=lambda job: type(job).__name__)
def test_a_job_arrives_as_it_was_sent(job: jobs.Job) -> None:
    """One line each, whatever bytes are in a path."""
    line = jobs.encode(job)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    arrived = jobs.decode(line)
    assert arrived == job and type(arrived) is type(job)


@pytest.mark.parametrize("answer", [
    jobs.Done(), jobs.Failed("why\n", vanished=True, number=28), jobs.Shares([[0, 1, 2]], 5),
    jobs.Sources(1, [[0, 1]]), jobs.Unmendable("/p", "is gone"), jobs.Arranged(DIGEST, "0a", ""),
    jobs.Checked(DIGEST, None),
], ids=lambda answer: type(answer).__name__)
def test_an_answer_arrives_as_it_was_sent(answer: jobs.Answer | jobs.Note) -> None:
    arrived = jobs.decode(jobs.encode(answer))
    assert arrived == answer and type(arrived) is type(answer)


@pytest.mark.parametrize("kind", [None, BytecodeKind("cpython-311", "a70d0d0a", 0, "timestamp")])
def test_terms_arrive_as_they_were_sent(kind: BytecodeKind | None) -> None:
    terms = jobs.Terms("/store/\udcff", 0o022, kind)
    assert jobs.decode_terms(jobs.encode(terms)) == terms


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'["Nothing"]', b'["Done", 1]', b"[1]", b"1"])
def test_other_lines_are_no_answers(line: bytes) -> None:
    """A worker that was killed may leave half a line."""
    with pytest.raises((ValueError, TypeError, LookupError)):
        jobs.decode(line)
