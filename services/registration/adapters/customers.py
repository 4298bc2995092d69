"""What libraries find in a customer as typed: checked identifiers, the registrable domain, names in normal form."""

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList
from stdnum import get_cc_module, lei
from stdnum.exceptions import ValidationError

from services.registration.adapters.names import looks_of, normal_names
from services.registration.application.ports import GivenCustomer, GivenIdentifier
from services.registration.domain.customer import COUNTRY_SCHEMES, Customer, Identifier
from services.registration.domain.deal import Incomplete
from services.registration.domain.overlap import normal_region

LIBRARIES = {name: version(name) for name in ("python-stdnum", "publicsuffixlist", "anyascii", "rapidfuzz")}
MODULES = {
    "vat": ("vat", "uid"),
    "tax": ("tin", "idnr", "nif", "codicefiscale", "utr", "pan", "vat"),
    "registry": (
        *("siren", "siret", "orgnr", "orgnummer", "cvr", "ytunnus", "abn", "acn", "cnpj", "uid", "regon", "cn", "brn"),
        *("uscc", "uen", "hp", "kvk", "businessid"),
    ),
}
"""The kinds of number that a country may have for a scheme, as python-stdnum names them; most have one or two.

A Swiss VAT number is often given as the company's own (`uid`), without the tax behind it.
"""
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_DUNS = re.compile(r"^\d{9}$")
_NUMBER = re.compile(r"^[A-Z0-9]{2,20}$")
_SWISS_TAX = re.compile(r"(MWST|TVA|IVA|TPV)$")
_REGION = re.compile(r"^[A-Z0-9]{1,3}$")
_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA "
    "RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR UM VI"
)
_PROVINCES = "AB BC MB NB NL NS NT NU ON PE QC SK YT"
REGIONS = {"US": frozenset(_STATES.split()), "CA": frozenset(_PROVINCES.split())}
"""The parts of ISO 3166-2 of the countries that are not enough to say where a customer is."""


@cache
def public_suffixes() -> PublicSuffixList:
    """The list inside its package, read once a process, which takes 65 ms: no start waits for it."""
    return PublicSuffixList(accept_unknown=False)


@cache
def country_codes() -> frozenset[str]:
    """The codes of ISO 3166-1, as the time zone database lists them."""
    table = (resources.files("tzdata") / "zoneinfo" / "iso3166.tab").read_text()
    return frozenset(line.split("\t")[0] for line in table.splitlines() if line and not line.startswith("#"))


@dataclass(frozen=True)
class Libraries:
    """The customer reader on python-stdnum, publicsuffixlist and anyascii, with the lists inside their packages."""

    countries: frozenset[str] = field(default_factory=country_codes)

    def read(self, given: GivenCustomer) -> Customer:
        if given.country not in self.countries:
            raise _refused("customer.country", "not-a-country", f"{given.country!r} is not a country of ISO 3166-1")
        names = (given.name, *given.trade_names)
        domain = self.domain(given.website) if given.website else None
        return Customer(
            name=given.name,
            trade_names=given.trade_names,
            country=given.country,
            region=region(given.region, given.country) if given.region else None,
            postcode=given.postcode,
            street=given.street,
            domain=domain,
            looks_like=looks_of(domain) if domain else None,
            identifiers=tuple(identifier(i, given.country, n) for n, i in enumerate(given.identifiers)),
            normal_names=normal_names(names),
            libraries=LIBRARIES,
        )

    def domain(self, website: str) -> str:
        """The registrable domain of an address or host: `https://www.contoso.co.uk/de` → `contoso.co.uk`."""
        host = _host(website)
        found: str | None = public_suffixes().privatesuffix(host) if host else None
        if found is None:
            raise _refused("website", "not-a-domain", f"{website!r} has no registrable domain")
        return found


def region(given: str, country: str) -> str:
    """The region as ISO 3166-2 writes it behind its country: `us-ca` → `CA`. Raises Invalid for one that is none."""
    code = normal_region(given, country)
    if code in REGIONS.get(country, (code,)) and _REGION.match(code):
        return code
    raise _refused("customer.region", "not-a-region", f"{given!r} is not a region of {country} in ISO 3166-2")


def _host(website: str) -> str | None:
    try:
        host = urlsplit(website if "//" in website else f"//{website}").hostname or ""
        name = host.rstrip(".").encode("idna").decode()
    except ValueError:
        return None
    return name if _HOST.fullmatch(name) else None


def identifier(given: GivenIdentifier, country: str, place: int = 0) -> Identifier:
    """The identifier in its compact form. Raises Invalid when its digits are wrong.

    A number that nobody can check, such as one of a register without check digits, stays unchecked: it is no key.
    """
    of = given.country or country if given.scheme in COUNTRY_SCHEMES else None
    try:
        value, valid = _checked(given.scheme, of, given.value)
    except ValidationError as error:
        path = f"customer.identifiers.{place}"
        raise _refused(path, "invalid-identifier", f"{given.value!r} is not a valid {given.scheme} number") from error
    return Identifier(scheme=given.scheme, country=of, value=value, valid=valid)


def _checked(scheme: str, country: str | None, text: str) -> tuple[str, bool]:
    compact = re.sub(r"[\s.\-/]", "", text).upper()
    if scheme == "lei":
        return lei.validate(compact), True
    if scheme == "duns":
        return _formed(_DUNS, compact), True
    known = _modules(scheme, country)
    if known:
        return _without_tax_words(country, _valid_in(known, text)), True
    return (_formed(_NUMBER, compact) if scheme == "registry" else compact), False


def checkable(scheme: str, country: str | None) -> bool:
    """Whether a number of that kind says by itself that it was written wrongly."""
    return scheme not in MODULES or bool(_modules(scheme, country))


@cache
def _modules(scheme: str, country: str | None) -> list[Any]:
    return [found for name in MODULES[scheme] if (found := get_cc_module((country or "").lower(), name))]


def _without_tax_words(country: str | None, number: str) -> str:
    """A Swiss VAT number is the company's own, with the tax named behind it in one of three languages."""
    return _SWISS_TAX.sub("", number) if country == "CH" else number


def _valid_in(modules: list[Any], text: str) -> str:
    """The compact form by the first kind of number that the text fits; a country may have several."""
    fitting = [module for module in modules if module.is_valid(text)]
    compact: str = (fitting or modules)[0].validate(text)
    return compact


def _formed(form: re.Pattern[str], text: str) -> str:
    if not form.match(text):
        raise ValidationError
    return text


def _refused(path: str, code: str, message: str) -> Incomplete:
    return Incomplete(message, errors=[{"path": path, "code": code, "message": message}])
