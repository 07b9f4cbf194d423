"""pipfast inside pip: the only importer of pip."""
