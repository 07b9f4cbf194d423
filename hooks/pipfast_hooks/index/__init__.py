"""pip's finder: index pages, their evaluation, candidates."""
