"""What keeps a deal out or asks for a look: exclusions and their dates, capacity by quarter, territory, earlier sales."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chassis.decider import NotFound, Stream
from chassis.event import LEFT_OUT, encode
from contracts.values import AccountId, OpportunityId, PartnerId, RegistrationId
from services.registration.application.ports import Near
from services.registration.application.registering import Submission, prepare_registration
from services.registration.domain.account_key import Key
from services.registration.domain.availability import availability
from services.registration.domain.capacity import (
    Capacities,
    CapacityOpened,
    ReleaseSlot,
    SlotReleased,
    SlotsSeen,
    SlotTaken,
    quarter_before,
    quarter_of,
)
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import AddEvidence, CloseDeal, WithdrawDeal
from services.registration.domain.deal_events import Evidence
from services.registration.domain.disclosure import disclosed
from services.registration.domain.exclusion import (
    AddExclusion,
    EndExclusion,
    EndsBeforeItBegins,
    ExclusionAdded,
    Exclusions,
    family_targets,
)
from services.registration.domain.matching import IndexSeen
from services.registration.domain.partner_facts import (
    Certified,
    Partners,
    RecordCertifiedCount,
    RecordPartnerFacts,
    carry,
)
from services.registration.domain.partner_tier import RecordPartnerTier
from services.registration.domain.screening import DEAL_RULES, explained
from services.registration.domain.trace import documents_of, traces_of
from services.registration.domain.track_record import ResultCounted, TrackRecords
from tests.registration.deals import CONTOSO, NOW, Town, approval, customer, details, product, wish

BEFORE = NOW - timedelta(days=1)
TARGET = "domain:contoso.com"


def exclusion(**changes: Any) -> AddExclusion:
    fields: dict[str, Any] = {
        "target": TARGET,
        "exclusion_id": "x-1",
        "kind": "named",
        "from_on": date(2026, 1, 1),
        "by": "desk-1",
        "now": BEFORE,
        **changes,
    }
    return AddExclusion(**fields)


def asked(town: Town, deal: str = "a", partner: str = "p-1", **changes: Any) -> dict[str, str]:
    """Registers, and answers the codes of the checks by the outcome that they ask for."""
    town.register(deal, partner, **{"targets": (TARGET, "family:cloud"), **changes})
    checks = town.state(Deals.at(deal)).screened.screening.checks
    return {check.code: check.pull for check in checks if check.code}


# Exclusions


@pytest.mark.parametrize("kind", ["named", "house", "vendor_direct"])
def test_what_the_vendor_keeps_is_rejected(kind: str) -> None:
    town = Town()
    town.run(exclusion(kind=kind))

    assert asked(town)["excluded"] == "reject"
    assert str(town.state(Deals.at("a")).status) == "rejected"


def test_an_exclusion_that_was_recorded_after_the_partner_asked_does_not_count() -> None:
    town = Town()
    town.run(exclusion(now=NOW))

    codes = asked(town)

    assert (codes["recorded-late"], "excluded" in codes) == ("approve", False)


def test_an_exclusion_recorded_during_the_review_does_not_count_at_the_approval() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(exclusion(now=NOW + timedelta(hours=1)))

    events = town.run(approval(targets=(TARGET,), now=NOW + timedelta(hours=2)))[0]

    assert [type(one).__name__ for one in events] == ["DealApproved"]


@pytest.mark.parametrize(
    ("changes", "excluded"),
    [
        ({"from_on": date(2026, 3, 2)}, True),
        ({"from_on": date(2026, 3, 3)}, False),
        ({"until_on": date(2026, 3, 2)}, True),
        ({"until_on": date(2026, 3, 1)}, False),
        ({"kind": "contact"}, False),
    ],
)
def test_an_exclusion_counts_from_its_first_to_its_last_day(changes: dict[str, Any], excluded: bool) -> None:
    town = Town()
    town.run(exclusion(**changes))

    assert ("excluded" in asked(town)) is excluded


def test_a_family_is_excluded_with_all_that_it_contains() -> None:
    assert family_targets("cloud/storage/cold") == ["family:cloud", "family:cloud/storage", "family:cloud/storage/cold"]
    town = Town()
    town.run(exclusion(target="family:cloud"))

    assert "excluded" in asked(town)


def test_an_exclusion_is_added_once_and_ended_by_its_id() -> None:
    town = Town()

    [[added]] = town.run(exclusion())
    assert isinstance(added, ExclusionAdded)
    assert town.run(exclusion()) == [[]]
    town.run(EndExclusion(target=TARGET, exclusion_id="x-1", by="desk-1", now=NOW))
    assert town.state(Exclusions.at(TARGET)).entries == ()
    with pytest.raises(NotFound):
        town.run(EndExclusion(target=TARGET, exclusion_id="x-1", by="desk-1", now=NOW))
    with pytest.raises(EndsBeforeItBegins):
        town.run(exclusion(until_on=date(2025, 12, 31)))


def test_an_excluded_customer_looks_like_one_that_is_taken() -> None:
    town = Town()
    town.run(exclusion())
    asked(town)

    assert availability(town.state(Deals.at("a")).screened.screening, known=True) == "taken"


# Contacts, territory, earlier sales


def test_a_recent_contact_of_the_vendor_asks_for_a_look_where_the_rules_say_so() -> None:
    contact = exclusion(kind="contact", contacted_on=date(2026, 2, 1))
    looking, blind, late = Town(vendor_active_months=3), Town(), Town(vendor_active_months=3)
    looking.run(contact)
    blind.run(contact)
    late.run(replace(contact, now=NOW))
    old = Town(vendor_active_months=3)
    old.run(replace(contact, contacted_on=date(2025, 11, 30)))

    assert [("vendor-active" in asked(town)) for town in (looking, blind, late, old)] == [True, False, False, False]


def test_a_contact_that_was_recorded_after_the_partner_asked_says_that_it_does_not_count() -> None:
    def codes(in_normal_form: Any = True, **contact: Any) -> dict[str, str]:
        town = Town(vendor_active_months=3)
        town.run(exclusion(kind="contact", **{"contacted_on": date(2026, 2, 1), "now": NOW, **contact}))
        found = asked(town, in_normal_form=in_normal_form)
        return {code: found[code] for code in ("recorded-late", "vendor-active") if code in found}

    assert codes() == {"recorded-late": "approve"}
    assert codes(now=BEFORE) == {"vendor-active": "review"}
    assert codes(contacted_on=date(2025, 11, 30)) == {}
    assert codes(in_normal_form=LEFT_OUT) == {}, "what was screened before is decided as it was"


def test_a_customer_outside_the_territory_asks_for_a_look() -> None:
    inside, region, outside = Town(territories=["DE"]), Town(territories=["DE-BY"]), Town(territories=["FR", "DE-BY"])

    assert "outside-territory" not in asked(inside)
    assert "outside-territory" not in asked(region, customer=customer(region="BY"))
    assert asked(outside)["outside-territory"] == "review"


def test_who_has_bought_before_is_looked_at_as_a_new_customer() -> None:
    town = Town()
    town.register("old", "p-2")
    town.run(approval("old", "p-2"))
    won = {"result": "won", "opportunity_id": OpportunityId("o"), "source_event_id": "e"}
    town.run(CloseDeal(registration_id="old", accounts=(CONTOSO,), now=NOW, **won))

    assert asked(town)["existing-customer"] == "review"
    assert "existing-customer" not in asked(town, "b", "p-3", deal_type="renewal")


# Capacity

SLOTS = SlotsSeen(quarter="2026-Q1")


def slots(town: Town, quarter: str = "2026-Q1") -> tuple[RegistrationId, ...] | None:
    taken: tuple[RegistrationId, ...] | None = town.state(Capacities.at(f"p-1.{quarter}")).taken
    return taken


def open_deals(town: Town, count: int) -> None:
    for number in range(count):
        here = {"keys": (), "accounts": (AccountId(f"account-{number}"),), "products": (product(str(number)),)}
        town.register(f"d{number}", "p-1", slots=SLOTS, **here)


def test_done_when_3_of_twenty_five_the_twenty_sixth_is_rejected_and_takes_no_slot() -> None:
    town = Town(capacity=25)
    open_deals(town, 25)

    assert asked(town, "more", slots=SLOTS)["capacity-full"] == "reject"
    assert len(slots(town) or ()) == 25


def test_a_slot_of_a_deal_that_is_open_no_more_is_given_back_first() -> None:
    town = Town(capacity=2)
    open_deals(town, 2)
    seen = replace(SLOTS, open=(RegistrationId("d1"),), closed=(RegistrationId("d0"),))

    codes = asked(town, "more", slots=seen)

    assert "capacity-full" not in codes
    assert town.of(Capacities.at("p-1.2026-Q1"))[-2:] == [
        SlotReleased(partner_id=PartnerId("p-1"), registration_id=RegistrationId("d0"), released_at=NOW),
        SlotTaken(partner_id=PartnerId("p-1"), registration_id=RegistrationId("more"), taken_at=NOW),
    ]


def test_a_deal_that_is_over_gives_its_slot_back_in_every_quarter_that_counts_it() -> None:
    town, later = Town(capacity=9), NOW + timedelta(days=40)
    open_deals(town, 2)
    carried = SlotsSeen(quarter="2026-Q2", carried=(RegistrationId("d0"), RegistrationId("d1")))
    asked(town, "next", slots=carried, now=later)
    over = ReleaseSlot(
        partner_id=PartnerId("p-1"), registration_id=RegistrationId("d0"), quarters=("2026-Q2", "2026-Q1"), now=later
    )

    assert town.run(over) == [[released("d0", later)], [released("d0", later)]]
    assert (slots(town, "2026-Q2"), slots(town)) == (("d1", "next"), ("d1",))
    assert town.run(over) == [[], []]


def released(deal: str, at: datetime) -> SlotReleased:
    return SlotReleased(partner_id=PartnerId("p-1"), registration_id=RegistrationId(deal), released_at=at)


class CountedPeek:
    """Reads from a town, and counts the deals that were read."""

    def __init__(self, town: Town) -> None:
        self.town, self.deals = town, 0

    async def __call__(self, stream: Stream) -> Any:
        return (await self.all((stream,)))[0]

    async def all(self, streams: Iterable[Stream]) -> list[Any]:
        asked_for = list(streams)
        self.deals += sum(stream.decider is Deals for stream in asked_for)
        return [self.town.state(stream) for stream in asked_for]


class Nobody:
    async def near(self, *_: Any) -> Near:
        return Near(candidates=(), index=IndexSeen(version=1, position=1))


async def looked_at(town: Town, now: datetime = NOW) -> tuple[int, SlotsSeen | None]:
    """How many deals are read for one more registration, and what is told of the slots."""
    peek, made = CountedPeek(town), wish("more", "p-1")
    fields = {name: getattr(made, name) for name in ("programme", "partner_id", "customer", "products", "role")}
    said = Submission(
        **fields,
        registration_id=made.registration_id,
        deal_type="new",
        scope="entity",
        details=made.details,
        screening_id="s",
        by="seller",
        now=now,
    )
    command = await prepare_registration(peek, Nobody(), "acme", said)  # type: ignore[arg-type]
    return peek.deals, command.slots


@pytest.mark.parametrize("count", [1, 100])
async def test_a_registration_reads_no_other_deal_while_a_slot_is_left(count: int) -> None:
    town = Town(capacity=101)
    open_deals(town, count)

    assert await looked_at(town) == (0, SlotsSeen(quarter="2026-Q1"))


async def test_where_no_slot_is_left_the_deals_themselves_say_which_are_over() -> None:
    town = Town(capacity=3)
    open_deals(town, 3)
    town.run(WithdrawDeal(**of(town, "d1"), reason_code="gone", by="seller"))

    assert await looked_at(town) == (3, SlotsSeen(quarter="2026-Q1", closed=(RegistrationId("d1"),)))


async def test_a_quarter_opens_with_the_open_deals_of_the_last_one_that_had_any() -> None:
    town = Town(capacity=9)
    open_deals(town, 2)
    town.run(WithdrawDeal(**of(town, "d1"), reason_code="gone", by="seller"))

    seen = SlotsSeen(quarter="2026-Q4", carried=(RegistrationId("d0"),))
    assert await looked_at(town, datetime(2026, 12, 1, tzinfo=UTC)) == (2, seen)


def of(town: Town, deal: str) -> dict[str, Any]:
    state = town.state(Deals.at(deal))
    return {"registration_id": RegistrationId(deal), "accounts": state.accounts, "programme": "default", "now": NOW}


def test_a_quarter_opens_with_the_deals_that_are_still_open() -> None:
    town = Town(capacity=1)
    carried = SlotsSeen(quarter="2026-Q2", carried=(RegistrationId("d0"),))

    codes = asked(town, "more", slots=carried, now=datetime(2026, 4, 1, tzinfo=UTC))

    assert codes["capacity-full"] == "reject"
    assert town.of(Capacities.at("p-1.2026-Q2"))[0] == CapacityOpened(
        partner_id=PartnerId("p-1"),
        quarter="2026-Q2",
        open=(RegistrationId("d0"),),
        opened_at=datetime(2026, 4, 1, tzinfo=UTC),
    )


def test_quarters_follow_each_other() -> None:
    assert [quarter_of(datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 3, 4, 12)] == [
        "2026-Q1",
        "2026-Q1",
        "2026-Q2",
        "2026-Q4",
    ]
    assert [quarter_before(quarter) for quarter in ("2026-Q1", "2026-Q3")] == ["2025-Q4", "2026-Q2"]


def tier(level: str | None, **changes: Any) -> RecordPartnerTier:
    fields: dict[str, Any] = {"programme": "tiers", "effective_on": date(2026, 1, 1), "source_event_id": "t-1"}
    fields = {**fields, "source_position": 5, "now": BEFORE, **changes}
    return RecordPartnerTier(partner_id=PartnerId("p-1"), level=level, **fields)


def certified(count: int, position: int = 8, certification: str = "cloud-expert") -> RecordCertifiedCount:
    news = Certified(
        certification=certification,
        count=count,
        effective_on=date(2026, 3, 1),
        event_id=f"counted-{position}",
        position=position,
    )
    return RecordCertifiedCount(partner_id=PartnerId("p-1"), certified=news, now=BEFORE)


EXPERTS = {"certification": "cloud-expert", "count": 2, "families": ["cloud"]}


@pytest.mark.parametrize(
    ("news", "missing"),
    [
        ([], True),
        ([certified(1)], True),
        ([certified(2)], False),
        ([certified(2), certified(1, position=9)], True),
        ([certified(2), certified(1, position=7)], False),
        ([certified(5, certification="other")], True),
    ],
)
def test_a_deal_asks_for_certified_people_by_the_newest_news(
    news: list[RecordCertifiedCount], *, missing: bool
) -> None:
    town = Town(certifications=[EXPERTS])
    for one in news:
        town.run(one)

    codes = asked(town)

    assert codes.get("certification-missing") == ("review" if missing else None)


def test_a_certification_is_asked_for_only_of_its_families_and_named_with_its_source() -> None:
    other = {"certification": "service-expert", "families": ["service"]}
    town = Town(certifications=[EXPERTS, other])
    town.run(certified(2))

    asked(town)

    [check] = [c for c in town.state(Deals.at("a")).screened.screening.checks if c.name == "certification"]
    assert check.value == {"certification": "cloud-expert", "people": 2}
    assert (check.threshold, check.event_id, check.position) == (2, "counted-8", 8)


def test_a_partner_reads_how_many_of_its_people_are_certified() -> None:
    town = Town(certifications=[EXPERTS])
    town.run(certified(1))
    asked(town)

    told = disclosed(explained(town.state(Deals.at("a")).screened.screening))

    [known] = [one for one in told.inputs if one.name == "certification"]
    assert known.value == {"certification": "cloud-expert", "people": 1}


def test_a_certificate_that_is_lost_during_the_review_is_new_evidence_at_the_approval() -> None:
    town = Town(certifications=[EXPERTS])
    town.run(certified(2))
    town.register("a", "p-1")
    town.run(certified(1, position=9))

    events = town.run(approval(now=NOW + timedelta(hours=2)))[0]

    assert [type(one).__name__ for one in events] == ["DealScreened"]
    assert "check:certification-missing" in town.state(Deals.at("a")).screened.screening.evidence


def test_who_is_certified_survives_other_news_of_the_partner_and_is_stored_only_once_somebody_is() -> None:
    town = Town(certifications=[EXPERTS])
    assert b"certified" not in encode(town.state(Partners.at("p-1")))
    town.run(certified(2))
    news = {"types": ("distributor",), "source_event_id": "e-2", "source_position": 11}
    town.run(RecordPartnerFacts(partner_id=PartnerId("p-1"), revision=2, **news, now=NOW))

    facts = town.state(Partners.at("p-1"))

    assert (facts.types, facts.certified_in("cloud-expert").count) == (("distributor",), 2)
    assert Partners.fold([carry(facts)]) == facts


PER_TIER = {"capacity": 1, "tier_capacities": [{"tier": "silver", "capacity": 25}, {"tier": "gold", "capacity": 50}]}


def test_a_tier_has_its_own_capacity_and_of_twenty_five_the_twenty_sixth_is_rejected() -> None:
    town = Town(**PER_TIER)
    town.run(tier("silver"))
    open_deals(town, 25)

    assert asked(town, "more", slots=SLOTS)["capacity-full"] == "reject"
    [check] = [c for c in town.state(Deals.at("more")).screened.screening.checks if c.name == "capacity"]
    assert (check.value, check.threshold, check.event_id, check.position) == (25, 25, "t-1", 5)


@pytest.mark.parametrize(
    ("news", "full"),
    [
        ([tier("silver")], False),
        ([tier("bronze")], True),
        ([tier("silver"), tier(None, source_position=6, source_event_id="t-2")], True),
        ([tier("silver", source_position=6), tier(None, source_position=5)], False),
        ([tier("silver", effective_on=date(2026, 4, 1))], True),
    ],
)
def test_the_tier_of_the_day_counts_by_the_newest_news(news: list[RecordPartnerTier], *, full: bool) -> None:
    town = Town(**PER_TIER)
    for one in news:
        town.run(one)
    open_deals(town, 1)

    assert ("capacity-full" in asked(town, "more", slots=SLOTS)) is full


# Automatic approval by what was won

AUTO = {"on": True, "limits": [{"amount": "20000.00", "currency": "EUR"}], "win_percent": 40}


def closed(town: Town, won: int, lost: int, at: datetime = BEFORE) -> None:
    for number in range(won + lost):
        result = ResultCounted(
            partner_id=PartnerId("p-1"),
            registration_id=RegistrationId(f"c{number}"),
            result="won" if number < won else "lost",
            closed_at=at,
        )
        town.keep(TrackRecords.at("p-1"), [result])


@pytest.mark.parametrize(
    ("won", "lost", "days_ago", "status"),
    [
        (4, 6, 1, "approved"),
        (3, 7, 1, "in_review"),
        (9, 0, 1, "in_review"),
        (10, 0, 365, "approved"),
        (10, 0, 366, "in_review"),
    ],
)
def test_rules_approve_by_themselves_who_wins_enough_of_ten_closed_in_a_year(
    won: int, lost: int, days_ago: int, status: str
) -> None:
    town = Town(auto_approval=AUTO)
    closed(town, won, lost, NOW - timedelta(days=days_ago))

    codes = asked(town)

    assert str(town.state(Deals.at("a")).status) == status
    assert codes == ({} if status == "approved" else {"win-rate-low": "review"})


def test_what_the_crm_decides_counts_for_the_partner() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(approval())
    won = {"result": "won", "opportunity_id": OpportunityId("o"), "source_event_id": "e", "partner_id": "p-1"}
    town.run(CloseDeal(registration_id="a", accounts=(CONTOSO,), now=NOW, **won))

    assert town.state(TrackRecords.at("p-1")).of_a_year(NOW) == (1, 1)


# What others left behind

LOOKS = {"watch_for": ["look", "document", "asked"]}
LETTER = Evidence(kind="letter", dated_on=date(2026, 3, 1), sha256="d" * 64)


def registered(town: Town, deal: str, partner: str, **changes: Any) -> dict[str, str]:
    """Registers with the traces that the rules watch for, and answers what is asked to be looked at."""
    made = wish(deal, partner, **changes)
    documents = (one.sha256 for one in made.details.evidence)
    found = traces_of(made.customer, made.partner_id, documents, DEAL_RULES.read({**LOOKS}))
    codes = asked(town, deal, partner, **changes, traces=found)
    return {code: pull for code, pull in codes.items() if code in ("look-alike-domain", "same-evidence")}


def test_a_domain_that_looks_like_another_customers_is_looked_at() -> None:
    town = Town(**LOOKS)
    registered(town, "a", "p-1", customer=customer(looks_like="contoso"))
    other = customer(name="Anybody", domain="c0ntoso.com", looks_like="contoso", normal_names=("anybody",))
    keys = (Key(scheme="domain", value="c0ntoso.com"),)

    codes = registered(town, "b", "p-2", customer=other, keys=keys, accounts=(AccountId("account-b"),))
    same = registered(town, "c", "p-3", customer=customer(looks_like="contoso"), products=(product("300"),))

    assert codes == {"look-alike-domain": "review"}
    assert same == {"look-alike-domain": "review"}
    assert town.state(Deals.at("b")).screened.facts.background.look_alikes == (CONTOSO,)


def test_one_document_of_two_partners_is_looked_at_and_neither_learns_whose_it_is() -> None:
    town = Town(**LOOKS)
    shown = details(evidence=(LETTER,))
    first = registered(town, "a", "p-1", details=shown)
    again = registered(town, "again", "p-1", details=shown, products=(product("300"),))
    other = registered(town, "b", "p-2", details=shown)

    assert (first, again, other) == ({}, {}, {"same-evidence": "review"})
    told = disclosed(explained(town.state(Deals.at("b")).screened.screening))
    assert "document" not in [one.name for one in told.inputs]
    assert "One of the documents was shown for another partner's deal too." in [one.text for one in told.reasons]


def test_a_document_that_another_partner_showed_meanwhile_is_news_at_the_approval() -> None:
    town = Town(**LOOKS)
    registered(town, "a", "p-1", details=details(evidence=(LETTER,)))
    traces = tuple(documents_of((LETTER.sha256,)))
    town.register("b", "p-2", keys=(), accounts=(AccountId("account-b"),), products=(product("900"),))
    added = AddEvidence(
        registration_id="b", accounts=(AccountId("account-b"),), now=NOW, evidence=(LETTER,), traces=traces, by="s"
    )
    town.run(added)

    events = town.run(approval(traces=traces))[0]

    assert [type(one).__name__ for one in events] == ["DealScreened"]
    assert "same-evidence" in [check.code for check in events[0].screening.failed]
    assert [type(one).__name__ for one in town.run(approval(traces=traces))[0]] == ["DealApproved"]


def test_who_asks_again_with_another_role_after_a_loss_is_looked_at() -> None:
    watched, blind = Town(**LOOKS), Town()

    assert asked(watched, lost=(RegistrationId("old"),))["changed-after-loss"] == "review"
    assert "changed-after-loss" not in asked(watched, "b", "p-2")
    assert "changed-after-loss" not in asked(blind, lost=(RegistrationId("old"),))


# Competitors


def test_a_customer_that_competes_with_the_vendor_is_looked_at() -> None:
    assert "review" == asked(Town(competitors=["contoso.com"]))["competitor"]
    assert "competitor" not in asked(Town(competitors=["fabrikam.com"]))
    checks = Town()
    checks.register("a", "p-1")
    assert "competitor" not in [check.name for check in checks.state(Deals.at("a")).screened.screening.checks]
