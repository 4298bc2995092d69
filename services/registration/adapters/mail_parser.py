"""The first parser of mails: labelled lines say what the deal is, an address may hint at who the customer is.

Pure: the same mail is always read the same way. What would read it otherwise is another version, beside this one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any

from chassis.event import frozen
from services.registration.adapters.mail_labels import (
    CURRENCIES,
    DEAL_TYPES,
    MONTHS,
    NAMED,
    ROLES,
    SCHEMES,
    countries,
)
from services.registration.adapters.mail_text import CHARSET_GUESSED, Letter, Line, letter_of
from services.registration.domain.mail_reading import IDENTIFIERS, PRODUCTS, WEBSITE, Found, Reading
from services.registration.domain.shared_domains import FREE_MAIL

CERTAIN, CLEAR = 0.95, 0.9
QUOTED, GARBLED = 0.6, 0.7
UNCLEAR, SIGNED, ADDRESS = 0.5, 0.5, 0.4
PRODUCTS_MAX, FOUND_MAX = 50, 200
LABEL_CHARACTERS_MAX = 60
MARKS, ORNAMENT, EMPHASIS = ":=\t\uff1a", "-*•·_#| \t", "*_| \t"
"""What stands between a label and its value, and what may stand around the two."""

Value = tuple[Any, float]
"""What was read, and how surely; None where nothing could be made of it."""
NOTHING: Value = (None, 0.0)

_BULLET = re.compile(r"^[\s]*[-*•·]\s+(?P<value>\S.*)$")
_HOST = re.compile(r"^(?:https?://)?(?P<host>(?:[\w-]+\.)+[\w-]{2,})(?:[/?#:]\S*)?$", re.IGNORECASE)
_LOCAL, _DOMAIN = re.compile(r"^[\w.+'-]{1,64}$"), re.compile(r"^(?:[\w-]+\.)+[\w-]{2,}$")
_TIMES = re.compile(
    r"^(?:(?P<before>\d{1,7}) ?[x\u00d7] )?(?P<name>.+?)(?: [x\u00d7] ?(?P<after>\d{1,7}))?$", re.IGNORECASE
)
_AMOUNT = re.compile(r"^(?P<before>[^\d\s.,-]{0,5})\s*(?P<number>\d[\d.,'\s\u00a0]*)\s*(?P<after>[^\d\s.,-]{0,5})\.?$")
_ISO = re.compile(r"^(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})$")
_DOTTED = re.compile(r"^(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})$")
_SLASHED = re.compile(r"^(?P<one>\d{1,2})/(?P<two>\d{1,2})/(?P<year>\d{4})$")
_DAY_FIRST = re.compile(
    r"^(?P<day>\d{1,2})\.?(?:st|nd|rd|th)?\s+(?:de\s+)?(?P<month>[^\W\d_]+)\.?,?\s+(?:de\s+)?(?P<year>\d{4})$"
)
_MONTH_FIRST = re.compile(r"^(?P<month>[^\W\d_]+)\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4})$")
_PHONE = re.compile(r"\+[1-9][\d\s()/-]{4,20}")


@dataclass(frozen=True)
class LabelledLines:
    """Version 1."""

    version: int = 1

    def read(self, raw: str) -> Reading:
        letter = letter_of(raw)
        found = [*islice(_labelled(letter), FOUND_MAX), *islice(_guessed(letter), FOUND_MAX)]
        return Reading(parser=self.version, found=tuple(_contradicted(found)), remarks=letter.remarks)


def _contradicted(found: list[Found]) -> Iterator[Found]:
    """Of what stands twice, and differs, nothing is sure. Several identifiers are no contradiction."""
    for one in found:
        others = [other for other in found if other.name == one.name and not other.guess and other.value != one.value]
        doubted = others and not one.guess and one.name != IDENTIFIERS
        yield replace(one, confidence=min(one.confidence, UNCLEAR)) if doubted else one


# Labelled lines


@frozen
class Said:
    """What stands behind a label, with the lines that go on with it."""

    label: str
    line: Line
    text: str
    more: tuple[str, ...] = ()


def _said(lines: tuple[Line, ...]) -> Iterator[Said]:
    for place, line in enumerate(lines):
        label = _label_of(line.text)
        if label:
            more = tuple(_going_on(lines[place + 1 :]))
            yield Said(label=label[0], line=line, text=label[1], more=more)


def _label_of(text: str) -> tuple[str, str] | None:
    """The field that the line is about, and what it says of it."""
    places = [place for mark in MARKS if (place := text.find(mark, 0, LABEL_CHARACTERS_MAX)) > 0]
    at = min(places, default=0)
    name = NAMED.get(" ".join(text[:at].strip(ORNAMENT).casefold().split()))
    return (name, " ".join(text[at + 1 :].strip(EMPHASIS).split())) if name else None


def _going_on(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        if not line.text or line.signed or _label_of(line.text):
            return
        yield line.text


def _labelled(letter: Letter) -> Iterator[Found]:
    said = list(_said(letter.lines))
    currency = next((one.text for one in said if one.label == "currency"), "")
    for one in said:
        if one.label != "currency":
            yield from _read(one, currency, guessed=CHARSET_GUESSED in letter.remarks)


def _read(said: Said, currency: str, *, guessed: bool) -> Iterator[Found]:
    name, text, (value, confidence) = _valued(said, currency)
    if text:
        garbled = GARBLED if guessed and not text.isascii() else CERTAIN
        within = min(
            confidence, garbled, QUOTED if said.line.quoted else CERTAIN, SIGNED if said.line.signed else CERTAIN
        )
        yield Found(
            name=name,
            value=value,
            text=text,
            source=_source(said.line),
            confidence=within,
            guess=said.line.signed or said.line.quoted,
        )


def _source(line: Line) -> str:
    kind = "signature, " if line.signed else "quoted, " if line.quoted else ""
    return f"{kind}line {line.number}"


def _valued(said: Said, currency: str) -> tuple[str, str, Value]:
    """The field, its words and its value."""
    if said.label in SCHEMES:
        return IDENTIFIERS, said.text, ({"scheme": said.label, "value": said.text[:40]}, CERTAIN)
    if said.label == PRODUCTS:
        listed = said.text or "; ".join(found["value"] for one in said.more if (found := _BULLET.match(one)))
        return PRODUCTS, listed, _products(listed)
    if said.label == "description":
        text = " ".join((said.text, *said.more)).strip()
        return "description", text, (text[:2_000], CERTAIN)
    if said.label == "contact":
        return "contacts", said.text, _contacts(said.text)
    if said.label == "amount":
        return "amount", said.text, _amount(said.text, currency)
    read = READ.get(said.label, _text)
    return said.label, said.text, read(said.text)


# Values


def _text(text: str) -> Value:
    return text, CERTAIN


def _country(text: str) -> Value:
    word = text.casefold().strip(" .")
    if re.fullmatch("[A-Z]{2}", text.strip()):
        return text.strip(), CERTAIN
    return (countries()[word], CLEAR) if word in countries() else NOTHING


def _website(text: str) -> Value:
    found = _HOST.match(text.strip("<> "))
    return (found["host"].casefold(), CERTAIN) if found else NOTHING


def _products(text: str) -> Value:
    words = [word.strip() for word in re.split(r"[;,]", text) if word.strip()][:PRODUCTS_MAX]
    return ([_product(word) for word in words], CERTAIN) if words else NOTHING


def _product(word: str) -> dict[str, Any]:
    found = _TIMES.match(word)
    name, quantity = (found["name"], found["before"] or found["after"]) if found else (word, None)
    family, _, sku = name.partition("/")
    product = {"family": family.strip()[:80], "sku": sku.strip()[:64]} if sku else {"family": name[:80]}
    return {**product, "quantity": int(quantity)} if quantity else product


def _amount(text: str, currency: str) -> Value:
    found = _AMOUNT.match(text.strip())
    if not found:
        return NOTHING
    named = CURRENCIES.get((found["before"] or found["after"] or currency.strip()).casefold())
    number, confidence = _number(re.sub(r"['\s\u00a0]", "", found["number"]).strip(".,"))
    if named is None or number is None:
        return NOTHING
    return {"amount": str(number), "currency": named[0]}, confidence if named[1] else min(confidence, UNCLEAR)


def _number(text: str) -> tuple[Decimal | None, float]:
    """12.500,00 and 12,500.00 are clear; of 12.500 nobody knows whether it is twelve and a half or a thousand times that."""
    marks = [mark for mark in text if mark in ".,"]
    if not marks:
        return Decimal(text), CERTAIN
    last = text.rindex(marks[-1])
    behind, same = len(text) - last - 1, len(set(marks)) == 1
    if same and len(marks) > 1:
        return _whole(text), CLEAR if _grouped(text) else UNCLEAR
    if same and behind == 3:  # noqa: PLR2004  digits of a group
        return _whole(text), UNCLEAR
    return Decimal(f"{_whole(text[:last])}.{text[last + 1 :]}"), CLEAR if same or _grouped(text[:last]) else UNCLEAR


def _whole(text: str) -> Decimal:
    return Decimal(re.sub("[.,]", "", text))


def _grouped(text: str) -> bool:
    return re.fullmatch(r"\d{1,3}([.,]\d{3})+|\d+", text) is not None


def _day(text: str) -> Value:
    word = text.strip().casefold()
    for form in (_ISO, _DOTTED):
        if found := form.match(word):
            return _date(found["year"], int(found["month"]), found["day"])
    for form in (_DAY_FIRST, _MONTH_FIRST):
        if found := form.match(word):
            return _date(found["year"], MONTHS.get(found["month"], 0), found["day"])
    found = _SLASHED.match(word)
    return _slashed(int(found["one"]), int(found["two"]), found["year"]) if found else NOTHING


def _slashed(one: int, two: int, year: str) -> Value:
    """Where only one of the two can be a month, it is; else nobody knows."""
    day, month = (two, one) if two > 12 else (one, two)  # noqa: PLR2004  months
    value, confidence = _date(year, month, str(day))
    return value, confidence if max(one, two) > 12 or one == two else min(confidence, UNCLEAR)  # noqa: PLR2004  months


def _date(year: str, month: int, day: str) -> Value:
    try:
        return date(int(year), month, int(day)).isoformat(), CLEAR
    except ValueError:
        return NOTHING


def _one_of(table: dict[str, tuple[str, ...]]) -> Callable[[str], Value]:
    known = {word: code for code, words in table.items() for word in words}

    def read(text: str) -> Value:
        word = text.casefold().strip(" .")
        return (known[word], CLEAR) if word in known else NOTHING

    return read


def _contacts(text: str) -> Value:
    """A person, with the address and the number that stand beside the name."""
    mail, phone = next(_addresses(text), None), _PHONE.search(text)
    rest = text
    for found in (mail, phone[0] if phone else None):
        rest = rest.replace(found, " ") if found else rest
    name = " ".join(re.sub(r"[<>(),;|]", " ", rest).split())
    person = {"name": name[:120]}
    person |= {"email": mail} if mail else {}
    person |= {"phone": "+" + re.sub(r"\D", "", phone[0])[:15]} if phone else {}
    return ([person], CERTAIN) if name else NOTHING


READ: dict[str, Callable[[str], Value]] = {
    "customer.country": _country,
    "customer.website": _website,
    "close_on": _day,
    "role": _one_of(ROLES),
    "deal_type": _one_of(DEAL_TYPES),
}


# Guesses


def _guessed(letter: Letter) -> Iterator[Found]:
    """Whose addresses stand in the mail, besides those of who sent it: perhaps the customer's."""
    for line in letter.lines:
        for found in _addresses(line.text) if not _label_of(line.text) else ():
            domain = found.rpartition("@")[2].casefold()
            if domain not in (*FREE_MAIL, letter.from_domain):
                source = f"address, {_source(line)}"
                yield Found(name=WEBSITE, value=domain, text=found, source=source, confidence=ADDRESS, guess=True)


def _addresses(text: str) -> Iterator[str]:
    """The e-mail addresses in a line."""
    for word in text.split() if "@" in text else ():
        found = word.strip("<>()[],;:\"'").removeprefix("mailto:")
        local, _, domain = found.rpartition("@")
        if _LOCAL.match(local) and _DOMAIN.match(domain):
            yield found
