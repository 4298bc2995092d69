"""Numbers as the verifier reckons with them: exact fractions, rounded half-up, split by largest remainder, and F.

Standard library only, and nothing of what the service reckons with.
"""

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI"), 0),
    **dict.fromkeys(("VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""The minor digits of ISO 4217 currencies that have not two."""
HUNDRED = Fraction(100)
KEPT_DIGITS, DENOMINATOR_MAX = 28, 10**12


def number(text: Any) -> Fraction:
    return Fraction(str(text))


def endless(text: str) -> Fraction:
    """A number of which as many digits were kept as a decimal has: the simple fraction that it was, such as a third."""
    exact = number(text)
    digits = len(text.replace("-", "").replace(".", "").lstrip("0"))
    return exact.limit_denominator(DENOMINATOR_MAX) if digits >= KEPT_DIGITS else exact


def amount_of(money: dict[str, str]) -> Fraction:
    return number(money["amount"])


def minor(currency: str) -> Fraction:
    """The smallest amount of a currency."""
    return Fraction(1, 10 ** DIGITS.get(currency, 2))


def rounded(exact: Fraction, currency: str) -> Fraction:
    """The nearest minor unit; a half goes away from zero."""
    unit = minor(currency)
    steps = abs(exact) / unit
    whole = (2 * steps.numerator + steps.denominator) // (2 * steps.denominator)
    return whole * unit if exact >= 0 else -whole * unit


def text_of(exact: Fraction) -> str:
    return str(Decimal(exact.numerator) / Decimal(exact.denominator))


def sha256(value: Any) -> str:
    spelled = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(spelled.encode()).hexdigest()


def exchanged(basis: dict[str, Any], currency: str) -> Fraction:
    """What was given at its rate, or divided by the one that was recorded for the pair the other way round."""
    given, rate = amount_of(basis["given"]), basis["rate"]
    per = rate.get("per")
    return rounded(given / number(per) if per else given * number(rate["rate"]), currency)


def split(amount: Fraction, weights: Sequence[Fraction], currency: str) -> list[Fraction]:
    """Parts in proportion to the weights that add up exactly; minor units that are missing go to the largest remainders."""
    unit, whole = minor(currency), sum(weights, Fraction(0))
    ideal = [amount * weight / whole for weight in weights]
    parts = [int(part / unit) * unit for part in ideal]
    missing = int((amount - sum(parts)) / unit)
    order = sorted(range(len(parts)), key=lambda place: (-abs(ideal[place] - parts[place]), place))
    for place in order[: abs(missing)]:
        parts[place] += unit if missing > 0 else -unit
    return parts


# F


def value_of(schedule: dict[str, Any], measure: Fraction) -> Fraction:
    """F: each slice at its band, or everything at the band reached."""
    if measure <= 0:
        return Fraction(0)
    value, reached, above, opens = Fraction(0), Fraction(0), Fraction(0), False
    for band in schedule["bands"]:
        upper = _upper(schedule, band)
        if not (measure > above or (opens and measure == above)):
            break
        end = measure if upper is None else min(measure, upper)
        value += _band(band, end - above)
        reached = _band(band, end)
        above, opens = (end if upper is None else upper), not band.get("includes_up_to", True)
    whole = value if schedule["semantics"] == "marginal" else reached
    floor, cap = schedule.get("floor"), schedule.get("cap")
    lifted = whole if floor is None else max(whole, number(floor))
    return lifted if cap is None else min(lifted, number(cap))


def _upper(schedule: dict[str, Any], band: dict[str, Any]) -> Fraction | None:
    if band.get("up_to") is None:
        return None
    bound = number(band["up_to"])
    return bound * number(schedule["quota"]) / HUNDRED if schedule.get("axis") == "attainment" else bound


def _band(band: dict[str, Any], measure: Fraction) -> Fraction:
    if band.get("percent") is not None:
        return measure * number(band["percent"]) / HUNDRED
    return measure * number(band["per_unit"]) if band.get("per_unit") is not None else number(band.get("flat") or 0)
