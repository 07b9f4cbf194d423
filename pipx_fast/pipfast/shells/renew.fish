# Another pipfast has been installed: it writes this file again.
if not test -d @SIGN@; and test -x @PIPFAST@
    if command @PIPFAST@ shell-hook --save fish >/dev/null
        source @FILE@
        return
    end
end
