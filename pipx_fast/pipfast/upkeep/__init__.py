"""The store's upkeep: inventory, verifying, mending, pruning."""
