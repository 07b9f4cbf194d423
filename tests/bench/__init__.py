"""Benchmarks: stock pip, pipfast and uv over a loopback index of real packages.

``python tests/bench --sets flask`` from a checkout's root does everything; ``--help`` tells the rest.

| module | what it holds |
| --- | --- |
| ``sets`` | the lists of requirements that are measured |
| ``client``, ``client_session`` | the one way to the outside: through pip's own client and configuration |
| ``corpus`` | a folder of real pages and real wheels, fit to be served |
| ``server``, ``relay`` | nginx over that folder; a slower line in front of it |
| ``environment`` | the measured tools, fresh environments, and what a run may see of this machine |
| ``launcher``, ``measure`` | one run: its time, processor time, memory and lines; and what they mean |
| ``scenarios`` | the interleaved rounds |
| ``placing``, ``race``, ``stream`` | linking against ``cp -al``; two runs from one empty store; one bare stream |
| ``report``, ``goals`` | table, JSON and picture; the figures that must be reached |
"""
