"""pipfast inside pip: the only importer of pip.

``seams`` says what of pip's is relied on, ``apply`` checks and attaches, the other modules hold one
seam family each.
"""
