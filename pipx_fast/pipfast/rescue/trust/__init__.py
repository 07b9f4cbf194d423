"""Trust: distributions that may join a build, and who named them."""
