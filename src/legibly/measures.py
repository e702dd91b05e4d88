"""What happens in the deeper layers, for whoever measures: they know no metrics library."""

from collections.abc import Callable

Sink = Callable[[str, float, dict[str, str]], None]
_sinks: list[Sink] = []


def follow(sink: Sink) -> None:
    """Call `sink` with name, value and labels of each measurement from now on."""
    _sinks.append(sink)


def measure(name: str, value: float = 1.0, **labels: str) -> None:
    """Tell those who follow."""
    for sink in _sinks:
        sink(name, value, labels)
