"""Describes a comparison in plain words."""

import math

from legibly.records import Json

_BASIS = {
    "dataset": "pictures of {where}",
    "asked": "pictures of the store with labels requested at random",
    "at_upload": "pictures of the store uploaded with their labels",
    "all": (
        "labelled pictures of the store, most labels volunteered: these favour the candidate, "
        "because people label the present model's mistakes most eagerly"
    ),
}
_MEASURES = {"right": "right", "safe": "`read`, not wrong", "coverage": "`read`"}
_SOURCES = {"asked": "asked for", "at_upload": "at upload", "volunteered": "volunteered"}


def sentence(comparison: Json) -> str:
    """Which model is better, or how many more labels would decide."""
    right = comparison["right"]
    difference = right["difference"]
    margin = points(right["margin"])
    value = signed(difference["value"])
    name = _name(comparison["candidate"])
    span = f"(95 %: {signed(difference['low'])} to {signed(difference['high'])})"
    if right["verdict"] == "better":
        return f"Better: {name} reads {points(difference['value'])} points more right {span}."
    if right["verdict"] == "worse":
        return f"Worse: {name} reads {points(-difference['value'])} points fewer right {span}."
    if right["verdict"] == "no_worse":
        return f"No worse within the margin of {margin} points: {value} points {span}."
    return f"Too few to say: {value} points {span}; {_missing(right['more'])}."


def _missing(more: int | None) -> str:
    if more is None:
        return "more labels like these would not settle it"
    return f"if the next ones look like these, some {about(more)} more labels will decide"


def about(count: int) -> str:
    """A count with two significant digits, rounded up: `1,400`."""
    step = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    return f"{math.ceil(count / step) * step:,}"


def points(share: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * share:.2f}"


def signed(share: float) -> str:
    """A difference in percentage points with its sign."""
    return f"{100 * share:+.2f}".replace("-", "−")


def lines(comparison: Json) -> list[str]:
    """The comparison for a terminal; its last line is the sentence."""
    data = comparison["data"]
    right = comparison["right"]
    sides = comparison["present"], comparison["candidate"]
    table = right["table"]
    text = [
        f"{data['n']:,} {_BASIS[data['basis']].format(where=data['where'])}",
        "",
        _row("", "present", "candidate"),
        _row("", *(_name(side) for side in sides)),
        _row("right", *(_share(side["exact"]) for side in sides)),
        _row("`read`", *(_share(side["read"]["coverage"]) for side in sides)),
        _row("wrong of these", *(_risk(side["read"]) for side in sides)),
        _row("ms per image", *(f"{side['milliseconds']:.1f}" for side in sides)),
        "",
        _row("", "candidate right", "candidate wrong"),
        _row("present right", f"{table['both']:,}", f"{table['only_present']:,}"),
        _row("present wrong", f"{table['only_candidate']:,}", f"{table['neither']:,}"),
        "",
    ]
    text += [_row("points", "candidate less present", "no worse if above")]
    text += [
        _row(title, _change(comparison[name]), f"{signed(-comparison[name]['margin'])}")
        for name, title in _MEASURES.items()
    ]
    text += [f"labels {_source(*item)}" for item in comparison["by_source"].items()]
    look = right["single_look"]
    span = f" and {signed(look['low'])} to {signed(look['high'])}, if this is the only look"
    note = span if comparison["looks"] == "any" else ""
    return [*text, "", f"exact McNemar p = {right['p']:.3g}{note}", sentence(comparison)]


def _change(measure: Json) -> str:
    value, low, high = (signed(measure["difference"][name]) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _row(title: str, *values: str) -> str:
    return (f"{title:<18}" + "".join(f"{value:<28}" for value in values)).rstrip()


def _name(side: Json) -> str:
    return f"{side['model']['name']} {side['model']['version']}"


def _share(value: Json) -> str:
    return f"{100 * value['value']:.2f} % ({100 * value['low']:.2f} to {100 * value['high']:.2f})"


def _risk(read: Json) -> str:
    if not read["n"]:
        return "none"
    sides = {"value": "value", "low": "high", "high": "low"}
    turned = {name: 1 - read["accuracy"][other] for name, other in sides.items()}
    return f"{read['errors']}: {_share(turned)}"


def _source(source: str, part: Json) -> str:
    sides = " and ".join(f"{100 * part[side]['value']:.1f} %" for side in ("present", "candidate"))
    return (
        f"{_SOURCES.get(source, source):<12} {part['n']:>6,}: {sides} right, difference"
        f" {_change(part)}"
    )
