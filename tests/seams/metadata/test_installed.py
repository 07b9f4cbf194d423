"""Requirements of installed distributions: read once, and exactly as pip reads them."""

from __future__ import annotations

import email
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from pipfast.settings import Settings
from pipfast_hooks.call import Call

if TYPE_CHECKING:
    from pathlib import Path

    from support.program import Box

TEXTS = {
    "plain": "Name: a\nRequires-Dist: b>1\nRequires-Dist: c; extra == 'x'\n\nRequires-Dist: body\n",
    "no-body": "Name: a\nrequires-DIST:b\n",
    "no-requirements": "Name: a\n\nbody\n",
    "spaces": "Requires-Dist: \t b  \nX: y\n\n",
    "folded-elsewhere": "Name: a\nLicense: x\n  y\n        |z\nRequires-Dist: b\n\n",
    "folded-here": "Requires-Dist: b\n  ;extra == 'x'\n\n",
    "no-header": "nothing of the sort\nRequires-Dist: b\n\n",
    "no-colon": "Name: a\nbody begins\nRequires-Dist: b\n\n",
    "from-line": "From somebody\nRequires-Dist: b\n\n",
    "blank-first": "\nRequires-Dist: b\n",
    "blank-with-spaces": "Name: a\n   \nRequires-Dist: b\n\n",
    "carriage-return": "Name: a\rRequires-Dist: b\n\n",
    "not-ascii": "Requires-Dist: \u00fc\n\n",
    "not-ascii-elsewhere": "Author: \u00fc \u2028 x\nRequires-Dist: b\n\n",
    "empty-value": "Requires-Dist:\nRequires-Dist: b\n\n",
    "space-before-colon": "Requires-Dist : b\n\n",
    "multipart": "Content-Type: multipart/mixed; boundary=x\nRequires-Dist: b\n\n--x\nRequires-Dist: c\n\n--x--\n",
    "empty": "",
}
CERTAIN = ("plain", "no-body", "no-requirements", "spaces", "folded-elsewhere", "not-ascii-elsewhere")


@pytest.mark.parametrize("name", TEXTS)
def test_requirements_are_those_of_the_email_package(name: str) -> None:
    """What is read from the header is what pip would get; what is not plain is left to pip."""
    from pipfast_hooks.metadata.installed import parse_requires

    found = parse_requires(TEXTS[name])
    if name in CERTAIN:
        assert found is not None
    if found is not None:
        parsed = email.message_from_string(TEXTS[name]).get_all("Requires-Dist", [])
        assert [each.strip() for each in found] == [each.strip() for each in parsed]


@pytest.mark.parametrize(("text", "skipped"), [
    ("sphinx; extra == 'docs'", True),
    ("sphinx-x.y[a,b-c]>=7,!=7.1, ~=7.2.1 ;extra=='docs'", True),
    ('sphinx >7 ; extra == "docs-2"', True),
    ("sphinx>=7,; extra == 'docs'", False),
    ("sphinx>=7<8; extra == 'docs'", False),
    ("sphinx[-x]; extra == 'docs'", False),
    ("sphinx", False),
    ("sphinx; extra != 'docs'", False),
    ("sphinx; extra == ''", False),
    ("sphinx; extra == 'docs' or python_version > '3'", False),
    ("sphinx (>=7; extra == 'docs'", False),
    ("sphinx ~=7; extra == 'docs'", False),
    ("sphinx >7.*; extra == 'docs'", False),
    ("sphinx- ; extra == 'docs'", False),
    ("sphinx @ file:///x ; extra == 'docs'", False),
    ("sphinx ; extra == 'docs\"", False),
])
def test_only_what_no_extra_can_mean_is_skipped(text: str, skipped: bool) -> None:
    """A requirement that is not shown to pip is one that pip parses, and does not want without an extra."""
    from pipfast_hooks.metadata.installed import OF_AN_EXTRA

    assert bool(OF_AN_EXTRA.fullmatch(text)) is skipped
    if skipped:
        marker = Requirement(text).marker
        assert marker is not None and not marker.evaluate({"extra": ""})


ODD = {
    "plain": {"METADATA": "Requires-Dist: b>1\nRequires-Dist: c[d] ; extra == 'x'\nAuthor: a\n\nbody\n"},
    "extras": {"METADATA": "Requires-Dist: b; extra == 'x'\nRequires-Dist: c; extra == 'y'\nRequires-Dist: d\n"},
    "none": {"METADATA": "\n"},
    "nothing": {"METADATA": ""},
    "no-metadata": {"INSTALLER": "pip\n"},
    "folded": {"METADATA": "Requires-Dist: b\n  ; extra == 'x'\n\n"},
    "legacy": {"METADATA": "License: x\n", "requires.txt": "b\n\n[x]\nc\n"},
    "broken": {"METADATA": "Requires-Dist: b\nRequires-Dist: !\n"},
}
"""Files of the .dist-info folder by project; all but the first line or two of METADATA."""

LOOK = """
import json, os, sys, time, pip
from pipfast.settings import Settings
from pipfast_hooks.attach import Hooks
import pip._internal.commands.install
from pip._internal.metadata import get_default_environment

def look():
    found = {}
    for dist in get_default_environment().iter_installed_distributions(local_only=False, skip=()):
        for extras in ((), ("x",), ("x", "y")):
            for _ in range(2):
                seen = found.setdefault(f"{dist.canonical_name}{extras}", [])
                try:
                    for each in dist.iter_dependencies(extras):
                        seen.append(str(each))
                except Exception as error:
                    seen.append(type(error).__name__)
        try:
            found[f"{dist.canonical_name} metadata"] = [dist.raw_name, dist.metadata.get_payload()]
        except Exception as error:
            found[f"{dist.canonical_name} metadata"] = [repr(error)]
    return found

# The older backend remembers what it failed on.
look()
before = look()
hooks = Hooks(Settings(), pip.__version__)
hooks.apply()
during = look()
path = os.path.join(sys.argv[1], "plain-1.0.dist-info", "METADATA")
with open(path, encoding="utf-8") as file:
    text = file.read()
with open(path, "w", encoding="utf-8") as file:
    file.write(text.replace("Requires-Dist: b>1", "Requires-Dist: z>1"))
changed = look()
hooks.undo()
remembers = "pkg_resources" in type(get_default_environment()).__module__
print(json.dumps([before, during, changed, look(), remembers]))
"""


def test_every_reader_sees_what_pip_sees(box: Box) -> None:
    """With the hooks and without, requirements and metadata are the same, also after a change."""
    for name, files in ODD.items():
        folder = box.site_packages / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        for file, text in files.items():
            begin = f"Name: {name}\nVersion: 1.0\n" if file == "METADATA" and text else ""
            (folder / file).write_text(begin + text, "utf-8")
    ended = box.run("-c", LOOK, str(box.site_packages))
    assert ended.status == 0, ended.err
    before, during, changed, after, remembers = json.loads(ended.out)
    assert "broken()" in before
    assert during == before
    assert changed == after
    assert remembers or before["plain()"] != changed["plain()"]


def test_wheel_is_read_once_more_only_where_it_has_changed(tmp_path: Path) -> None:
    """The second to ask is given what the first was; the third, or one after a change, has it read."""
    from pipfast_hooks.metadata import installed
    from pipfast_hooks.run import begin_run, current_run, end_run
    from pipfast_hooks.storage import Aim, Intent

    wheel = tmp_path / "a-1.0-py3-none-any.whl"
    wheel.write_bytes(b"one")
    asked = SimpleNamespace(req=SimpleNamespace(local_file_path=str(wheel), name="a"))
    read: list[object] = []
    version = "1.0"

    def ask() -> object:
        def wrapped() -> object:
            read.append(SimpleNamespace(read_text=lambda name: f"Wheel-Version: {version}\n"))
            return read[-1]

        return installed._around_get_metadata_distribution(Call(wrapped, asked, (), {}, {}))

    try:
        begin_run(Settings()).intent = Intent(Aim.INSTALL)
        assert ask() is ask()
        assert len(read) == 1
        ask()
        wheel.write_bytes(b"other")
        assert ask() is read[-1]
        assert len(read) == 3
        version = "1.9"
        ask()
        assert ask() is not ask(), "pip warns each time"
        version = "1.0"
        current_run().intent = Intent()
        assert ask() is not ask()
    finally:
        end_run()
