"""Builds that failed: what was missing, who named it, and with what it is built again."""
