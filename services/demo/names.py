"""Names of companies that do not exist: a coined word, a trade, the legal form of the country, a domain of their own.

The same seed gives the same names in the same order. No two coined words begin alike, so that two names resemble each
other only where they are meant to. A customer's domain needs a public suffix, which `.example` is not; so that no name
is ever somebody's, it says `-demo` before the suffix of its country.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from chassis.event import frozen

ONSETS = ("b", "br", "c", "d", "f", "fl", "g", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "t", "tr", "v", "w")
INSIDE = ("b", "d", "f", "g", "l", "ld", "lv", "m", "n", "nd", "nt", "p", "r", "rd", "rn", "s", "t", "v", "x", "z")
VOWELS = ("a", "e", "i", "o", "u")
ENDINGS = ("a", "en", "ia", "is", "o", "on", "ea", "us", "el", "ano")
BEGINNING_LETTERS = 5
TRADES = (
    *("Agro", "Apps", "Auto", "Bau", "Bio", "Cargo", "Chem", "Dental", "Energy", "Foods", "Glass", "Health", "Home"),
    *("Hotels", "Labs", "Lines", "Media", "Metal", "Mobil", "Optics", "Paper", "Pharma", "Print", "Rail", "Retail"),
    *("Robots", "Solar", "Sports", "Steel", "Studio", "Textil", "Tools", "Toys", "Water", "Wood", "Works"),
)
GIVEN = (
    "Alma",
    "Bela",
    "Cleo",
    "Dario",
    "Elin",
    "Femi",
    "Gita",
    "Hugo",
    "Ines",
    "Jaro",
    "Kira",
    "Levi",
    "Mina",
    "Nilo",
)
STREETS = ("Harbour", "Mill", "Station", "Church", "Garden", "Market", "River", "Tower")
HOUSES_MAX, POSTCODES = 120, (10_000, 99_999)


@dataclass(frozen=True)
class Country:
    """A country with its legal forms and the public suffix of its domains. The US names the region too."""

    code: str
    forms: tuple[str, ...]
    suffix: str
    region: str | None = None


COUNTRIES = (
    Country("DE", ("GmbH", "AG", "GmbH & Co. KG"), "de"),
    Country("FR", ("SAS", "SARL"), "fr"),
    Country("GB", ("Ltd", "plc"), "co.uk"),
    Country("NL", ("B.V.", "N.V."), "nl"),
    Country("AT", ("GmbH",), "at"),
    Country("ES", ("S.L.",), "es"),
    Country("IT", ("S.r.l.", "S.p.A."), "it"),
    Country("SE", ("AB",), "se"),
    Country("PL", ("Sp. z o.o.",), "pl"),
    Country("US", ("Inc.", "LLC"), "com", "CA"),
)


@frozen
class Company:
    """A company. `word` is coined and its own."""

    word: str
    trade: str
    form: str
    country: Country
    domain: str
    street: str
    postcode: str

    @property
    def name(self) -> str:
        return f"{self.word.capitalize()} {self.trade} {self.form}"

    def namesake(self) -> "Company":
        """Another company of the same name in the same country, elsewhere on the web and in town."""
        return replace(self, domain=self._other_domain(self.country), street=f"Old {self.street}", postcode="10000")

    def neighbour(self) -> "Company":
        """A company of the same name at the same address under another domain: most likely the same customer."""
        return replace(self, domain=self._other_domain(self.country))

    def abroad(self, country: Country) -> "Company":
        """A company of the same name in another country."""
        return replace(
            self, form=country.forms[0], country=country, domain=self._other_domain(country), postcode="10001"
        )

    def _other_domain(self, country: Country) -> str:
        return f"{self.word}-{self.trade.lower()}-demo.{country.suffix}"


class Names:
    """Coined names, drawn one after the other."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw
        self._words = _words(draw)

    def company(self, country: Country) -> Company:
        """A new company of that country."""
        word = next(self._words)
        return Company(
            word=word,
            trade=self._draw.choice(TRADES),
            form=self._draw.choice(country.forms),
            country=country,
            domain=f"{word}-demo.{country.suffix}",
            street=f"{self._draw.choice(STREETS)} Street {self._draw.randint(1, HOUSES_MAX)}",
            postcode=str(self._draw.randint(*POSTCODES)),
        )

    def person(self, company: Company) -> str:
        """The name of somebody who works there."""
        return f"{self._draw.choice(GIVEN)} {company.word.capitalize()}"


def _words(draw: Random) -> Iterator[str]:
    beginnings: set[str] = set()
    while True:
        word = f"{draw.choice(ONSETS)}{draw.choice(VOWELS)}{draw.choice(INSIDE)}{draw.choice(VOWELS)}"
        word += f"{draw.choice(INSIDE)}{draw.choice(ENDINGS)}"
        if word[:BEGINNING_LETTERS] not in beginnings:
            beginnings.add(word[:BEGINNING_LETTERS])
            yield word
