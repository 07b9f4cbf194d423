"""A command's output without speeds, times and random names."""

from __future__ import annotations

import re

# e.g. `   ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 1.0/1.0 MB 50.1 MB/s  0:00:00`
_BAR = re.compile(r"^ *[━╸╺ ]*[━╸╺][━╸╺ ]* *(?P<done>[\d.]+/[\d.]+ [kMG]?B|[\d.]+ [kMG]?B).*$", re.MULTILINE)

# e.g. `     - 1.0 MB 50.1 MB/s 0:00:00`: the size of the file was not known
_SPINNER = re.compile(r"^ *[-\\|/] (?P<done>[\d.]+ [kMG]?B|\d+ bytes) (\? |[\d.]+ [kMG]?B/s ).*$", re.MULTILINE)

# e.g. `Progress 262144 of 1048576`: as many lines as there was time for
_RAW = re.compile(r"(?:^Progress \d+ of \d+\n)*^Progress (?P<done>\d+ of \d+)$", re.MULTILINE)

# e.g. `/tmp/pip-install-x8s_ub1v/demo_…`, `/tmp/pip-ephem-wheel-cache-0kz7e4eg`
_RANDOM_NAME = re.compile(r"\b(pip-[a-z]+(?:-[a-z]+)*-)[a-z0-9_]{8}\b")
_TEMPORARY_FILE = re.compile(r"(/tmp/tmp)[a-z0-9_]{8}\b")

# e.g. `demo_2f3c51d1c0b94cbd8e2a3c3d3c0d9c0b`: an unpacked source
_UNPACKED = re.compile(r"(<random>/[\w.-]+_)[0-9a-f]{32}\b")

# With the legacy resolver a source with an extra is built twice: `Successfully built demo demo`. The folder of the
# second one in the cache is named after a temporary folder.
_TWICE = re.compile(r"^Successfully built (?:\S+ )*(\S+) (?:\S+ )*\1(?: |$)", re.MULTILINE)
_STORED = re.compile(r"(Stored in directory: \S+/wheels/)[0-9a-f]{2}(?:/[0-9a-f]{2}){2}/[0-9a-f]{50}\b")

# e.g. `<pip._internal.metadata.importlib._dists.WheelDistribution object at 0x7fcd3a49f150>`
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

# e.g. `2026-11-23T04:20:32,123 ` at the start of each line of a log
_LOG_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3} ", re.MULTILINE)

# e.g. `␛[2K   ━━━━━━━━━━ 1/2 [demo]`: as many times as there was time for
_REDRAWN = re.compile(r"^.*\x1b\[2K.*\n?", re.MULTILINE)

# e.g. `  File "/env/lib/python3.11/site-packages/pip/_internal/cli/req_command.py", line 162, in wrapper` and
# below it the line of code: a wrapper is a frame more, what was raised is the same
_FRAME = re.compile(r'^ *File "[^"]+", line \d+, in .*\n(?:^ {4,}.*\n)*', re.MULTILINE)

# e.g. `  [Previous line repeated 970 more times]`: fewer where a wrapper is a frame more
_REPEATED = re.compile(r"^ *\[Previous line repeated \d+ more times\]\n", re.MULTILINE)

# e.g. `/env/…/pip/_internal/metadata/importlib/_dists.py:74: DeprecationWarning: Unimplemented abstract methods
# {'locate_file'}` and the line of code: with PYTHONDEVMODE, as often as pip's own code there is run
_PIPS_OWN_AGE = re.compile(r"^/\S*/pip/_\S*:\d+: DeprecationWarning: .*\n(?:^  .*\n?)?", re.MULTILINE)

# e.g. `pipfast: not using the store /x: it belongs to somebody else` and, below it, `hint: chown …`; indented
# where pip shows what a build has printed
_NOTE = re.compile(r"^ *pipfast: .*\n?(?:^ *hint: .*\n?|^  (?:pip|first error|last error): .*\n?)*", re.MULTILINE)

# e.g. `╰─> [5 lines of output]`, notes among them
_COUNT = re.compile(r"\[\d+ lines of output\]")

# e.g. `  doctor                      Show what pipfast does here, and what is wrong.` in pip's list of commands
_OUR_COMMANDS = re.compile(r"^  (?:attach|detach|doctor|shell-hook|store) {10,}\S.*\n", re.MULTILINE)

# e.g. `  --timeline FILE.html        Write a page …` among pip's general options
_OUR_OPTION = re.compile(r"^  --timeline .*\n(?:^ {10,}\S.*\n)*", re.MULTILINE)

# e.g. `pipfast==1.0`, which pipfast leaves out of `freeze`; from a checkout `-e …` and a comment above it
_OURSELVES = re.compile(
    r"^(?:# Editable .*\(pipfast==.*\)\n-e .*|-e \S+#egg=pipfast|pipfast(?:==| @ ).*)\n", re.MULTILINE
)


def normalized(text: str) -> str:
    """Return ``text`` without times, speeds, random names, frames and the module that was run."""
    text = text.replace("-m pipfast", "-m pip")
    text = _OUR_COMMANDS.sub("", text)
    text = _OUR_OPTION.sub("", text)
    text = _OURSELVES.sub("", text)
    text = _REDRAWN.sub("", text)
    text = _COUNT.sub("[lines of output]", text)
    text = _BAR.sub(r"<bar \g<done>>", text)
    text = _SPINNER.sub(r"<bar \g<done>>", text)
    text = _RAW.sub(r"<progress \g<done>>", text)
    text = without_random_names(text)
    text = _TEMPORARY_FILE.sub(r"\1<random>", text)
    text = _UNPACKED.sub(r"\1<random>", text)
    if _TWICE.search(text):
        text = _STORED.sub(r"\1<random>", text)
    text = _ADDRESS.sub("", text)
    text = _FRAME.sub("", text)
    text = _REPEATED.sub("", text)
    text = _PIPS_OWN_AGE.sub("", text)
    return _LOG_TIME.sub("", text)


def without_random_names(text: str) -> str:
    """Return a text or a path without what makes the names of pip's temporary folders unique."""
    return _RANDOM_NAME.sub(r"\1<random>", text)


def without_notes(text: str) -> tuple[str, list[str]]:
    """Take what pipfast says for itself out of what was written to standard error."""
    return _NOTE.sub("", text), [note.strip() for note in _NOTE.findall(text)]
