"""Build hooks of PEP 517 and PEP 660, and their stages."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Stage = Literal["requires", "metadata", "wheel"]

WheelHook = Literal["get_requires_for_build_wheel", "prepare_metadata_for_build_wheel", "build_wheel"]
"""The hooks of a wheel, in their order; the resolver waits for the first two."""

REQUIRES: Final = "get_requires_for_build_wheel"
METADATA: Final = "prepare_metadata_for_build_wheel"
WHEEL: Final = "build_wheel"

STAGES: Mapping[str, Stage] = MappingProxyType({
    REQUIRES: "requires", METADATA: "metadata", WHEEL: "wheel",
    "get_requires_for_build_editable": "requires", "prepare_metadata_for_build_editable": "metadata",
    "build_editable": "wheel",
})
"""Hook to its stage; a hook that is not here is not rescued."""

RESULT_FOLDERS: Mapping[str, str] = MappingProxyType({
    METADATA: "metadata_directory", WHEEL: "wheel_directory",
})
"""Hook to the argument with the folder for its result; the hook returns the result's name there."""
