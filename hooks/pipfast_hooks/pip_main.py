"""pip's entry point, commands, version; attachment to it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from pipfast.dependencies import Unusable
    from pipfast.memo.watch import Watch
    from pipfast.patterns import Patterns
    from pipfast.settings import Settings
    from pipfast_hooks.attach import Hooks
    from pipfast_hooks.run import Run

HOOKED_COMMANDS = frozenset({"install", "download", "wheel", "lock"})
"""The commands that download or install; pipfast has nothing to do for others."""


def run_pip(arguments: list[str]) -> int:
    """Run pip's command line in this process, as its own console script does; return its exit code."""
    from pip._internal.cli import main as module

    # From 26.3 the command line has an entry of its own, which blocks imports until the process ends.
    entry: Any = getattr(module, "cli", None) or module.main
    status = entry(arguments)
    return int(status) if status is not None else 0


def has_command(name: str) -> bool:
    """Tell whether this pip has a subcommand of that name."""
    from pip._internal.commands import commands_dict

    return name in commands_dict


def add_commands(summaries: Mapping[str, str]) -> None:
    """Put these commands into pip's help and completion; pip never runs them."""
    from pip._internal.commands import CommandInfo, commands_dict

    for name, summary in summaries.items():
        commands_dict[name] = CommandInfo("pipfast_hooks.startup.own_command", "OwnCommand", summary)


def take_timeline(arguments: list[str], own: Sequence[str]) -> tuple[list[str], str | None]:
    """Return a command line without our option ``--timeline``, and its value; None if it has none.

    :param own: the names of our own commands.
    """
    # Another name may only begin with it: pip's to say.
    if not any(each.partition("=")[0] == "--timeline" for each in arguments):
        return arguments, None
    from pipfast_hooks.startup import timeline

    return timeline.take(arguments, own)


def show_timeline() -> None:
    """Have pip's help list our option ``--timeline``."""
    from pipfast_hooks.startup import timeline

    timeline.show_in_help()


def command_among(names: Sequence[str], arguments: list[str]) -> tuple[str, list[str]] | None:
    """Return which of these commands a command line names behind pip's global options, and its arguments."""
    if arguments and arguments[0] in names:
        from pipfast.targets.asked import may_be_told

        if not may_be_told(os.environ):
            return arguments[0], arguments[1:]
    if not set(names).isdisjoint(arguments):
        from pipfast_hooks.startup import own_command

        return own_command.split(names, arguments)
    return None


def configured(settings: Settings, arguments: list[str]) -> Settings:
    """Return the settings, completed from pip's configuration files."""
    from pipfast_hooks.startup import configuration

    return configuration.configured(settings, arguments)


def heed(recording: Watch, settings: Settings) -> None:
    """Tell a recording what the configuration says, and where pip notes what holds for a time only."""
    from pipfast_hooks.seams import SELF_CHECK, SERVERS_ANSWERS

    recording.heed(settings, SERVERS_ANSWERS, SELF_CHECK)


def hook(
    settings: Settings, ending: ExitStack, arguments: Sequence[str] = (), patterns: Patterns | None = None,
    recording: Watch | None = None,
) -> Hooks:
    """Attach to this process's pip.

    :param ending: gets callbacks that end the run. A command ends it itself, unless its seam is stock or pip never
        came to it.
    :param arguments: the command line that is going to be run, if that is known.
    :param patterns: what notes regular expressions, if anything does.
    :param recording: what watches the run, if anything does.
    """
    from pipfast_hooks.attach import Hooks
    from pipfast_hooks.command import Start
    from pipfast_hooks.run import begin_run, end_run
    from pipfast_hooks.startup import deferred

    hooks = Hooks(settings, pip.__version__)
    _hide_secrets(settings, ending)
    run = begin_run(settings, arguments)
    run.recording = recording
    ending.callback(end_run)
    ending.callback(deferred.stop)
    start = run.part(Start)
    start.patterns = patterns
    start.expect(arguments)
    if settings.offline != "off":
        # After what is expected of a command line, which goes by pip's variables. Children find them, too.
        os.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    if settings.offline == "only":
        os.environ["PIP_RETRIES"] = "0"
    hooks.apply()
    note_newer_pip(run)
    if "program" not in settings.disabled:
        defer_modules()
        if any(state.seam.wrapper.startswith("startup.agent:") for state in hooks.states):
            from pipfast_hooks.startup.agent import Agent

            # It starts the programs.
            run.part(Agent)
    return hooks


def _hide_secrets(settings: Settings, ending: ExitStack) -> None:
    """Take the team's key and the address of its store from the variables, which every build gets."""
    if settings.remote is None and settings.remote_key is None:
        return
    import os

    for name in ("PIPFAST_REMOTE", "PIPFAST_REMOTE_KEY"):
        if (value := os.environ.pop(name, None)) is not None:
            ending.callback(os.environ.__setitem__, name, value)


def note_newer_pip(run: Run) -> None:
    """Note to say that this pip is newer than any tested: it installs by itself then."""
    from pipfast_hooks.seams import is_newer_than_tested, newest_tested

    if is_newer_than_tested(pip.__version__):
        run.say_daily(
            f"pip {pip.__version__} is newer than {newest_tested()}, the newest tested: it installs by itself",
            "a newer pipfast may know it; `pipfast doctor` shows what runs",
        )


def unusable_libraries() -> list[Unusable]:
    """Load the libraries that hooks need, and return what is wrong with them."""
    from pipfast import dependencies
    from pipfast_hooks.startup import deferred

    # wrapt imports asyncio (10 ms) for coroutine decorators, which pip never uses.
    with deferred.without(("asyncio",)):
        return dependencies.problems()


def defer_modules() -> None:
    """Make lazy the modules that pip imports for rare events."""
    from pipfast_hooks.seams import DEFERRED, can_defer
    from pipfast_hooks.startup import deferred

    if can_defer(pip.__version__):
        deferred.defer(DEFERRED)


def leave_us_out_of_freeze() -> None:
    """Have ``freeze`` leave out pipfast, as it leaves out pip."""
    from pipfast_hooks.startup import freeze

    freeze.leave_us_out()


ASKING_COMMANDS = frozenset({"index", "list", "search", "uninstall"})
"""Other commands that may ask a server."""


def may_ask(arguments: list[str]) -> bool:
    """Tell whether a command line may name a command that asks servers, though it downloads nothing."""
    return not ASKING_COMMANDS.isdisjoint(arguments)


def needs_hooks(arguments: list[str]) -> bool:
    """Tell whether a command line may name a hooked command.

    Any argument counts: options before the command can have values.
    """
    return not HOOKED_COMMANDS.isdisjoint(arguments)


def pip_version() -> str:
    """Return the version of the pip in this process."""
    return str(pip.__version__)


def pip_location() -> str:
    """Return the folder that this process's pip was imported from."""
    return str(next(iter(pip.__path__), "?"))


def interpreter() -> str:
    """Return the interpreter this run is about."""
    return sys.executable
