"""Target of one run: the Python that it is about.

Before another interpreter starts, nothing but ``os``, ``sys`` and what Python imports itself is imported here.
"""
