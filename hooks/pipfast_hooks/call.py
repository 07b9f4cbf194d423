"""One call of a function of pip's that a seam stands around."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Call:
    """What pip passes, by the parameters' names, and the way to pip's own function.

    Nothing is bound before it is asked for: some seams are called ten thousand times in a command.
    """

    __slots__ = ("_positions", "_wrapped", "args", "instance", "kwargs")

    def __init__(
        self, wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any],
        positions: Mapping[str, int],
    ) -> None:
        """:param instance: the object whose method it is, the class for class methods, None for functions.

        :param positions: name to place of the parameters that may be passed by position, without ``self``.
        """
        self._wrapped, self.instance, self.args, self.kwargs = wrapped, instance, args, kwargs
        self._positions = positions

    def __getitem__(self, name: str) -> Any:
        """Return an argument by its parameter's name. Raises KeyError: pip has not passed it."""
        position = self._positions.get(name)
        if position is not None and position < len(self.args):
            return self.args[position]
        return self.kwargs[name]

    def __contains__(self, name: str) -> bool:
        """Tell whether pip has passed an argument."""
        return self._positions.get(name, len(self.args)) < len(self.args) or name in self.kwargs

    def get(self, name: str, default: Any = None) -> Any:
        """Return an argument, or ``default`` if pip has not passed it."""
        position = self._positions.get(name)
        if position is not None and position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)

    def original(self, **replaced: Any) -> Any:
        """Call pip's own function with what pip passed; ``replaced`` takes the place of some, or is added."""
        if not replaced:
            return self._wrapped(*self.args, **self.kwargs)
        args, kwargs = list(self.args), dict(self.kwargs)
        for name, value in replaced.items():
            position = self._positions.get(name)
            if position is not None and position < len(args):
                args[position] = value
            else:
                kwargs[name] = value
        return self._wrapped(*args, **kwargs)
