"""The one form of a figure: `name, value, unit, against, ratio, target, holds`.

`against` names the peer or the limit with its own value from the same run; `ratio` is ours to theirs. `target` and
`holds` are None where a figure is only told. What has no engine here says why in `skipped` instead.
"""

from typing import Any

Figure = dict[str, Any]
FIELDS = ("name", "value", "unit", "against", "ratio", "target", "holds")


def beside(name: str, value: float, unit: str, peer: tuple[str, float], least_ratio: float | None = None) -> Figure:
    """A figure that is judged by its ratio to a peer of the same run."""
    named, theirs = peer
    ratio = value / theirs
    target = None if least_ratio is None else f"ratio >= {least_ratio}"
    holds = None if least_ratio is None else ratio >= least_ratio
    return _figure(name, value, unit, {"name": named, "value": _rounded(theirs)}, ratio, target, holds)


def at_least(name: str, value: float, unit: str, least: float, peer: tuple[str, float] | None = None) -> Figure:
    """A figure that is judged by a limit; a peer is only named."""
    named, theirs = peer or ("target", least)
    against = {"name": named, "value": _rounded(theirs)}
    return _figure(name, value, unit, against, value / theirs, f">= {least:g} {unit}", value >= least)


def at_most(name: str, value: float, unit: str, most: float, peer: tuple[str, float] | None = None) -> Figure:
    """As `at_least`, where less is better."""
    named, theirs = peer or ("target", most)
    against = {"name": named, "value": _rounded(theirs)}
    return _figure(name, value, unit, against, value / theirs, f"<= {most:g} {unit}", value <= most)


def skipped(name: str, reason: str) -> Figure:
    """What cannot be measured here, and why."""
    return {**dict.fromkeys(FIELDS), "name": name, "skipped": reason}


def _figure(  # noqa: PLR0913, PLR0917  the seven fields
    name: str,
    value: float,
    unit: str,
    against: dict[str, Any],
    ratio: float,
    target: str | None,
    holds: bool | None,  # noqa: FBT001  a field like the others
) -> Figure:
    given = (name, _rounded(value), unit, against, _rounded(ratio), target, holds)
    return dict(zip(FIELDS, given, strict=True))


def _rounded(value: float) -> float:
    """Three digits behind the point for small values, none for large ones."""
    return round(value) if abs(value) >= 1_000 else round(value, 3)  # noqa: PLR2004  where digits stop to matter
