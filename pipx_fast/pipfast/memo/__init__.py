"""Answers of pip's, kept with all that they were made from."""
