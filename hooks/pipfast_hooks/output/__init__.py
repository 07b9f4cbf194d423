"""What is printed: pip's lines, progress, rows of downloads, tracebacks."""
