"""pipfast: pip, faster.

The engine: fetching, storing and placing distributions. Nothing in this package imports pip;
``pipfast_hooks`` connects it to the pip that is there.
"""

__version__ = "0.1.0"
