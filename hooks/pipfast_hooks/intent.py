"""Intent of one command: aim, store, bytecode, links, target."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipfast.prepare.bytecode import BytecodeKind


class Aim(Enum):
    """What becomes of the archives that pip chooses."""

    INSTALL = "they are installed from the store"
    ARCHIVES = "they are fetched, and the rest is pip's"
    METADATA = "they are not fetched: pip only resolves"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is known of a command's ends and means; replaced as a whole when more is known."""

    aim: Aim = Aim.ARCHIVES
    stores: bool = True
    """False under ``--no-cache-dir``: the user wants nothing kept."""
    bytecode: BytecodeKind | None = None
    """The bytecode that is installed; None: none, or pip makes it."""
    link_ahead: bool = False
    """The environment is on the store's filesystem, most likely: files can be linked aside there before."""
    target: str = ""
    """The folder that pip was told to install into, or below; empty: into this interpreter's environment."""
    nothing_to_install: bool = False
    """The resolver is done, and everything is there already."""

    @property
    def installs(self) -> bool:
        """Tell whether wheels are prepared as soon as they are here."""
        return self.aim is Aim.INSTALL

    @property
    def metadata_only(self) -> bool:
        """Tell whether pip resolves, and fetches no archive after that."""
        return self.aim is Aim.METADATA
