"""Archives, trees, bytecode and notes on disk."""
