"""How a customer is found among a million: how fast, how often the right one is shown, how often a block is right.

The register is generated, so that the truth is known: companies with rare and with common words, some under one domain
with another company, and questions as people type them, about companies that are in it and about some that are not. A
look-up is what a registration does: the keys decide who it is, the index finds whose name is alike. The same is done with
the names of listed companies that lie beside the project, where they do; their labels are noisy, so they are told only.

Times are of the processor, so that a busy machine does not count; garbage is collected as in a running service.
"""

import csv
import gc
import gzip
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._figures import Figure, at_least, at_most, beside, skipped
from chassis.event import decode, encode, stable_id
from chassis.keys import Keys
from contracts.values import AccountId, RegistrationId
from services.registration.adapters.account_index import TenantIndex
from services.registration.adapters.customers import Libraries
from services.registration.adapters.names import normal_names
from services.registration.domain.account import AccountOpened
from services.registration.domain.account_key import Key, keys_of
from services.registration.domain.customer import Customer, Identifier
from services.registration.domain.rules import Matching

SIZES = (10_000, 100_000, 1_000_000)
QUESTIONS = 2_000
P99_TARGET_MS, RECALL_TARGET, PRECISION_TARGET, INDEX_TARGET_MIB = 10.0, 0.99, 0.99, 1_024
READY_TARGET_S, PAGE = 30.0, 10_000
REAL_NAMES = Path(os.environ.get("ENTENTE_COMPANIES", "../shared/data/companies.csv.gz"))
AT = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Matching()
TENANT, PERSONS = "acme", 500

CONSONANTS, VOWELS = "bcdfghklmnprstvwz", "aeiou"
RARE, COMMON = 60_000, 400
COUNTRIES = ("DE", "GB", "FR", "US", "NL", "IT", "ES", "AT", "CH", "SE")
COUNTRY_WEIGHTS = (25, 18, 12, 12, 8, 8, 6, 4, 4, 3)
TRADES = (
    *("Systems", "Logistics", "Energy", "Foods", "Robotics", "Health", "Media", "Trading", "Technologies", "Works"),
    *(
        "Industries",
        "Pharma",
        "Capital",
        "Engineering",
        "Solutions",
        "Services",
        "Bank",
        "Steel",
        "Motors",
        "Chemicals",
    ),
)
SHORT = {"Technologies": "Tech", "Industries": "Ind", "Engineering": "Eng", "International": "Intl", "Services": "Svcs"}
FORMS = ("GmbH", "AG", "Ltd", "Inc", "SA", "BV", "SpA", "AB", "Holding GmbH", "Group plc")
SHARED_DOMAIN, NO_DOMAIN, KNOWN_COMPANY = 0.002, 0.10, 0.85
"""Of the companies: on the domain of another one, which nobody has said; without any. Of the questions: known ones."""
ASKED_DOMAIN, ASKED_IDENTIFIER, OTHER_DOMAIN = 0.85, 0.25, 0.05
"""How often a question names the domain, an identifier, or another domain of the same company."""


@dataclass(frozen=True, slots=True)
class Company:
    """One company as it is in truth."""

    number: int
    name: str
    country: str
    domain: str | None
    vat: str

    @property
    def account_id(self) -> AccountId:
        return AccountId(f"a{self.number}")


@dataclass
class Register:
    """The accounts by key, as their streams say, and by name, as the index knows them."""

    index: TenantIndex = field(default_factory=TenantIndex)
    keys: dict[str, AccountId] = field(default_factory=dict)

    def open(self, account_id: AccountId, customer: Customer) -> None:
        keys = tuple(key for key in keys_of(customer, RULES) if key.identity not in self.keys)
        self.keys |= {key.identity: account_id for key in keys}
        self.index.take(_opened(account_id, customer, keys))

    def look_up(self, customer: Customer) -> tuple[tuple[AccountId, ...], tuple[AccountId, ...]]:
        """The accounts that the keys decide for, and those whose names are alike, ten at most."""
        found = (self.keys.get(key.identity) for key in keys_of(customer, RULES))
        decided = tuple(dict.fromkeys(account for account in found if account))
        alike = self.index.near(customer, frozenset(decided))
        return decided, tuple(one.account_id for one in alike)


def _opened(account_id: AccountId, customer: Customer, keys: tuple[Key, ...]) -> AccountOpened:
    deal = RegistrationId(account_id)
    return AccountOpened(account_id=account_id, customer=customer, keys=keys, registration_id=deal, opened_at=AT)


# Run


def run(sizes: Iterable[int] = SIZES, questions: int = QUESTIONS) -> Iterable[Figure]:
    dice = random.Random(7)
    words = Words(dice)
    register, companies = Register(), list[Company]()
    before = _resident_mib()
    for size in sizes:
        grow(register, companies, size, dice, words)
        answers = ask(register, companies, questions, dice, words)
        yield from _told(size, answers)
        if size == max(sizes):
            yield at_most("lookup.memory_of_the_register", _resident_mib() - before, "MiB", INDEX_TARGET_MIB)
    del register
    gc.collect()
    yield at_most("lookup.ready_from_the_log", filled(companies), "s", READY_TARGET_S)
    del companies
    gc.collect()
    yield from telephones(max(sizes), questions)
    yield from real_names()


def filled(companies: list[Company]) -> float:
    """Seconds of the processor that a process that starts takes to fill its index from the stored events."""
    index, seconds = TenantIndex(), 0.0
    for first in range(0, len(companies), PAGE):
        stored = [encode(opened(one)) for one in companies[first : first + PAGE]]
        began = time.process_time()
        for event in stored:
            index.take(decode(AccountOpened.type, event))  # type: ignore[attr-defined]
        seconds += time.process_time() - began
    return seconds


def opened(one: Company) -> AccountOpened:
    """The event with which a company's account began."""
    wanted = customer(one.name, one.country, one.domain, one.vat if not one.domain else None)
    return _opened(one.account_id, wanted, keys_of(wanted, RULES))


def telephones(size: int, questions: int) -> Iterator[Figure]:
    """The same index where every company names somebody with a telephone number, alone in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        mib, answers = pool.submit(_with_telephones, size, questions).result()
    yield at_most("lookup.telephones.memory_of_the_index", mib, "MiB", INDEX_TARGET_MIB)
    slowest, usual = answers.percentile(99), ("p50, ms", answers.percentile(50))
    yield at_most(f"lookup.telephones.{size}.p99", slowest, "ms", P99_TARGET_MS, usual)


def _with_telephones(size: int, questions: int) -> "tuple[float, Answers]":
    """Resident memory of the index in MiB, and what it answers. Numbers lie sealed, and are opened where they are compared."""
    dice = random.Random(7)
    words = Words(dice)
    with TemporaryDirectory() as folder:
        keys = Keys.in_directory(Path(folder))
        keys.prepare()
        index, before = TenantIndex(partial(keys.open, TENANT)), _resident_mib()
        asked = list[Company]()
        for number in range(size):
            one = company(number, dice, words, [])
            index.take(decode(AccountOpened.type, encode(_named(keys, opened(one)))))  # type: ignore[attr-defined]
            asked += [one] if number % (size // questions) == 0 else []
        gc.collect()
        mib, register = _resident_mib() - before, Register(index)
        return mib, ask(register, asked, questions, dice, words, partial(_sealed, keys))


def _named(keys: Keys, happened: AccountOpened) -> AccountOpened:
    return replace(happened, customer=_sealed(keys, happened.customer))


def _sealed(keys: Keys, customer: Customer) -> Customer:
    """The customer with the telephone number of one of its people. A person's key is made once, which takes milliseconds."""
    person = sum(map(ord, customer.name)) % PERSONS
    phone = keys.seal(TENANT, f"person-{stable_id(person)}", sha256(customer.name.encode()).hexdigest())
    return replace(customer, phones=(phone,))


def _told(size: int, answers: "Answers") -> Iterator[Figure]:
    yield at_most(
        f"lookup.{size}.p99", answers.percentile(99), "ms", P99_TARGET_MS, ("p50, ms", answers.percentile(50))
    )
    yield at_least(f"lookup.{size}.recall_at_10", answers.recall, "of 1", RECALL_TARGET)
    yield at_least(f"lookup.{size}.precision_of_blocking", answers.precision, "of 1", PRECISION_TARGET)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


# Companies


class Words:
    """Words of company names: a few are met everywhere, most hardly ever, as Zipf found."""

    def __init__(self, dice: random.Random) -> None:
        self.rare = [self._word(dice, 2, 4) for _ in range(RARE)]
        self.common = [self._word(dice, 2, 3) for _ in range(COMMON)]
        self.weights = list(accumulate(1 / rank for rank in range(1, COMMON + 1)))

    @staticmethod
    def _word(dice: random.Random, least: int, most: int) -> str:
        syllables = (dice.choice(CONSONANTS) + dice.choice(VOWELS) for _ in range(dice.randint(least, most)))
        return "".join(syllables).title() + dice.choice(("", "n", "s", "x", "r"))

    def name(self, dice: random.Random) -> str:
        first = dice.choice(self.rare)
        second = dice.choice((dice.choice(self.rare), dice.choices(self.common, cum_weights=self.weights)[0], ""))
        parts = (first, second, dice.choice((*TRADES, "")), dice.choice(FORMS))
        return " ".join(part for part in parts if part)


def company(number: int, dice: random.Random, words: Words, others: list[Company]) -> Company:
    name = words.name(dice)
    country = dice.choices(COUNTRIES, COUNTRY_WEIGHTS)[0]
    domain: str | None = f"{''.join(normal_names((name,))[0].split())}{number % 97}-{number}.example"
    if others and dice.random() < SHARED_DOMAIN:
        domain = dice.choice(others).domain
    elif dice.random() < NO_DOMAIN:
        domain = None
    return Company(number, name, country, domain, vat=f"{number:09d}")


def grow(register: Register, companies: list[Company], size: int, dice: random.Random, words: Words) -> None:
    """Registers companies until there are so many; each by its domain, or else by its number."""
    for number in range(len(companies), size):
        one = company(number, dice, words, companies)
        companies.append(one)
        register.open(one.account_id, customer(one.name, one.country, one.domain, one.vat if not one.domain else None))


def customer(name: str, country: str, domain: str | None, vat: str | None = None) -> Customer:
    identifiers = (Identifier(scheme="vat", country=country, value=vat, valid=True),) if vat else ()
    names = normal_names((name,))
    return Customer(
        name=name, country=country, domain=domain, identifiers=identifiers, normal_names=names, libraries={}
    )


# Questions


@dataclass
class Answers:
    """What came of the questions."""

    times_ms: list[float] = field(default_factory=list)
    known: int = 0
    shown: int = 0
    blocked: int = 0
    rightly: int = 0

    @property
    def recall(self) -> float:
        return self.shown / self.known

    @property
    def precision(self) -> float:
        """Of the questions that a key decided, those that it decided for the right company."""
        return self.rightly / self.blocked

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.times_ms, n=100)[percent - 1]

    def note(self, truth: AccountId | None, decided: tuple[AccountId, ...], alike: tuple[AccountId, ...]) -> None:
        self.known += truth is not None
        self.shown += truth is not None and truth in (*decided, *alike)
        self.blocked += bool(decided)
        self.rightly += truth in decided


def ask(
    register: Register,
    companies: list[Company],
    questions: int,
    dice: random.Random,
    words: Words,
    more: Callable[[Customer], Customer] = lambda customer: customer,
) -> Answers:
    """Asks for companies as people type them; `more` says what else is told of one."""
    answers = Answers()
    for n in range(questions):
        known = dice.random() < KNOWN_COMPANY
        one = dice.choice(companies) if known else company(10**9 + n, dice, words, companies)
        wanted = more(typed(one, dice))
        started = time.process_time()
        decided, alike = register.look_up(wanted)
        answers.times_ms.append((time.process_time() - started) * 1_000)
        answers.note(one.account_id if known else None, decided, alike)
    return answers


def typed(one: Company, dice: random.Random) -> Customer:
    """The company as somebody writes it: another legal form, a slip, a word short, left out or moved."""
    *names, _ = one.name.split()
    change = dice.choice((_same, _slip, _shortened, _moved, _with_form))
    domain = one.domain if dice.random() < ASKED_DOMAIN else None
    if domain and dice.random() < OTHER_DOMAIN:
        domain = f"{domain.partition('.')[0]}-group.example"
    vat = one.vat if dice.random() < ASKED_IDENTIFIER else None
    return customer(" ".join(change(names, dice)), one.country, domain, vat)


def _same(names: list[str], _: random.Random) -> list[str]:
    return names


def _slip(names: list[str], dice: random.Random) -> list[str]:
    """Two letters of the longest word change places."""
    longest = max(range(len(names)), key=lambda n: len(names[n]))
    word = names[longest]
    at = dice.randrange(len(word) - 1)
    return [*names[:longest], word[:at] + word[at + 1] + word[at] + word[at + 2 :], *names[longest + 1 :]]


def _shortened(names: list[str], _: random.Random) -> list[str]:
    return [SHORT.get(name, name) for name in names]


def _moved(names: list[str], _: random.Random) -> list[str]:
    return [*names[1:], names[0]]


def _with_form(names: list[str], dice: random.Random) -> list[str]:
    return [*names, dice.choice(FORMS)]


# Real names


@dataclass(frozen=True)
class Listing:
    """One row: rows of one entity are said to be one company."""

    entity: str
    name: str
    country: str
    domain: str | None


def real_names() -> Iterator[Figure]:
    """Listed companies: the first name of each is registered, the others are asked for."""
    if not REAL_NAMES.exists():
        yield skipped("lookup.real", f"no names at {REAL_NAMES}: set ENTENTE_COMPANIES to the file")
        return
    listings = list(_listings())
    register, asked = _registered(listings)
    by_name = [one for one in asked if not _finds(register, one, with_domain=False)]
    by_both = [one for one in asked if not _finds(register, one, with_domain=True)]
    blocked = [one for one in asked if register.look_up(_as_customer(one))[0]]
    right = sum(AccountId(one.entity) in register.look_up(_as_customer(one))[0] for one in blocked)
    by_name_alone = ("by name alone", 1 - len(by_name) / len(asked))
    yield beside("lookup.real.recall_at_10", 1 - len(by_both) / len(asked), "of 1", by_name_alone)
    yield beside("lookup.real.precision_of_blocking", right / len(blocked), "of 1", ("questions", float(len(asked))))


def _listings() -> Iterator[Listing]:
    libraries = Libraries()
    with gzip.open(REAL_NAMES, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            yield Listing(row["entity"], row["name"], row["country"], _domain(libraries, row["website"]))


def _domain(libraries: Libraries, website: str) -> str | None:
    try:
        return libraries.domain(website) if website else None
    except Exception:  # noqa: BLE001  a website that is none is no domain, whatever is wrong with it
        return None


def _registered(listings: Iterable[Listing]) -> tuple[Register, list[Listing]]:
    register, asked = Register(), list[Listing]()
    known: dict[str, set[str]] = {}
    for one in listings:
        names = known.setdefault(one.entity, set())
        if not names:
            register.open(AccountId(one.entity), _as_customer(one))
        elif one.name not in names:
            asked.append(one)
        names.add(one.name)
    return register, asked


def _as_customer(one: Listing, *, with_domain: bool = True) -> Customer:
    return customer(one.name, one.country, one.domain if with_domain else None)


def _finds(register: Register, one: Listing, *, with_domain: bool) -> bool:
    decided, alike = register.look_up(_as_customer(one, with_domain=with_domain))
    return AccountId(one.entity) in (*decided, *alike)
