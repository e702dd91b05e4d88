"""Passes measurements of the lower layers on, which do not depend on a metrics library."""

from collections.abc import Callable

Sink = Callable[[str, float, dict[str, str]], None]
_sinks: list[Sink] = []


def follow(sink: Sink) -> None:
    """Call `sink` with name, value and labels of each measurement from now on."""
    _sinks.append(sink)


def measure(name: str, value: float = 1.0, **labels: str) -> None:
    """Pass a measurement to all followers."""
    for sink in _sinks:
        sink(name, value, labels)
