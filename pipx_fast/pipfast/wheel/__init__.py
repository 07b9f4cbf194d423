"""The wheel format: members, METADATA, RECORD."""
