"""Bytes from the network, over a pool of connections.

Large files come in segments; each file is hashed while it arrives. From the caller inwards:

- ``pool``: the front door; ``job``: one download
- ``scheduler``: the choice of the next task; ``worker``: its request; ``streams``: the bytes of each answer;
  ``endings``: results and failures; ``board``: the state that these share
- ``file``: one file in the making; ``limiter``: the number of connections; ``transport``: HTTP, from the caller
- ``servers``, ``turns``: early requests, as many as a server bears
"""
