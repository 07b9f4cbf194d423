"""A failed build's second try without isolation."""
