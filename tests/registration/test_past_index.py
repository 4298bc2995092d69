"""The index of customers as it was at a position lately passed: what it names is what the index of then would name."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chassis.event import LEFT_OUT
from services.registration.adapters.account_index import METHOD, TenantIndex
from services.registration.adapters.customers import LIBRARIES
from services.registration.adapters.names import normal_names
from services.registration.adapters.past_index import PastIndex
from services.registration.domain.account import (
    AccountLinked,
    AccountOpened,
    AccountsMerged,
    AccountsSplit,
    KeptApart,
    NameAdded,
    ParentCut,
    ParentLinked,
)
from services.registration.domain.customer import Customer, Identifier
from services.registration.domain.matching import IndexSeen
from tests.registration.deals import NOW, SEALED, customer

NAMES = ("Siemens AG", "Siemens Energy AG", "Siemens Healthineers", "Contoso GmbH", "Contoso Ltd", "IBM", "日立製作所")
NUMBERS = ("", "", "1234", "5678")


def named(name: str, *trade_names: str, country: str = "DE", number: str = "") -> Customer:
    """A customer; with a number, one that nobody can check."""
    names = (name, *trade_names)
    return customer(
        name=name,
        trade_names=trade_names,
        country=country,
        normal_names=normal_names(names),
        identifiers=(Identifier(scheme="registry", country="SM", value=number),) if number else (),
        libraries=LIBRARIES,
    )


def opened(account_id: str, of: Customer) -> AccountOpened:
    return AccountOpened(account_id=account_id, customer=of, keys=(), registration_id="r", opened_at=NOW)


def merged(one: str, other: str) -> AccountsMerged:
    nothing: dict[str, Any] = dict.fromkeys(("keys", "normal_names", "moved", "kept", "incumbents", "contested"), ())
    named = {"merge_id": f"{one}-{other}", "survivor_id": one, "absorbed_id": other}
    return AccountsMerged(**named, **nothing, reason=SEALED, merged_by="desk", merged_at=NOW)


def split(one: str, other: str) -> AccountsSplit:
    named = {"merge_id": f"{one}-{other}", "survivor_id": one, "absorbed_id": other}
    return AccountsSplit(**named, returned=(), split_by="desk", split_at=NOW)


def related(random: Random, one: str, other: str) -> Any:
    said = {"account_id": one, "other_id": other, "registration_id": "r"}
    edge = {"account_id": one, "parent_id": other, "root_id": other, "link_id": "l"}
    return random.choice(
        (
            AccountLinked(**said, link=random.choice(("alias", "parent")), linked_by="desk", linked_at=NOW),
            KeptApart(**said, decided_by="desk", kept_at=NOW),
            ParentLinked(**edge, contested=(), reason=SEALED, linked_by="desk", linked_at=NOW),
        )
    )


class Happening:
    """What may happen to customers, one event at a time, each possible after those before it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.index, self.merges, self.edges = TenantIndex(), list[tuple[str, str]](), set[tuple[str, str]]()

    def next(self) -> Any:
        happened = self._any()
        match happened:
            case AccountsMerged():
                self.merges.append((happened.survivor_id, happened.absorbed_id))
            case AccountsSplit():
                self.merges.remove((happened.survivor_id, happened.absorbed_id))
            case ParentLinked():
                self.edges.add((happened.account_id, happened.parent_id))
            case ParentCut():
                self.edges.discard((happened.account_id, happened.parent_id))
        self.index.take(happened)
        return happened

    def _any(self) -> Any:
        random, known = self._random, sorted(self.index.known)
        alive = [one for one in known if one not in self.index.merged]
        if len(alive) < 3 or random.random() < 0.4:
            trade = random.sample(NAMES, random.randint(0, 2))
            of = {"country": random.choice(("DE", "GB")), "number": random.choice(NUMBERS)}
            return opened(f"a{len(known):02}", named(random.choice(NAMES), *trade, **of))
        one, other = random.sample(alive, 2)
        if random.random() < 0.3:
            new = [n for n in normal_names((random.choice(NAMES),)) if n not in self.index.known[one].names]
            if new:
                return NameAdded(
                    account_id=one, name=new[0], normal_names=tuple(new), registration_id="r", added_at=NOW
                )
        if random.random() < 0.3:
            return merged(one, other)
        if self.merges and random.random() < 0.5:
            return split(*random.choice(self.merges))
        if self.edges and random.random() < 0.3:
            child, parent = random.choice(sorted(self.edges))
            gone = {"account_id": child, "parent_id": parent, "root_id": parent, "link_id": "l"}
            return ParentCut(**gone, members=(), cut_by="desk", cut_at=NOW)
        return related(random, one, other)


@given(seed=st.integers(0, 1 << 32), length=st.integers(1, 40), back=st.integers(0, 12))
def test_looking_back_names_what_was_named_then_and_forgets_nothing_that_came_since(
    seed: int, length: int, back: int
) -> None:
    random = Random(seed)
    happening, past, then = Happening(random), PastIndex(), TenantIndex()
    events = [happening.next() for _ in range(length)]
    for position, happened in enumerate(events, start=1):
        past.learn(happened, position)
        if position <= length - back:
            then.take(happened)
    wanted, own = (
        named(random.choice(NAMES), number=random.choice(NUMBERS)),
        random.sample(sorted(happening.index.known), 1),
    )
    seen = IndexSeen(version=METHOD, position=max(length - back, 0))

    assert past.near(wanted, own, seen).candidates == then.near(wanted, frozenset(own))
    assert past.near(wanted, own, LEFT_OUT).candidates == happening.index.near(wanted, frozenset(own))
    assert vars(past._index) == vars(happening.index)


@given(seed=st.integers(0, 1 << 32), length=st.integers(1, 30), asked=st.lists(st.integers(0, 30), max_size=10))
def test_it_may_be_asked_of_earlier_and_later_positions_in_any_order(seed: int, length: int, asked: list[int]) -> None:
    random = Random(seed)
    happening, past = Happening(random), PastIndex()
    events = [happening.next() for _ in range(length)]
    for position, happened in enumerate(events, start=1):
        past.learn(happened, position)
    wanted = named(random.choice(NAMES), number=random.choice(NUMBERS))
    for position in asked:
        then = TenantIndex()
        for happened in events[:position]:
            then.take(happened)
        seen = IndexSeen(version=METHOD, position=position)
        assert past.near(wanted, (), seen).candidates == then.near(wanted, frozenset())


def learnt(count: int, steps_max: int) -> PastIndex:
    past = PastIndex(steps_max)
    for number in range(1, count + 1):
        past.learn(opened(f"a{number}", named(NAMES[number % len(NAMES)])), number)
    return past


def test_what_cannot_be_looked_up_as_it_was_says_why() -> None:
    past = learnt(5, steps_max=3)
    now, before = named("IBM"), customer(libraries={**LIBRARIES, "rapidfuzz": "2"})

    past.near(now, (), IndexSeen(version=METHOD, position=5))

    def why(of: Customer, seen: Any) -> tuple[str, ...]:
        return past.near(of, (), seen).remarks

    assert why(now, IndexSeen(version=METHOD, position=2)) == ()
    assert why(now, IndexSeen(version=METHOD, position=1)) == ("index-not-as-then",)
    assert why(now, LEFT_OUT) == ("index-not-as-then",)
    assert why(now, IndexSeen(version=METHOD - 1, position=5)) == ("other-index-method",)
    assert why(before, IndexSeen(version=METHOD, position=5)) == ("other-libraries",)


def test_names_that_an_older_library_wrote_otherwise_are_found_as_todays_writes_them() -> None:
    past = PastIndex()
    old = customer(name="Straßenbau Müller AG", normal_names=("stra enbau m ller",), libraries={"anyascii": "0"})
    past.learn(opened("a1", old), 1)
    past.learn(
        NameAdded(account_id="a1", name="Löwenbräu", normal_names=("l wenbr u",), registration_id="r", added_at=NOW), 2
    )
    seen = IndexSeen(version=METHOD, position=2)

    assert [one.token_set_percent for one in past.near(named("Strassenbau Mueller"), (), seen).candidates] == [97]
    assert [one.account_id for one in past.near(named("Lowenbrau"), (), seen).candidates] == ["a1"]
