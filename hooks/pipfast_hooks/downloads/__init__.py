"""pip's downloads over parallel connections."""
