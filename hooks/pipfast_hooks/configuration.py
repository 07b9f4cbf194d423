"""The section ``[pipfast]`` of pip's configuration files, read as pip reads them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pipfast.report import logger
from pipfast.settings import SECTION, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def configured(settings: Settings, arguments: list[str]) -> Settings:
    """Return the settings with what pip's configuration files say below the environment's.

    Which files, and in which order, is pip's to say: ``PIP_CONFIG_FILE``, ``--isolated`` and all. Files that pip
    cannot read are for pip to complain of.
    """
    try:
        section = read_section(isolated="--isolated" in arguments)
    except Exception:
        logger.debug("pipfast: pip's configuration files cannot be read", exc_info=True)
        return settings
    return Settings.from_environ(os.environ, section) if section else settings


def read_section(isolated: bool) -> Mapping[str, str]:
    """Return the keys and values of ``[pipfast]``; of two files, that one's which wins in pip's order."""
    from pip._internal.configuration import Configuration

    configuration: Any = Configuration(isolated=isolated)
    configuration.load()
    found: dict[str, Any] = {}
    for key, value in configuration.items():
        # From 25.2 on by file, before that all in one.
        found.update(value if isinstance(value, dict) else {key: value})
    prefix = f"{SECTION}."
    return {key.removeprefix(prefix): str(value) for key, value in found.items() if key.startswith(prefix)}
