# What is not pipfast's any more stays.
function _pipfast_undo {
    # In POSIX mode pip3.12 is no name of a function.
    if [[ -o posix ]]; then \local -; \set +o posix; fi
    while (($#)); do
        if [[ $(\declare -f "$1") == *_pipfast\ * ]]; then \unset -f "$1"; fi
        if [[ $(\complete -p "$1" 2>/dev/null) == *\ _pipfast_complete\ * ]]; then \complete -r "$1"; fi
        \shift
    done
}
_pipfast_undo @NAMES@
\unset -f _pipfast _pipfast_complete _pipfast_undo
