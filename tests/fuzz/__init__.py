"""Random worlds for stock pip and pipfast."""
