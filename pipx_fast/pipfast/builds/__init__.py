"""Helpers of build processes: the host of hooks, the guard of sessions, native sources."""
