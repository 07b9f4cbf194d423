"""What a failed build was missing, from its evidence."""
