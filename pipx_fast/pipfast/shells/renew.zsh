# Another pipfast has been installed: it writes this file again.
if [[ ! -d @SIGN@ && -x @PIPFAST@ ]]; then
    if \command @PIPFAST@ shell-hook --save zsh >/dev/null; then
        \. @FILE@
        \return
    fi
fi
