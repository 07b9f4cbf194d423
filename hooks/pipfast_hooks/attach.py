"""Checking of pip's seams, attaching to them and undoing it."""

from __future__ import annotations

import importlib
import inspect
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pipfast import dependencies
from pipfast.report import logger
from pipfast_hooks.call import Call
from pipfast_hooks.guard import guarded
from pipfast_hooks.names import NAMES, Names
from pipfast_hooks.seams import SEAMS, Seam, parse_version
from pipfast_hooks.startup import deferred

with deferred.without(("asyncio",)):
    # wrapt imports asyncio (10 ms) for coroutine decorators, which pip never uses.
    wrapt = dependencies.load("wrapt")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    from pipfast.settings import Family, Settings

State = Literal["waiting for its module", "attached", "as expected", "stock"]
"""What has become of a seam; ``as expected`` is one that is only called."""

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

_NO_NAME = "there is no such name"

_REPLACED = "_pipfast_replaced"
"""An attribute of functions that stand in the place of pip's."""


@dataclass(slots=True)
class SeamState:
    """What has become of one seam; ``why`` is set where pip's own code runs."""

    seam: Seam
    state: State = "waiting for its module"
    why: str = ""
    positions: dict[str, int] = field(default_factory=dict)
    """Name to place of the parameters that may be passed by position, without ``self`` or ``cls``."""

    def leave(self, why: str) -> None:
        """Note why pip's own code runs."""
        self.state, self.why = "stock", why


@dataclass(frozen=True, slots=True)
class _Original:
    parent: Any
    attribute: str
    original: Any
    state: SeamState


class _Late:
    """Wrapper around a seam that imports its function on the first call.

    Sooner, our modules would import pip's, and these attach seams to ours that are half imported.
    """

    def __init__(self, hooks: Hooks, state: SeamState) -> None:
        self.hooks, self.seam, self._state, self._positions = hooks, state.seam, state, state.positions
        self._function: Callable[..., Any] | None = None

    def __call__(self, wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
        call = Call(wrapped, instance, args, kwargs, self._positions)
        idle_without = self._state.seam.idle_without
        if self._function is None and not self._state.why and (not idle_without or call.get(idle_without, True)):
            self._function = self.hooks.load(self._state)
        if self._function is not None and not self._state.why:
            return self._function(call)
        return call.original()

    @property
    def is_ours(self) -> bool:
        """Tell whether our function is called, as far as is known by now."""
        return not self._state.why


class Kept:
    """Property that is asked once for each object, and then is an attribute of the object."""

    def __init__(self, original: property, name: str) -> None:
        self.original = original
        self._ask = original.fget
        self._name = name
        self.__doc__ = original.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None or self._ask is None:
            return self
        value = self._ask(instance)
        if (attributes := getattr(instance, "__dict__", None)) is not None:
            attributes[self._name] = value
        return value


def load_wrapper(seam: Seam) -> Callable[..., Any]:
    """Import and return the function that stands around a seam."""
    module, _, function = seam.wrapper.partition(":")
    return getattr(importlib.import_module(f"{__package__}.{module}"), function)  # type: ignore[no-any-return]


class Hooks:
    """The seams of one pip, attached as its modules are imported."""

    def __init__(self, settings: Settings, pip_version: str, seams: Iterable[Seam] = SEAMS) -> None:
        self._settings = settings
        self.pip = parse_version(pip_version)
        self.states = [SeamState(seam) for seam in seams if seam.fits(self.pip)]
        self._originals: list[_Original] = []
        self._applied = False
        self._broken: set[str] = set()
        self._unchecked = self._needed_names()
        self._given_up: dict[Family, str] = {}
        """By family, why all of it stays stock."""

    def apply(self) -> None:
        """Attach to what is imported already, and to the rest when it is; a second time does nothing."""
        if self._applied:
            return
        self._applied = True
        for module in dict.fromkeys(state.seam.module for state in self.states):
            if module in sys.modules:
                self._attach(sys.modules[module])
            else:
                # Not imported here: 25.1 has modules that must not be imported first.
                wrapt.register_post_import_hook(self._attach, module)

    def undo(self) -> None:
        """Put back every original; modules that are imported later are left alone."""
        self._applied = False
        for each in reversed(self._originals):
            setattr(each.parent, each.attribute, each.original)
        self._originals.clear()
        self._broken.clear()
        self._given_up.clear()
        self._unchecked = self._needed_names()
        for state in self.states:
            state.state, state.why = "waiting for its module", ""

    def load(self, state: SeamState) -> Callable[..., Any] | None:
        """Return the function that stands around a seam, or None if the seam is to stay stock."""
        self._check_names(state.seam.family)
        if state.why:
            return None
        try:
            return load_wrapper(state.seam)
        except Exception as error:
            state.leave(f"our own module failed: {error!r}")
            logger.debug("pipfast: %s stays stock", state.seam.label, exc_info=True)
            return None

    def check_all(self) -> list[SeamState]:
        """Import every module and return what becomes of each seam (for ``doctor`` and tests)."""
        for module in dict.fromkeys(state.seam.module for state in self.states):
            try:
                importlib.import_module(module)
            except Exception as error:
                # Anything may come of a module that was damaged.
                why = "no such module" if isinstance(error, ImportError) else "its module fails"
                for state in self.states:
                    if state.seam.module == module:
                        state.leave(f"{why}: {error}")
        for row in self._unchecked:
            with suppress(Exception):
                importlib.import_module(row.module)
        for state in self.states:
            if state.state == "attached" and state.seam.wrapper:
                self.load(state)
        return self.states

    def check_names(self) -> dict[str, tuple[Family, str]]:
        """Return full name to family, and why it is not as expected, of what is only imported or read."""
        found: dict[str, tuple[Family, str]] = {}
        for row in (row for row in NAMES if row.fits(self.pip)):
            try:
                missing = set(row.missing(importlib.import_module(row.module)))
            except Exception:
                missing = set(row.labels)
            labels = [each for each in row.labels if not row.optional or each not in missing]
            found |= {each: (row.families[0], _NO_NAME if each in missing else "") for each in labels}
        return found

    def _needed_names(self) -> list[Names]:
        return [row for row in NAMES if row.fits(self.pip) and not row.optional]

    def _check_names(self, family: Family) -> None:
        """Check the names that a family leans on, as far as their modules are imported: once for each."""
        for row in [each for each in self._unchecked if family in each.families]:
            module = sys.modules.get(row.module)
            # One that is being imported has not got all of them yet.
            if module is None or getattr(module.__spec__, "_initializing", False):
                continue
            self._unchecked.remove(row)
            for missing in row.missing(module):
                for each in row.families:
                    self._give_up(each, f"there is no {missing}")

    def _give_up(self, family: Family, why: str) -> None:
        logger.debug("pipfast: %s stays stock: %s", family, why)
        self._given_up.setdefault(family, why)
        for state in self.states:
            if state.seam.family == family and not state.why:
                state.leave(why)
        for each in self._originals:
            # Nothing of ours would ask whether it is stock.
            if each.state.seam.family == family and (each.state.seam.kept or each.state.seam.plain):
                setattr(each.parent, each.attribute, each.original)

    def _attach(self, module: ModuleType) -> None:
        if not self._applied:
            return
        here = [state for state in self.states if state.seam.module == module.__name__]
        for state in here:
            state.why = self._reason_against(module, state)
            if state.why:
                state.leave(state.why)
                self._broken.add(f"{module.__name__}:{state.seam.family}")
                logger.debug("pipfast: %s stays stock: %s", state.seam.label, state.why)
        for state in here:
            if state.why:
                continue
            if not state.seam.wrapper and not state.seam.kept:
                state.state = "as expected"
            elif f"{module.__name__}:{state.seam.family}" in self._broken:
                # A wrapper leans on all the names of its module and family, not on its own alone.
                state.leave("another seam of this module is not as expected")
            elif missing := set(state.seam.needs).difference(
                each.seam.label for each in self.states if each.state in ("attached", "as expected")
            ):
                state.leave(f"it needs {', '.join(sorted(missing))}")
            else:
                self._wrap(module, state)

    def _wrap(self, module: ModuleType, state: SeamState) -> None:
        original: Any
        parent, attribute, original = wrapt.resolve_path(module, state.seam.name)
        if state.seam.kept:
            if isinstance(original, property):
                setattr(parent, attribute, Kept(original, attribute))
                self._originals.append(_Original(parent, attribute, original, state))
            state.state = "attached"
            return
        if state.seam.plain:
            self._replace(parent, attribute, original, state)
            return
        present = _present(original, state.seam.wrapper)
        if present is None:
            wrapt.apply_patch(parent, attribute, wrapt.FunctionWrapper(original, _Late(self, state)))
            self._originals.append(_Original(parent, attribute, original, state))
        elif present.hooks is self:
            # Bound here by a from-import, after it was wrapped where it is defined.
            self._originals.append(_Original(parent, attribute, original.__wrapped__, state))
        state.state = "attached"

    def _replace(self, parent: Any, attribute: str, original: Any, state: SeamState) -> None:
        if not hasattr(original, _REPLACED):
            function = self.load(state)
            if function is None:
                return
            replacement = None
            with guarded("%s stays stock", state.seam.label):
                replacement = function(original)
            if replacement is None:
                return state.leave("our own function failed")
            setattr(replacement, _REPLACED, True)
            setattr(parent, attribute, replacement)
            self._originals.append(_Original(parent, attribute, original, state))
        state.state = "attached"

    def _reason_against(self, module: ModuleType, state: SeamState) -> str:
        """Return why a seam is not attached, or an empty string; note how its arguments are passed."""
        seam = state.seam
        if seam.family in self._settings.disabled:
            return f"PIPFAST_DISABLE names {seam.family}"
        if reason := self._given_up.get(seam.family) or seam.reason_against(self.pip):
            return reason
        found: Any = module
        for part in seam.name.split("."):
            found = vars(found).get(part) if inspect.isclass(found) else getattr(found, part, None)
            if found is None:
                return _NO_NAME
        if isinstance(found, Kept):
            found = found.original
        if isinstance(found, property) != seam.kept:
            return "it is not a property" if seam.kept else "it is a property"
        if seam.kept:
            found = found.fget
        try:
            signature = inspect.signature(inspect.unwrap(found))
        except (TypeError, ValueError) as error:
            return f"it has no signature: {error}"
        parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
        state.positions = {
            each.name: position for position, each in enumerate(parameters) if each.kind in _BY_POSITION
        }
        names, expected = [each.name for each in parameters], list(seam.parameters)
        further = set(names[len(expected) :])
        if names[: len(expected)] != expected or not further <= set(seam.optional):
            return f"its parameters are ({', '.join(names)})"
        return ""


def _present(function: Any, wrapper: str) -> _Late | None:
    while (late := getattr(function, "_self_wrapper", None)) is not None:
        if isinstance(late, _Late) and late.seam.wrapper == wrapper:
            return late
        function = function.__wrapped__
    return None


def is_attached(function: Any) -> bool:
    """Tell whether a seam stands around a function of pip's and is not stock."""
    while function is not None:
        late = getattr(function, "_self_wrapper", None)
        if isinstance(late, _Late) and late.is_ours:
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def has_seams(owner: Any, *names: str) -> bool:
    """Tell whether a module or a class of pip's has these functions, and a seam that is not stock around each."""
    return all(is_attached(getattr(owner, name, None)) for name in names)


def without_disabled(states: Iterable[SeamState]) -> Iterator[SeamState]:
    """Yield the states of seams that were not switched off by a setting."""
    return (state for state in states if not state.why.startswith("PIPFAST_DISABLE"))
