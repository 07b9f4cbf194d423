"""The team's store: what one machine has built, for all others."""
