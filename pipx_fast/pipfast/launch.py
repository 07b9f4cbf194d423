"""Command line: pip with hooks, pip alone, or our own commands."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipfast import __version__
from pipfast.placement import placed
from pipfast.report import logger, say
from pipfast.settings import SHELL_VARIABLE, Settings

if TYPE_CHECKING:
    from pipfast.commands.facts import Examination
    from pipfast.memo.watch import Watch
    from pipfast.patterns import Patterns

OWN_COMMANDS = MappingProxyType({
    "attach": "Let an environment's own pip run with pipfast.",
    "detach": "Let an environment's own pip run alone again.",
    "doctor": "Show what pipfast does here, and what is wrong.",
    "shell-hook": "Print what makes pip pipfast in a shell.",
    "store": "Look at what pipfast keeps, check it, make it smaller.",
})
"""Commands of pipfast and their lines in pip's help; a pip that has one of that name keeps it.

Each is a module of ``pipfast.commands``, with ``_`` for ``-`` in its name, that has ``parser()``, see
``command_line``, and ``main(arguments, settings, examine)``; that returns the exit code or raises PipfastError."""

_SETTINGS_HINT = "`pipfast doctor -v` lists the settings"

_NOTHING_TO_SHOW = "this command downloads and installs nothing"

_HELP = frozenset(((), ("--help",), ("-h",), ("help",)))
"""Command lines to which pip answers with its general help."""

GC_THRESHOLD = 20_000
"""New containers between two collections of the youngest generation (Python's default: 700).

A command makes a million containers and hardly a cycle: it ends a sixth sooner, with the same peak memory."""


def main(arguments: list[str] | None = None, why: str = "", recording: Watch | None = None) -> int:
    """Run one command line, by default that of this process, and return its exit code.

    :param why: why this Python was chosen, for ``doctor``.
    :param recording: what watches this run, so that its answer can be kept.
    """
    _record_bytecode()
    if arguments is not None:
        return _run(arguments, why, recording)
    gc.set_threshold(GC_THRESHOLD)
    status = _run(sys.argv[1:], why, recording)
    if status == 0 and not sys.flags.dev_mode:
        # The last collection of a process takes 100 ms. After a failure it is needed: a progress bar that an
        # exception left behind prints its last line when it is freed.
        gc.freeze()
    return status


def configured_python() -> str:
    """Return ``python`` of pip's configuration files; empty where there is none, or where they cannot be read."""
    from pipfast_hooks.startup.configuration import read_values

    try:
        return read_values(isolated=False).get("global.python", "")
    except Exception:
        # pip is about to say why.
        return ""


def _record_bytecode() -> None:
    """Let uninstalling pipfast remove what this Python writes beside our modules; pip knows that of our own."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if root not in sys.path or sys.flags.optimize:
        from pipfast.targets.own_record import record_folders

        record_folders()


def _run(arguments: list[str], why: str, recording: Watch | None) -> int:
    settings = placed(Settings.from_environ(os.environ), arguments, os.environ)
    patterns = _patterns(settings)
    try:
        return _run_with(settings, arguments, patterns, why, recording)
    finally:
        if patterns is not None:
            patterns.detach()


def _patterns(settings: Settings) -> Patterns | None:
    """Return the stored regular expressions, attached: importing pip compiles 200 of them."""
    if not settings.enabled or "program" in settings.disabled:
        return None
    try:
        from pipfast.patterns import Patterns
        from pipfast.store.folder import default_root

        patterns = Patterns(settings.store or default_root())
        patterns.attach()
    except Exception as error:
        logger.debug("pipfast: patterns are compiled: %r", error)
        return None
    return patterns


def _run_with(
    settings: Settings, arguments: list[str], patterns: Patterns | None, why: str, recording: Watch | None
) -> int:
    from pipfast_hooks import pip_main
    from pipfast_hooks.startup import program

    if settings.enabled:
        program.name_program()
    own = [name for name in OWN_COMMANDS if not pip_main.has_command(name)]
    arguments, page = pip_main.take_timeline(arguments, own)
    command = pip_main.command_among(own, arguments)
    if command is not None:
        _say_no_page(page, _NOTHING_TO_SHOW)
        return _own_command(*command, pip_main.configured(settings, arguments), why)
    os.environ.pop(SHELL_VARIABLE, None)
    if not settings.enabled:
        _say_no_page(page, "pip runs alone")
        return pip_main.run_pip(arguments)
    pip_main.add_commands({name: OWN_COMMANDS[name] for name in own})
    if arguments in (["--version"], ["-V"]):
        return _version(arguments)
    needs_hooks = pip_main.needs_hooks(arguments)
    if needs_hooks or pip_main.may_ask(arguments):
        settings = pip_main.configured(settings, arguments)
    if not needs_hooks:
        _say_no_page(page, _NOTHING_TO_SHOW)
        # Without a network it has hooks all the same.
        page, settings = None, replace(settings, timeline=None)
    elif recording is not None:
        pip_main.heed(recording, settings)
    if not needs_hooks and (settings.offline == "off" or not pip_main.may_ask(arguments)):
        if tuple(arguments) in _HELP:
            pip_main.show_timeline()
        if "freeze" in arguments and pip_main.configured(settings, arguments).enabled:
            pip_main.leave_us_out_of_freeze()
        pip_main.defer_modules()
        return pip_main.run_pip(arguments)
    if not settings.enabled:
        _say_no_page(page, "pip runs alone")
        return pip_main.run_pip(arguments)
    if page is not None:
        settings = replace(settings, timeline=Path(page).absolute())
    if settings.offline == "only":
        from pipfast.system.unconnected import refuse_connections

        # Whatever becomes of our seams.
        refuse_connections()
        settings = replace(settings, remote=None)
    _say_problems(settings)
    if not _has_what_it_needs(arguments):
        _say_no_page(page, "pip runs alone")
        if patterns is not None:
            patterns.detach()
        return pip_main.run_pip(arguments)
    with ExitStack() as ending:
        try:
            from pipfast.system.limits import narrowed

            pip_main.hook(narrowed(settings), ending, arguments, patterns, recording)
        except Exception as error:
            say(f"pip runs alone: pipfast cannot attach to it ({error!r})", "`pipfast doctor` shows why")
            ending.close()
        return pip_main.run_pip(arguments)


def _say_no_page(page: str | None, why: str) -> None:
    if page is not None:
        say(f"no timeline is written: {why}")


def _say_problems(settings: Settings) -> None:
    for number, problem in enumerate(settings.problems, 1):
        say(problem, _SETTINGS_HINT if number == len(settings.problems) else None)


def _has_what_it_needs(arguments: list[str]) -> bool:
    """Tell whether the libraries that we need can be used; print a message if not."""
    from pipfast import dependencies
    from pipfast_hooks import pip_main

    found = pip_main.unusable_libraries()
    if found and not any(each == "--quiet" or each.startswith("-q") for each in arguments):
        say(f"pip runs alone: {'; '.join(map(str, found))}", dependencies.HINT)
    return not found


def _version(arguments: list[str]) -> int:
    """Print pip's line, which programs read, and on a terminal a line of ours."""
    from pipfast_hooks import pip_main

    try:
        status = pip_main.run_pip(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stdout.flush()
        sys.stderr.write(f"pipfast {__version__} from {os.path.dirname(__file__)}\n")
    return status


def _own_command(name: str, arguments: list[str], settings: Settings, why: str) -> int:
    """Run a command of ours; if standard output is closed early, it ends as pip's commands do."""
    from pipfast.commands.command_line import run

    command = import_module(f"pipfast.commands.{name.replace('-', '_')}")
    try:
        status = run(command.main, arguments, settings, partial(_examine, why))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The interpreter would write the rest of the buffer at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write("ERROR: Pipe to stdout was broken\n")
        return 1


def _examine(why: str, settings: Settings) -> Examination:
    from pipfast_hooks.doctor import examine

    return replace(examine(settings), why=why)
