"""What does not grow with use: the process's memory, the backlog after a load, and the search among known customers.

A server takes so many commands as fast as they come, half of them notes and half registrations, and is watched. The
search among accounts by name is measured alone and first, on generated names, because filling a store with them takes
longer than all other benchmarks.
"""

import asyncio
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from benchmarks._figures import Figure, at_most
from benchmarks.http import measure, resident_mib, server
from contracts.values import AccountId, RegistrationId
from services.registration.adapters.account_index import TenantIndex
from services.registration.adapters.names import normal_names
from services.registration.domain.account import AccountOpened
from services.registration.domain.customer import Customer

COMMANDS = 10_000
MEMORY_TARGET_MIB = 300
BACKLOG_TARGET_SECONDS = 5
FEW, MANY = 5_000, 50_000
SEARCHES = 400
SEARCH_TARGET_MS = 2.0
CONSONANTS, VOWELS = "bdfgklmnprstvw", "aeiou"
KINDS = ("Systems", "Logistics", "Energy", "Foods", "Robotics", "Health", "Media", "Partners", "Trading", "Works")


def run() -> Iterable[Figure]:
    yield from _searches()
    each = COMMANDS // 2
    with server() as (base, pid):
        before = resident_mib(pid)
        seen = asyncio.run(measure(base, each, warm_up=500))
        after = resident_mib(pid)
    backlog = each / seen.visible_per_second - each / seen.registrations.per_second
    yield at_most(f"growth.memory_after_{COMMANDS}", after, "MiB", MEMORY_TARGET_MIB, ("at rest, MiB", before))
    yield at_most("growth.backlog_after_load", backlog, "s", BACKLOG_TARGET_SECONDS)


def _searches() -> Iterable[Figure]:
    dice = random.Random(1)
    index = TenantIndex()
    few_ms = _search_ms(index, dice, FEW)
    many_ms = _search_ms(index, dice, MANY)
    yield at_most(f"growth.search_among_{MANY}_accounts", many_ms, "ms", SEARCH_TARGET_MS, (f"among {FEW}, ms", few_ms))


def _search_ms(index: TenantIndex, dice: random.Random, accounts: int) -> float:
    """The mean time of one search once the index holds so many accounts."""
    for number in range(len(index.known), accounts):
        index.take(_opened(number, _customer(dice)))
    wanted = [_customer(dice) for _ in range(SEARCHES)]
    started = time.perf_counter()
    for customer in wanted:
        index.near(customer, frozenset())
    return (time.perf_counter() - started) / SEARCHES * 1_000


def _opened(number: int, customer: Customer) -> AccountOpened:
    identity = f"account-{number}"
    now = datetime.now(UTC)
    return AccountOpened(
        account_id=AccountId(identity),
        customer=customer,
        keys=(),
        registration_id=RegistrationId(identity),
        opened_at=now,
    )


def _customer(dice: random.Random) -> Customer:
    """A company of two made-up words and a common one, as many companies are called."""
    name = " ".join((_word(dice), _word(dice), dice.choice(KINDS), "GmbH"))
    return Customer(name=name, country="DE", normal_names=normal_names((name,)), libraries={})


def _word(dice: random.Random) -> str:
    syllables = (dice.choice(CONSONANTS) + dice.choice(VOWELS) for _ in range(dice.randint(2, 4)))
    return "".join(syllables).title()
