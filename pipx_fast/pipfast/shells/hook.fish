# pip is pipfast in this shell; scripts and `command pip` are what they were.
# This comes from `pipfast shell-hook fish`; what `pipfast shell-hook --undo fish` prints takes it back.

# PYTHON NAME ARGUMENT...: PYTHON is looked for in the active environment.
function _pipfast
    if not test -f @RUNNER@; or test "$PIPFAST" = off -a "$argv[2]" != pipfast
        command $argv[2..-1]
        return
    end
    set -lx _PIPFAST_SHELL fish
    if test "$argv[1]" = python -a -x @PIPFAST@
        and begin
            test -n "$PIP_PYTHON"; or string match -qr -- '^--python(=|$)' $argv
        end
        # The active environment's may be too old for pipfast, and is not meant.
        set -lx _PIPFAST_NAME $argv[2]
        command @PIPFAST@ $argv[3..-1]
    else if test -n "$VIRTUAL_ENV" -a -x "$VIRTUAL_ENV/bin/$argv[1]" -a "$argv[3]" != shell-hook
        set -lx _PIPFAST_WHY "VIRTUAL_ENV=$VIRTUAL_ENV"
        command "$VIRTUAL_ENV/bin/$argv[1]" @RUNNER@ $argv[2..-1]
    else if test -n "$CONDA_PREFIX" -a -x "$CONDA_PREFIX/bin/$argv[1]" -a "$argv[3]" != shell-hook
        set -lx _PIPFAST_WHY "CONDA_PREFIX=$CONDA_PREFIX"
        command "$CONDA_PREFIX/bin/$argv[1]" @RUNNER@ $argv[2..-1]
    else if test "$argv[1]" = python -a -x @PIPFAST@
        set -lx _PIPFAST_NAME $argv[2]
        command @PIPFAST@ $argv[3..-1]
    else
        set -e _PIPFAST_SHELL
        command $argv[2..-1]
    end
end

@EACH@ function @NAME@; _pipfast @NAME_OF_PYTHON@ @NAME@ $argv; end

# The words that pip prints, as in pip's own completion.
function _pipfast_complete
    set -lx COMP_WORDS (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor)
    set -lx COMP_CWORD (math (count $COMP_WORDS) - 1)
    set -lx PIP_AUTO_COMPLETE 1
    string split ' ' -- ($COMP_WORDS[1] 2>/dev/null)
end
# The files there stand before fish's own of the same names.
if set -q fish_complete_path; and not contains -- @COMPLETIONS@ $fish_complete_path
    set --prepend fish_complete_path @COMPLETIONS@
end
# A completion that is defined already stays.
@EACH@ test (count (complete --command @NAME@)) -gt 0; or complete --command @NAME@ --no-files --arguments '(_pipfast_complete)'
