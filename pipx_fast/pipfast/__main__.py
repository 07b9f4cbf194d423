"""``python -m pipfast`` and the command ``pipfast``."""

import os
import sys

# Before any other import, as pip does it: with -m, the current folder is not to be trusted.
if __name__ == "__main__" and sys.path and sys.path[0] in ("", os.getcwd()):
    sys.path.pop(0)

from pipfast.targets.start import NAME, WHY, become, become_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipfast.memo.watch import Watch


def main() -> int:
    """Run the command ``pipfast``, in the Python that the run is about."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["shell-hook"]:
        # It is about this installation, not about an environment.
        return _shell_hook(arguments[1:])
    typed = os.environ.pop(NAME, "")
    name = typed or os.path.basename(sys.argv[0])
    # Set, the interpreter that was chosen has come back here.
    why = os.environ.pop(WHY, "")
    if not why:
        from pipfast.targets.decision import decide

        target = decide(arguments, os.environ, by_path=not typed)
        become(target, name, arguments)
        why = target.why
    sys.argv[0] = name
    become_asked(name, arguments, _configured)
    return _launch(why)


def _shell_hook(arguments: list[str]) -> int:
    from pipfast.shells.scripts import SHELLS, hook

    if len(arguments) == 1 and arguments[0] in SHELLS:
        # A shell that starts may wait for this: nothing more is imported.
        os.write(1, os.fsencode(hook(arguments[0], os.path.abspath(sys.argv[0]))))
        return 0
    from pipfast.commands import command_line, shell_hook

    return command_line.run(shell_hook.main, arguments)


def _main_of_module() -> int:
    # What pip's usage lines are made from.
    become_asked(os.path.basename(sys.argv[0]), sys.argv[1:], _configured)
    return _launch("")


def _configured() -> str:
    from pipfast.launch import configured_python

    return configured_python()


def _launch(why: str) -> int:
    from pipfast.memo.answer import answered

    def run(recording: "Watch | None") -> int:
        from pipfast.launch import main as launch

        return launch(why=why, recording=recording)

    return answered(sys.argv[1:], run)


if __name__ == "__main__":
    sys.exit(_main_of_module())
