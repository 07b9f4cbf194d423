"""Requests of pip's session, and early ones beside them."""
