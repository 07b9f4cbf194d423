"""Scripts for bash, zsh, fish and PowerShell, in which ``pip`` is pipfast."""
