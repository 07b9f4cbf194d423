# What is not pipfast's any more stays.
function _pipfast_undo
    for name in @NAMES@
        string match -q -- '*_pipfast *' (functions $name); and functions --erase $name
        string match -q -- '*_pipfast_complete*' (complete --command $name); and complete --erase --command $name
    end
    if set -l place (contains --index -- @COMPLETIONS@ $fish_complete_path)
        set --erase fish_complete_path[$place]
    end
end
_pipfast_undo
functions --erase _pipfast _pipfast_complete _pipfast_undo
