"""Kept installations, done again in other environments."""
