"""Plain pip, accelerated: pipfast's files in an environment."""
