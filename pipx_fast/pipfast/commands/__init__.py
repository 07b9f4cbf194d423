"""pipfast's own commands."""
