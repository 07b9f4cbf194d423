"""Timeline of one run: events, critical path, trace, page."""
