# pip is pipfast in this shell; scripts and `command pip` are what they were.
# This comes from `pipfast shell-hook zsh`; what `pipfast shell-hook --undo zsh` prints takes it back.

# PYTHON NAME ARGUMENT...: PYTHON is looked for in the active environment. No variable: none of the user's is hidden.
function _pipfast {
    if [[ ! -f @RUNNER@ || ( ${PIPFAST-} == off && $2 != pipfast ) ]]; then
        \command "${@:2}"
    elif [[ $1 == python && -x @PIPFAST@ && ( -n ${PIP_PYTHON-} || " ${(j: :)@} " == *' --python'[\ =]* ) ]]; then
        # The active environment's may be too old for pipfast, and is not meant.
        _PIPFAST_SHELL=zsh _PIPFAST_NAME=$2 \command @PIPFAST@ "${@:3}"
    elif [[ -n ${VIRTUAL_ENV-} && -x ${VIRTUAL_ENV-}/bin/$1 && ${3-} != shell-hook ]]; then
        _PIPFAST_SHELL=zsh _PIPFAST_WHY=VIRTUAL_ENV=$VIRTUAL_ENV \command "$VIRTUAL_ENV/bin/$1" @RUNNER@ "${@:2}"
    elif [[ -n ${CONDA_PREFIX-} && -x ${CONDA_PREFIX-}/bin/$1 && ${3-} != shell-hook ]]; then
        _PIPFAST_SHELL=zsh _PIPFAST_WHY=CONDA_PREFIX=$CONDA_PREFIX \command "$CONDA_PREFIX/bin/$1" @RUNNER@ "${@:2}"
    elif [[ $1 == python && -x @PIPFAST@ ]]; then
        _PIPFAST_SHELL=zsh _PIPFAST_NAME=$2 \command @PIPFAST@ "${@:3}"
    else
        \command "${@:2}"
    fi
}

# In quotes, a name is not taken for an alias.
@EACH@ function '@NAME@' { _pipfast '@NAME_OF_PYTHON@' '@NAME@' "$@"; }

# The words that pip prints, as in pip's own completion.
function _pipfast_complete {
    \compadd -- $(COMP_WORDS="$words[*]" COMP_CWORD=$((CURRENT-1)) PIP_AUTO_COMPLETE=1 $words[1] 2>/dev/null)
}

# At the first prompt: a later line of .zshrc may start the completion system. A command's own completion stays; what
# stands for all of `pip*`, as zsh's and pip's do, waits behind ours.
function _pipfast_first_prompt {
    \emulate -L zsh
    precmd_functions=(${precmd_functions:#_pipfast_first_prompt})
    if (( $+functions[compdef] )); then
        @EACH@ if (( ! $+_comps[@NAME@] )); then \compdef _pipfast_complete '@NAME@'; fi
    fi
}
function {
    \emulate -L zsh
    \typeset -ga precmd_functions
    precmd_functions=(${precmd_functions:#_pipfast_first_prompt} _pipfast_first_prompt)
}
