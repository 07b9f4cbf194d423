# pipfast has defined this completion; fish's own file would start pip only to ask it for a script.
