"""Names of build hooks, scripts of build processes, native sources."""
