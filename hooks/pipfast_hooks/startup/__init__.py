"""pip's start, shortened: deferred modules, user agent, certificates, configuration."""
