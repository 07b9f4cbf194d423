"""Scripts of build processes, and native sources."""
