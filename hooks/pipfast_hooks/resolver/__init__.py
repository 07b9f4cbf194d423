"""pip's resolver: its look-ahead and its memo."""
