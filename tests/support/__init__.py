"""What the tests stand on: archives written inline, an index on loopback, environments, twins."""
