"""Rescued builds: their environment, messages, and the wheels that come of them."""
