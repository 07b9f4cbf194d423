"""Diagnosis of failed builds: evidence, causes, import names."""
