"""What registration asks of the world around it."""

from collections.abc import Iterable
from typing import Any, Protocol

from chassis.event import LeftOut, frozen
from contracts.values import AccountId
from services.registration.domain.customer import Customer
from services.registration.domain.mail_reading import Reading
from services.registration.domain.matching import Candidate, IndexSeen


@frozen
class GivenIdentifier:
    scheme: str
    value: str
    country: str | None = None


@frozen
class GivenCustomer:
    """A customer as it was typed in."""

    name: str
    country: str
    trade_names: tuple[str, ...] = ()
    region: str | None = None
    postcode: str | None = None
    street: str | None = None
    website: str | None = None
    identifiers: tuple[GivenIdentifier, ...] = ()


class CustomerReader(Protocol):
    """Finds what libraries can find in a customer as typed."""

    def read(self, given: GivenCustomer) -> Customer:
        """Checked identifiers, registrable domain, names in normal form. Raises Invalid naming the field."""
        ...


@frozen
class Near:
    """What an index answers, and as of when: another one that has read as far answers the same."""

    candidates: tuple[Candidate, ...]
    index: IndexSeen


class AccountIndex(Protocol):
    """Knows every account by name, also a little late."""

    async def near(self, tenant: str, customer: Customer, accounts: Iterable[AccountId]) -> Near:
        """Accounts that resemble the customer or are linked to `accounts`, most alike first, ten at most.

        Raises Busy where too many are asking.
        """
        ...


@frozen
class Then:
    """As `Near`, of an earlier index. `remarks` are codes of why the one of then may have named others."""

    candidates: tuple[Candidate, ...]
    index: IndexSeen | LeftOut
    remarks: tuple[str, ...] = ()


class PastAccounts(Protocol):
    """The index of one tenant as it was at each position of a log that is read again."""

    reads: frozenset[str]

    def learn(self, happened: Any, position: int) -> None:
        """Learns from an event of one of the types `reads`; positions never fall."""
        ...

    def near(self, customer: Customer, accounts: Iterable[AccountId], seen: IndexSeen | LeftOut) -> Then:
        """As the index of then would answer, had it read as far as `seen`."""
        ...


class MailReader(Protocol):
    """Reads a deal out of a mail. A `version` reads the same mail the same way for ever."""

    @property
    def version(self) -> int: ...

    def read(self, raw: str) -> Reading:
        """What the mail says of a deal; of one that nobody can read, nothing. Raises nothing."""
        ...


@frozen
class Ports:
    customers: CustomerReader
    accounts: AccountIndex
    mails: MailReader
    mail_bytes_max: int
