# What is not pipfast's any more stays.
function {
    \emulate -L zsh
    while (( $# )); do
        if [[ ${functions[$1]-} == *_pipfast\ * ]]; then \unfunction "$1"; fi
        if (( $+_comps )) && [[ ${_comps[$1]-} == _pipfast_complete ]]; then \unset "_comps[$1]"; fi
        \shift
    done
    precmd_functions=(${precmd_functions:#_pipfast_first_prompt})
    if (( ! $#precmd_functions )); then \unset precmd_functions; fi
} @NAMES@
\unfunction _pipfast _pipfast_complete _pipfast_first_prompt 2>/dev/null || \true
