"""Helpers of the tests: inline archives, loopback servers, environments, twins."""
