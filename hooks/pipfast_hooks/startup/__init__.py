"""pip's start: deferred modules, user agent, certificates, configuration, program, commands."""
