"""Pages of package indexes, kept as the resolver needs them."""
