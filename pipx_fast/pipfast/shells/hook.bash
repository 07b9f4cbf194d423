# pip is pipfast in this shell; scripts and `command pip` are what they were.
# This comes from `pipfast shell-hook bash`; what `pipfast shell-hook --undo bash` prints takes it back.

# PYTHON NAME ARGUMENT...: PYTHON is looked for in the active environment. No variable: none of the user's is hidden.
function _pipfast {
    if [[ ! -f @RUNNER@ || ( ${PIPFAST-} == off && $2 != pipfast ) ]]; then
        \command "${@:2}"
    elif [[ $1 == python && -x @PIPFAST@ && ( -n ${PIP_PYTHON-} || " ${@:3} " == *' --python'[\ =]* ) ]]; then
        # The active environment's may be too old for pipfast, and is not meant.
        _PIPFAST_SHELL=bash _PIPFAST_NAME=$2 \command @PIPFAST@ "${@:3}"
    elif [[ -n ${VIRTUAL_ENV-} && -x ${VIRTUAL_ENV-}/bin/$1 && ${3-} != shell-hook ]]; then
        _PIPFAST_SHELL=bash _PIPFAST_WHY=VIRTUAL_ENV=$VIRTUAL_ENV \command "$VIRTUAL_ENV/bin/$1" @RUNNER@ "${@:2}"
    elif [[ -n ${CONDA_PREFIX-} && -x ${CONDA_PREFIX-}/bin/$1 && ${3-} != shell-hook ]]; then
        _PIPFAST_SHELL=bash _PIPFAST_WHY=CONDA_PREFIX=$CONDA_PREFIX \command "$CONDA_PREFIX/bin/$1" @RUNNER@ "${@:2}"
    elif [[ $1 == python && -x @PIPFAST@ ]]; then
        _PIPFAST_SHELL=bash _PIPFAST_NAME=$2 \command @PIPFAST@ "${@:3}"
    else
        \command "${@:2}"
    fi
}

# With `function` before it, a name is not taken for an alias. In POSIX mode a point in it would end the shell. Under
# `set -a` functions would go into scripts.
\export -nf _pipfast
@EACH@ [[ -o posix && @NAME@ == *.* ]] || { function @NAME@ { _pipfast @NAME_OF_PYTHON@ @NAME@ "$@"; }; \export -nf @NAME@; }

# As pip's own, which stays where it is there already.
function _pipfast_complete {
    \local IFS=$' \t\n'
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD PIP_AUTO_COMPLETE=1 "$1" 2>/dev/null))
}
\export -nf _pipfast_complete
@EACH@ \complete -p @NAME@ &>/dev/null || \complete -o default -F _pipfast_complete @NAME@
