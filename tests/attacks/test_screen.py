"""What others name moves no cursor, sets no title and forges no message of ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support.sources import archive, source
from support.wheels import Wheel, sdist_of

if TYPE_CHECKING:
    from support.index import Server
    from support.program import Box, Ended
pytestmark = pytest.mark.slow

ESCAPES = "\x1b[2J\x1b]0;taken\x07\x9b31m\r\b\u202e\u2066"
"""Erases the screen, sets the title, a colour in one character, goes back; turns the rest of the line round."""

FORGED = f"evil{ESCAPES}\nERROR: forged\nhint: forged\npipfast: forged"

_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def obeyed(text: str) -> list[str]:
    """Return the lines with a character that a terminal obeys, or that looks like a message and is none."""
    return [line for line in text.splitlines() if _OBEYED.search(line) or re.match(r"(\w+: )?forged", line)]


def of_ours(ours: Ended, stock: Ended) -> str:
    """Return what pipfast has written and stock pip has not, but for the output of builds, which pip indents."""
    theirs = set((stock.out + stock.err).split("\n"))
    lines = (ours.out + ours.err).split("\n")
    return "\n".join(line for line in lines if line not in theirs and not line.startswith(6 * " "))


RAISED = f"raise ModuleNotFoundError('No module named ' + repr({FORGED!r}), name={FORGED!r})\n"
SOUGHT = f"""
import importlib.util
try:
    importlib.util.find_spec({FORGED!r})
except Exception:
    pass
"""
ASKED_FOR = f"""
class DistributionNotFound(Exception):
    pass
raise DistributionNotFound("The '" + {FORGED!r} + "' distribution was not found and is required by x")
"""

BUILDS = {
    "a module that is raised": RAISED,
    "a module that was looked for": SOUGHT + RAISED,
    "a module by another name": f"{SOUGHT}raise ModuleNotFoundError(\"No module named 'x'\", name={FORGED!r})\n",
    "a distribution": ASKED_FOR,
    "metadata": f"from importlib import metadata\nraise metadata.PackageNotFoundError({FORGED!r})\n",
    "its last line": f"import torch\nprint({FORGED!r})\nraise SystemExit({FORGED!r})\n",
}


@pytest.mark.parametrize("build", BUILDS)
def test_what_a_build_misses(box: Box, host: Server, build: str) -> None:
    """Names of modules and distributions, and errors, are a build script's own words."""
    index = host.index().add(
        Wheel("torch", files={"torch.py": ""}).build(), archive("loud", scripts={"requires": BUILDS[build]}),
    )
    arguments = ("install", "--dry-run", *index.args, "torch", "loud")
    ours, stock = box.pipfast(*arguments), box.pip(*arguments)
    assert (ours.status, stock.status) == (1, 1)
    assert not obeyed(of_ours(ours, stock)), ours.err


def test_package_that_names_itself(box: Box, host: Server) -> None:
    """A source that comes without a name has the one in its own files, where that is a name."""
    tree = source("plain", scripts={"requires": "import strange\n"})
    named = 'x: evil @ https://evil.test/x.whl#'
    tree["pyproject.toml"] += f"[project]\nname = {named!r}\nversion = '1'\n".encode()
    tree["PKG-INFO"] = f"Name: {ESCAPES}\nVersion: 1\n".replace("\r", "").encode()
    address = host.file("plain.tar.gz", sdist_of("plain", "1.0", tree).data)
    arguments = ("install", "--dry-run", "--no-index", address)
    ours, stock = box.pipfast(*arguments), box.pip(*arguments)
    assert (ours.status, stock.status) == (1, 1)
    assert "imports strange without declaring it" in ours.err
    assert "evil" not in ours.err.partition("imports strange")[2]
    assert not obeyed(of_ours(ours, stock)), ours.err


def test_names_of_stored_archives(box: Box, host: Server) -> None:
    """An address may have any characters; what it ends with is the name of the stored archive."""
    plain = Wheel("demo").build()
    name = f"demo-1.0-1{ESCAPES}-py3-none-any.whl"
    quoted = "".join(f"%{byte:02x}" for byte in name.encode())
    host.file(name, plain.data)
    ended = box.pipfast("install", "--no-index", f"demo @ {host.url}/{quoted}")
    source = sdist_of("other", "1.0", source_of("other"))
    host.file(f"other{ESCAPES}.tar.gz", source.data)
    quoted = "".join(f"%{byte:02x}" for byte in f"other{ESCAPES}.tar.gz".encode())
    ended = box.pipfast("install", "--no-index", f"other @ {host.url}/{quoted}")
    assert ended.status == 0, ended.err
    for path in box.store.glob("archives-v0/*/*/bytes"):
        path.chmod(0o600)
        path.write_bytes(b"damaged")
    told = [box.pipfast("store", "list"), box.pipfast("doctor", "-v"), box.pipfast("store", "verify", "--dry-run")]
    assert "taken" in told[0].out
    again = box.pipfast("install", "--force-reinstall", "--no-index", f"other @ {host.url}/{quoted}")
    assert "is thrown away" in again.err
    assert not [line for each in told for line in obeyed(each.out + each.err)]
    assert not [line for line in obeyed(again.err) if line.startswith(("pipfast", "hint"))]


def source_of(name: str) -> dict[str, bytes]:
    return source(name, scripts={})


