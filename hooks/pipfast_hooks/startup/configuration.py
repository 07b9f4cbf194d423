"""The section ``[pipfast]`` of pip's configuration files, read as pip reads them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pipfast.placement import placed
from pipfast.report import logger
from pipfast.settings import SECTION, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def configured(settings: Settings, arguments: list[str]) -> Settings:
    """Return the settings with what pip's configuration files say below the environment's.

    pip chooses the files and their order (``PIP_CONFIG_FILE``, ``--isolated``), and complains of those that it
    cannot read.
    """
    try:
        values = read_values(isolated="--isolated" in arguments)
    except Exception:
        logger.debug("pipfast: pip's configuration files cannot be read", exc_info=True)
        return settings
    prefix = f"{SECTION}."
    section = {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
    if section:
        settings = Settings.from_environ(os.environ, section)
    commands = [f"{word}.cache-dir" for word in arguments if f"{word}.cache-dir" in values]
    cache_dir = next((values[key] for key in (*commands, "global.cache-dir") if key in values), "")
    return placed(settings, arguments, os.environ, cache_dir)


def read_values(isolated: bool) -> Mapping[str, str]:
    """Return the values by ``section.key``; where several files have one, pip's order decides."""
    from pip._internal.configuration import Configuration

    configuration: Any = Configuration(isolated=isolated)
    configuration.load()
    found: dict[str, Any] = {}
    for key, value in configuration.items():
        # From 25.2 on the items are by file.
        found.update(value if isinstance(value, dict) else {key: value})
    return {key: str(value) for key, value in found.items()}
