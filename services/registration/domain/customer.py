"""The customer as a partner names it, with what libraries found in it: checked identifiers, the registrable domain."""

from collections.abc import Callable
from dataclasses import replace

from chassis.event import LEFT_OUT, LeftOut, Sealed, frozen
from services.registration.domain.overlap import Place

COUNTRY_SCHEMES = ("vat", "registry", "tax")


@frozen
class Identifier:
    """A number of a public scheme: vat, lei, duns, registry, tax. `valid`: its form and check digits were checked."""

    scheme: str
    country: str | None = None
    value: str
    valid: bool = False

    @property
    def key_value(self) -> str:
        """The value as a key: with its country where the scheme is national."""
        return f"{self.country}:{self.value}" if self.scheme in COUNTRY_SCHEMES else self.value


@frozen
class Customer:
    """A company as it was named, its names in normal form, and the `libraries` that computed them, by version.

    `looks_like` is the same for domains that a reader may take for each other, such as `contoso` and `c0nt0so`.

    Of a natural person only country, region and domain stand here in the open: `private` holds the rest, sealed, and the
    values of identifiers are keyed hashes, so that they still tell whether two are the same.

    `phones` are keyed hashes of the telephone numbers of those who were named there, each sealed as what is said of the
    person is: once that is forgotten, nobody can tell any more whether a number is the same.
    """

    name: str
    trade_names: tuple[str, ...] = ()
    country: str
    region: str | None = None
    postcode: str | None = None
    street: str | None = None
    domain: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    normal_names: tuple[str, ...] = ()
    looks_like: str | None = None
    natural_person: bool = False
    private: Sealed | None = None
    libraries: dict[str, str]
    phones: tuple[Sealed, ...] | LeftOut = LEFT_OUT

    def place(self, scope: str) -> Place:
        """Where a claim on this customer reaches."""
        return Place(scope=scope, country=self.country, region=self.region, postcode=self.postcode, street=self.street)


def as_person(customer: Customer, private: Sealed, hashed: Callable[[str], str]) -> Customer:
    """The customer as a natural person is stored: nothing that names it in the open."""
    return replace(
        customer,
        name="",
        trade_names=(),
        postcode=None,
        street=None,
        identifiers=tuple(replace(one, value=hashed(one.key_value)) for one in customer.identifiers),
        normal_names=(),
        natural_person=True,
        private=private,
    )
