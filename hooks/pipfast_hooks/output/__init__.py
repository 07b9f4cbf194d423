"""Output: pip's lines, progress, rows of downloads, tracebacks."""
