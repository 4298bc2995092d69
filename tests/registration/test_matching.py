"""The worked examples of names and identifiers, against the real libraries."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.decider import Busy
from chassis.event import Sealed
from services.registration.adapters.account_index import METHOD, READ, FeedIndex, TenantIndex
from services.registration.adapters.customers import Libraries, identifier
from services.registration.adapters.names import grams, likeness, normal_names
from services.registration.application.ports import GivenCustomer, GivenIdentifier
from services.registration.domain.account import AccountLinked, AccountOpened, KeptApart, NameAdded
from services.registration.domain.customer import Identifier
from services.registration.domain.deal import Deals, Incomplete
from services.registration.domain.deal_events import DealScreened
from services.registration.domain.matching import classify, find
from services.registration.domain.rules import Matching
from tests.registration.deals import NOW, candidate, customer
from tests.registration.service import TENANT, Running, activated, started

RULES = Matching()
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Contoso GmbH & Co. KG", ("contoso",)),
        ("Müller Straßenbau AG", ("muller strassenbau", "müller strassenbau")),
        ("S.A. Brasserie", ("sa brasserie",)),
        ("Brasserie S.A.", ("brasserie",)),
        ("PT Astra Tbk", ("astra",)),
        ("Ben & Jerry's Inc.", ("ben and jerrys",)),
        ("Limited", ("limited",)),
        ("\uff23\uff4f\uff4e\uff54\uff4f\uff53\uff4f\u3000Ltd", ("contoso",)),
        ("株式会社日立製作所", ("rilizhizuosuo", "日立製作所")),
    ],
)
def test_a_name_has_one_normal_form_in_each_script(name: str, expected: tuple[str, ...]) -> None:
    assert normal_names([name]) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Siemens", "Siemens Energy", (100, 66)),
        ("IBM", "International Business Machines", (11, 11)),
        ("Contoso GmbH", "Contoso Ltd", (100, 100)),
    ],
)
def test_done_when_3_the_scores_of_the_worked_names_are_rounded_down(
    one: str, other: str, expected: tuple[int, int]
) -> None:
    assert likeness(normal_names([one]), normal_names([other])) == expected


@pytest.mark.parametrize(
    ("one", "other", "same_country", "expected"),
    [
        ("Siemens", "Siemens Energy", True, "possible"),
        ("Contoso GmbH", "Contoso Ltd", False, "weak"),
        ("IBM", "International Business Machines", True, None),
        ("Hitachi", "株式会社日立製作所", True, None),
    ],
)
def test_done_when_3_the_worked_names_are_of_the_class_that_is_published(
    one: str, other: str, expected: str | None, *, same_country: bool
) -> None:
    scores = likeness(normal_names([one]), normal_names([other]))
    known = candidate(
        same_country=same_country,
        token_set_percent=scores.token_set_percent,
        token_sort_percent=scores.token_sort_percent,
    )

    assert classify(known, RULES) == expected


def test_done_when_3_hitachi_in_another_script_is_no_likeness() -> None:
    assert likeness(normal_names(["Hitachi"]), normal_names(["株式会社日立製作所"])).token_set_percent <= 30


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"link": "alias", "same_country": False}, "related"),
        ({"token_set_percent": 100, "token_sort_percent": 92, "same_address": True}, "probable"),
        ({"token_set_percent": 100, "token_sort_percent": 91, "same_address": True}, "possible"),
        ({"token_set_percent": 100, "token_sort_percent": 92, "same_phone": True}, "probable"),
        ({"token_set_percent": 100, "token_sort_percent": 91, "same_phone": True}, "possible"),
        ({"token_set_percent": 100, "token_sort_percent": 92, "same_phone": True, "same_country": False}, "weak"),
        ({"token_set_percent": 84, "token_sort_percent": 92, "same_phone": True}, None),
        ({"token_set_percent": 84, "token_sort_percent": 92, "same_phone": True, "same_address": True}, "probable"),
        ({"token_set_percent": 100, "token_sort_percent": 66}, "possible"),
        ({"token_set_percent": 85}, "possible"),
        ({"token_set_percent": 84}, None),
        ({"token_set_percent": 100, "token_sort_percent": 100, "same_country": False}, "weak"),
    ],
)
def test_the_first_fitting_row_is_the_class(changes: dict[str, object], expected: str | None) -> None:
    assert classify(candidate(**changes), RULES) == expected


def test_findings_stand_strongest_first() -> None:
    weak = candidate("w", token_set_percent=100, same_country=False)
    possible = candidate("p", token_set_percent=90)
    linked = candidate("l", link="parent")

    assert [f.match for f in find((weak, possible, candidate("n"), linked), RULES)] == ["related", "possible", "weak"]


@given(st.lists(st.integers(0, 100), min_size=2, max_size=2), st.booleans(), st.booleans())
def test_a_higher_score_is_never_a_weaker_class(scores: list[int], same_country: bool, same_address: bool) -> None:
    strength = ("related", "probable", "possible", "weak", None)
    low, high = sorted(scores)

    def class_of(score: int) -> int:
        known = candidate(
            token_set_percent=score, token_sort_percent=score, same_country=same_country, same_address=same_address
        )
        return strength.index(classify(known, RULES))

    assert class_of(high) <= class_of(low)


LIBRARIES = Libraries()


@pytest.mark.parametrize(
    ("website", "expected"),
    [
        ("https://www.contoso.co.uk/de?x=1", "contoso.co.uk"),
        ("Contoso.COM", "contoso.com"),
        ("shop.contoso.com:8080", "contoso.com"),
        ("bücher.example.de", "example.de"),
        ("contoso.github.io", "contoso.github.io"),
    ],
)
def test_a_website_has_one_registrable_domain(website: str, expected: str) -> None:
    assert LIBRARIES.domain(website) == expected


@pytest.mark.parametrize(
    "website",
    ["co.uk", "localhost", "http://", "http://[", "contoso.invalid-tld", "..", "github.io", "con toso.com", "a,b.com"],
)
def test_what_is_no_registrable_domain_is_refused(website: str) -> None:
    with pytest.raises(Incomplete) as refused:
        LIBRARIES.domain(website)
    assert refused.value.fields["errors"][0]["path"] == "website"


@pytest.mark.parametrize(
    ("given_identifier", "country", "expected"),
    [
        (GivenIdentifier(scheme="vat", value="DE 129.273.398"), "DE", ("DE", "129273398", True)),
        (GivenIdentifier(scheme="vat", value="129273398", country="DE"), "FR", ("DE", "129273398", True)),
        (GivenIdentifier(scheme="lei", value="2138 00KUD8LAJWSQ9D15"), "GB", (None, "213800KUD8LAJWSQ9D15", True)),
        (GivenIdentifier(scheme="duns", value="15-048-3782"), "US", (None, "150483782", True)),
        (GivenIdentifier(scheme="vat", value="12-3456"), "US", ("US", "123456", False)),
        (GivenIdentifier(scheme="registry", value="12345"), "IE", ("IE", "12345", False)),
        (GivenIdentifier(scheme="registry", value="C 1234567"), "US", ("US", "C1234567", False)),
        (GivenIdentifier(scheme="vat", value="CHE-107.787.577 IVA"), "CH", ("CH", "CHE107787577", True)),
        (GivenIdentifier(scheme="vat", value="CHE107787577MWST"), "CH", ("CH", "CHE107787577", True)),
        (GivenIdentifier(scheme="vat", value="CHE-107.787.577"), "CH", ("CH", "CHE107787577", True)),
    ],
)
def test_identifiers_are_checked_and_compacted(
    given_identifier: GivenIdentifier, country: str, expected: tuple[str | None, str, bool]
) -> None:
    found = identifier(given_identifier, country)

    assert (found.country, found.value, found.valid) == expected


@pytest.mark.parametrize(("scheme", "value"), [("vat", "DE129273399"), ("lei", "213800KUD8LAJWSQ9D16"), ("duns", "12")])
def test_a_wrong_check_digit_is_refused(scheme: str, value: str) -> None:
    with pytest.raises(Incomplete):
        identifier(GivenIdentifier(scheme=scheme, value=value), "DE")


@pytest.mark.parametrize(
    ("scheme", "country", "value"),
    [
        ("tax", "DE", "36574261809"),
        ("registry", "FR", "732 829 320"),
        ("registry", "NO", "988 077 917"),
        ("registry", "DK", "13585628"),
    ],
)
def test_national_numbers_are_checked_by_their_own_digits(scheme: str, country: str, value: str) -> None:
    digits = value.replace(" ", "")
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)

    assert identifier(GivenIdentifier(scheme=scheme, value=value), country).value == digits
    with pytest.raises(Incomplete):
        identifier(GivenIdentifier(scheme=scheme, value=wrong), country)


@pytest.mark.parametrize(
    ("country", "given", "expected"),
    [("US", "CA", "CA"), ("US", "us-ca", "CA"), ("CA", "Qc", "QC"), ("DE", "DE-BY", "BY"), ("DE", "", None)],
)
def test_a_region_has_one_form(country: str, given: str, expected: str | None) -> None:
    assert LIBRARIES.read(GivenCustomer(name="Contoso", country=country, region=given)).region == expected


@pytest.mark.parametrize(("country", "given"), [("US", "ON"), ("US", "XX"), ("CA", "US-CA"), ("DE", "Bayern")])
def test_what_is_no_region_of_the_country_is_refused(country: str, given: str) -> None:
    with pytest.raises(Incomplete) as refused:
        LIBRARIES.read(GivenCustomer(name="Contoso", country=country, region=given))

    assert [(one["path"], one["code"]) for one in refused.value.fields["errors"]] == [
        ("customer.region", "not-a-region")
    ]


def test_a_customer_keeps_the_versions_of_the_libraries() -> None:
    found = LIBRARIES.read(GivenCustomer(name="Contoso GmbH", country="DE", website="contoso.de"))

    assert found.domain == "contoso.de"
    assert sorted(found.libraries) == ["anyascii", "publicsuffixlist", "python-stdnum", "rapidfuzz"]


def opened(account: str, name: str, country: str = "DE", **changes: object) -> AccountOpened:
    of = customer(name=name, country=country, normal_names=normal_names([name]), **changes)
    return AccountOpened(account_id=account, customer=of, keys=(), registration_id="r", opened_at=NOW)


def index(*events: object) -> TenantIndex:
    made = TenantIndex()
    for happened in events:
        made.take(happened)
    return made


def near(made: TenantIndex, name: str, *accounts: str) -> list[tuple[str, int]]:
    found = made.near(customer(name=name, normal_names=normal_names([name])), frozenset(accounts))
    return [(known.account_id, known.token_set_percent) for known in found]


def test_the_index_finds_like_names_and_not_itself() -> None:
    made = index(opened("s", "Siemens AG"), opened("e", "Siemens Energy AG"), opened("x", "Fabrikam SE"))

    assert near(made, "Siemens GmbH", "s") == [("e", 100)]
    assert near(made, "Siemens GmbH") == [("s", 100), ("e", 100)]


def test_a_number_that_nobody_can_check_only_says_that_two_may_be_one() -> None:
    number = Identifier(scheme="registry", country="IE", value="12345", valid=False)
    long_ago = replace(number, valid=True)
    made = index(opened("a", "Alder Mills", "IE", identifiers=(long_ago,)), opened("b", "Birch Works", "IE"))

    found = made.near(customer(name="Cedar", normal_names=("cedar",), identifiers=(number,)), frozenset())

    assert [(one.account_id, one.link) for one in found] == [("a", "unchecked_number")]
    assert [classify(one, Matching()) for one in found] == ["related"]
    assert made.near(customer(name="Cedar", normal_names=("cedar",), identifiers=(number,)), frozenset("a")) == ()


def test_the_index_knows_added_names_links_and_what_was_kept_apart() -> None:
    named = NameAdded(account_id="s", name="Big Blue", normal_names=("big blue",), registration_id="r", added_at=NOW)
    linked = AccountLinked(
        account_id="x", other_id="s", link="alias", registration_id="r", linked_by="desk", linked_at=NOW
    )
    apart = KeptApart(account_id="e", other_id="s", registration_id="r", decided_by="desk", kept_at=NOW)
    made = index(
        opened("s", "Siemens AG"), opened("e", "Siemens Energy AG"), opened("x", "Fabrikam"), named, linked, apart
    )

    assert near(made, "Big Blue") == [("s", 100)]
    assert near(made, "Fabrikam", "x") == [("s", 26)]
    assert near(made, "Siemens Energy", "e") == []


NAMES_IN_ANOTHER_PROCESS = """
from tests.registration.test_matching import index, near, opened
words = ("amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heron", "inlet")
made = index(*(opened(f"{word}-{n:03}", word) for word in words for n in range(100)))
print(near(made, " ".join(words)))
"""


def test_the_same_accounts_are_named_in_every_process_however_many_are_alike() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", NAMES_IN_ANOTHER_PROCESS],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(said) == 1
    assert "amber-000" in said.pop()


def test_short_names_are_pieces_of_their_own() -> None:
    assert grams("ibm") == {"ibm"}
    assert grams("big blue") == {"bigb", "igbl", "gblu", "blue"}


def test_a_telephone_number_is_the_same_as_long_as_both_persons_are_known() -> None:
    kept = {"b1": "hash-1", "b2": "hash-2", "b3": "hash-1"}
    made = TenantIndex(lambda sealed: kept.get(sealed.box))
    phones = {box: (Sealed(subject=f"contact-{box}", box=box),) for box in ("b1", "b2", "b3")}
    for account, box in (("a1", "b1"), ("a2", "b2")):
        made.take(opened(account, "Contoso", phones=phones[box]))
    made.take(opened("a3", "Contoso"))
    asking = customer(name="Contoso", normal_names=normal_names(["Contoso"]), phones=phones["b3"])

    def same() -> dict[str, bool]:
        return {one.account_id: one.same_phone is True for one in made.near(asking, frozenset())}

    assert same() == {"a1": True, "a2": False, "a3": False}
    assert not any(
        one.same_phone for one in made.near(customer(name="Contoso", normal_names=("contoso",)), frozenset())
    )
    del kept["b1"]
    assert same() == {"a1": False, "a2": False, "a3": False}


@pytest.mark.parametrize(
    ("there", "here", "read"),
    [
        (("Contoso", "DE", {}), {}, ["mine", "theirs"]),
        (("Contoso", "GB", {}), {}, []),
        (("Contoso Energy", "DE", {}), {}, []),
        (("Contoso", "DE", {"postcode": "10115"}), {"postcode": "10115"}, []),
        (("Contoso", "DE", {"postcode": "10115"}), {"postcode": "10117"}, ["mine", "theirs"]),
    ],
)
def test_a_telephone_number_is_opened_only_where_it_could_make_a_customer_probable(
    there: tuple[str, str, dict[str, str]], here: dict[str, str], read: list[str]
) -> None:
    seen: list[str] = []

    def opens(sealed: Sealed) -> str:
        seen.append(sealed.box)
        return "hash"

    made = TenantIndex(opens)
    name, country, address = there
    made.take(opened("a1", name, country, phones=(Sealed(subject="s1", box="theirs"),), **address))
    mine = (Sealed(subject="s2", box="mine"),)
    asking = customer(name="Contoso", normal_names=normal_names(["Contoso"]), phones=mine, **here)
    assert [one.account_id for one in made.near(asking, frozenset())] == ["a1"]
    assert sorted(seen) == read


async def test_what_named_the_candidates_of_a_look_is_found_again_from_the_log_up_to_its_position(
    tmp_path: Path,
) -> None:
    async with started(tmp_path) as registration:
        await registration.hear(activated("p1"))
        await registration.publish_rules()
        names = {
            "Siemens AG": "siemens.com",
            "Siemens Energy AG": "siemens-energy.com",
            "Siemens Energy SE": "energy.de",
        }
        bodies = [{"name": name, "country": "DE", "website": website} for name, website in names.items()]
        _, found, _ = [await registration.register("p1", customer=body) for body in bodies]

        [screened] = await recorded(registration, DealScreened, found["registration_id"])
        facts = screened.facts
        then = TenantIndex()
        for fact in await registration.service.store.feed(0, 1_000):
            if fact.position <= facts.index.position and fact.type in READ:
                then.take(fact.event)
        deal = await registration.service.application.executor.peek(TENANT)(Deals.at(found["registration_id"]))

        assert facts.index.version == METHOD
        assert [one.name for one in facts.candidates] == ["Siemens AG"]
        assert then.near(deal.first.customer, frozenset(deal.accounts)) == facts.candidates


async def recorded(registration: Running, kind: type, registration_id: str) -> list[Any]:
    facts = await registration.service.store.feed(0, 1_000)
    events = (fact.event for fact in facts)
    return [one for one in events if isinstance(one, kind) and one.registration_id == registration_id]


class Gated:
    """A log that is read once the gate is open."""

    known = 1

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def feed(self, *_: int) -> list[Any]:
        await self.gate.wait()
        return []


async def test_so_many_ask_the_index_at_most_and_who_comes_then_is_told_to_come_again() -> None:
    store: Any = Gated()
    index = FeedIndex(store, at_once=1, waiting_max=2)
    async with asyncio.TaskGroup() as group:
        first, second = [group.create_task(index.near(TENANT, customer(), ())) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await index.near(TENANT, customer(), ())
        store.gate.set()

    assert first.result() == second.result() == await index.near(TENANT, customer(), ())
