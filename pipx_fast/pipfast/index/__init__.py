"""What package indexes say, kept in the shape the resolver wants it."""
