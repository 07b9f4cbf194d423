"""The commands that are pipfast's own."""
