"""Names of the folders in the store.

::

    <root>/                                    0700, one user's
      CACHEDIR.TAG                             says that the folder is a store, see ``folder``
      archives-v0/ab/<sha256>/                 the bytes that were read, a note of their size and mtime
      trees-v1/ab/<sha256>-<umask>/            tree/, manifest, digests: one file per archive member
      bytecode-v1/ab/<sha256>-<umask>-<id>/<tag>/   one .pyc per source, mirrored; manifest, digests
      urls-v0/ab/<sha256 of an address>        the digest of the archive it gave, and how
      pages-v0/ab/<key>                        an index page, evaluated for one interpreter
      answers-v0/ab/<key>                      answers of indexes and metadata files, see ``index.kept``
      learnt-v0/ab/<key>                       modules that builds of one source missed
      built-v0/ab/<key>                        distributions against which wheels of one source were built
      expected-v0/ab/<key>                     wheels that one command line installed the last time
      patterns-v0/ab/<key>                     regular expressions, compiled for one interpreter
      memo-v0/ab/<key>                         an answer of pip's, and what it rests on, see ``pipfast.memo``
      remote-v0/ab/<key>                       the head of an object of the team's store, see ``pipfast.remote``,
                                               or the size of an archive whose wheel came prepared
      seconds/<second>                         the times that files of trees have, see ``prepare.making``
      tmp/                                     entries in the making; renamed into place when whole
      boots                                    entries that a power cut may have spoiled, see ``upkeep.boots``
      sizes                                    sizes of entries, where the store has a bound, see ``upkeep.ledger``
      locks/                                   one for each process that makes something, see ``sessions``

A bucket's version is part of its name: another version's format is never read. Nothing with another name is ever
removed.
"""

from __future__ import annotations

from types import MappingProxyType

ARCHIVES = "archives-v0"
TREES = "trees-v1"
BYTECODE = "bytecode-v1"
URLS = "urls-v0"
PAGES = "pages-v0"
ANSWERS = "answers-v0"
LEARNT = "learnt-v0"
BUILT = "built-v0"
EXPECTED = "expected-v0"
PATTERNS = "patterns-v0"
MEMO = "memo-v0"
REMOTE = "remote-v0"
TMP = "tmp"
LOCKS = "locks"
SECONDS = "seconds"
BUCKETS = (ARCHIVES, TREES, BYTECODE, URLS, PAGES, ANSWERS, LEARNT, BUILT, EXPECTED, PATTERNS, MEMO, REMOTE)
OUTDATED = ("trees-v0", "bytecode-v0")
"""Buckets of other versions, which are never read; only `prune` and `purge` remove them."""
NOTES = (PAGES, ANSWERS, LEARNT, BUILT, EXPECTED, PATTERNS, MEMO, REMOTE)
"""Buckets of small checksummed files, see ``notes``."""
WORDS = MappingProxyType({
    ARCHIVES: ("an archive", "what was downloaded or built, as it came"),
    TREES: ("an unpacked wheel", "wheels, unpacked: what environments link to"),
    BYTECODE: ("compiled sources", "their compiled sources, likewise"),
    URLS: ("the address of an archive", "where archives came from"),
    PAGES: ("an index page or metadata", "index pages and metadata, read"),
    ANSWERS: ("an index page or metadata as it came", "index pages and metadata as they came"),
    LEARNT: ("what a build misses", "what builds were found to miss"),
    BUILT: ("what a rescued wheel was built against", "what rescued wheels were built against"),
    EXPECTED: ("what a command installed", "what commands installed the last time"),
    PATTERNS: ("regular expressions", "regular expressions, compiled"),
    MEMO: ("an answer of pip's", "answers of pip's to what was asked"),
    REMOTE: ("the head of an object of the team's", "heads of objects of the team's store"),
})
"""One entry of a bucket, and all of it, as `store verify` and `store info` name them."""
