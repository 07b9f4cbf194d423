"""From a stored tree to the files of one environment."""
