"""pip's installation of a wheel, from the store."""
