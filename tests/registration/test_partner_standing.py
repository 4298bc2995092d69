"""What partners have signed and may sell, as onboarding's events tell it, and what deal rules make of it."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from chassis.event import encode
from chassis.shadow_api import ShadowBody, asked_for
from contracts.onboarding import AgreementLapsed, AgreementSigned, AuthorisationEnded, AuthorisationGranted
from contracts.values import PartnerId, ProductLine
from services.registration.domain.overlap import Place, Reach
from services.registration.domain.partner_facts import PartnerFacts, Partners, carry
from services.registration.domain.partner_standing import (
    KEPT_MAX,
    Ended,
    Granted,
    Signed,
    Standing,
    StandingNews,
)
from tests.registration.service import ADMIN, DESK, TENANT, Running, activated, deal, seller, started

AT = datetime(2026, 3, 1, tzinfo=UTC)


def signed(version: int = 1, begins: date = date(2026, 1, 1), until: date | None = None, **more: Any) -> Signed:
    told = {"agreement_id": "a-1", "kind": "partner", "event_id": f"signed-{version}", "position": version, **more}
    return Signed(**told, version=version, effective_from=begins, effective_until=until)


def granted(**changes: Any) -> Granted:
    told = {"authorisation_id": "z-1", "products": ("cloud",), "effective_from": date(2026, 1, 1), "event_id": "g"}
    return Granted(**{**told, "position": 1, **changes})


def reach(family: str = "cloud", sku: str | None = None, country: str = "DE", **changes: Any) -> Reach:
    wanted = {"role": "resell", "deal_type": "new", "place": Place(country=country, region=changes.pop("region", None))}
    return Reach(products=(ProductLine(family=family, sku=sku),), **{**wanted, **changes})


def standing(*news: Signed | Granted | Ended) -> Standing:
    """What is known once these are heard, in this order."""
    known = Standing()
    for one in news:
        told = {Signed: "signed", Granted: "granted", Ended: "ended"}[type(one)]
        heard = StandingNews(**{told: one})
        known = heard.on_top_of(known) if heard.is_new(known) else known
    return known


# In force


@pytest.mark.parametrize(("day", "version"), [(date(2026, 6, 30), 1), (date(2026, 7, 5), 2), (date(2027, 7, 1), None)])
def test_the_version_signed_last_is_in_force_from_its_day_on(day: date, version: int | None) -> None:
    first = signed(1, date(2026, 1, 1), date(2027, 1, 1))
    second = signed(2, date(2026, 7, 1), date(2027, 7, 1))

    bound = standing(first, second).bound_by("partner", day)

    assert (bound.version if bound else None) == version
    assert standing(first, second).bound_by("distribution", day) is None


@pytest.mark.parametrize(("day", "bound"), [(date(2026, 5, 31), True), (date(2026, 6, 1), False)])
def test_an_agreement_that_lapsed_binds_up_to_that_day(day: date, *, bound: bool) -> None:
    lapse = Ended(of="a-1", effective_on=date(2026, 6, 1), event_id="lapsed", position=9)

    assert bool(standing(signed(), lapse).bound_by("partner", day)) is bound
    assert standing(signed(), lapse, signed(2, position=10)).bound_by("partner", day), "what is signed later stands"


@pytest.mark.parametrize(
    ("grant", "asked", "authorised"),
    [
        ({}, {}, True),
        ({}, {"family": "Cloud / Backup"}, True),
        ({"products": ("cloud/backup",)}, {}, False),
        ({"products": ("SKU 100",)}, {"sku": "sku 100"}, True),
        ({"territories": ("AT", "DE")}, {}, True),
        ({"territories": ("US-CA",)}, {"country": "US", "region": "CA"}, True),
        ({"territories": ("US-CA",)}, {"country": "US", "region": "NY"}, False),
        ({"roles": ("distribute",)}, {}, False),
        ({"effective_from": date(2026, 3, 2)}, {}, False),
        ({"effective_until": date(2026, 3, 1)}, {}, False),
    ],
)
def test_a_partner_is_authorised_for_a_product_in_a_place_and_role_on_a_day(
    grant: dict[str, Any], asked: dict[str, Any], *, authorised: bool
) -> None:
    wanted = reach(**asked)

    found = standing(granted(**grant)).authorised_for(wanted.products[0], wanted, date(2026, 3, 1))

    assert bool(found) is authorised


def test_news_in_any_order_and_twice_come_to_the_same() -> None:
    pause = Ended(of="z-1", effective_on=date(2026, 2, 1), event_id="paused", position=2)
    news = (signed(1), granted(position=1), pause, granted(position=3))
    known = {encode(standing(*order, *order)) for order in permutations(news)}

    assert known == {encode(standing(*news))}
    assert standing(*news).authorised_for(reach().products[0], reach(), date(2026, 3, 1)), "restored after its pause"


def test_of_a_partner_the_newest_hundred_are_kept_and_a_deal_copies_what_it_may_rest_on() -> None:
    many = [granted(authorisation_id=f"z-{n}", products=(f"p{n}",), position=n) for n in range(1, KEPT_MAX + 2)]
    known = standing(*many, Ended(of="z-50", effective_on=date(2026, 1, 1), event_id="e", position=200))

    assert (len(known.granted), known.granted[0].authorisation_id) == (KEPT_MAX, "z-2")
    about = PartnerFacts(standing=known).about((ProductLine(family="p51"),))
    assert about.stands == Standing(granted=(many[50],))
    assert Partners.fold([carry(PartnerFacts(standing=known))]).standing == known


def test_of_who_signed_nothing_nothing_is_stored() -> None:
    facts = PartnerFacts(revision=1)

    assert b"standing" not in encode(facts)
    assert facts.about((ProductLine(family="cloud"),)) is facts


# At work


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        yield asked


def signing(partner: str = "p1", version: int = 1, **changes: Any) -> AgreementSigned:
    told = {"agreement_id": f"a-{partner}", "kind": "partner", "cause": "first", "document_hash": "h" * 64, **changes}
    when = {"effective_from": date(2026, 1, 1), "signed_on": date(2026, 1, 1), "signed_at": AT}
    return AgreementSigned(partner_id=PartnerId(partner), version=version, **{**told, **when})


def lapsing(partner: str = "p1", on: date = date(2026, 3, 1)) -> AgreementLapsed:
    told = {
        "agreement_id": f"a-{partner}",
        "kind": "partner",
        "version": 1,
        "cause": "first",
        "document_hash": "h" * 64,
    }
    return AgreementLapsed(partner_id=PartnerId(partner), **told, effective_on=on, lapsed_at=AT)


def granting(partner: str = "p1", **changes: Any) -> AuthorisationGranted:
    told = {"authorisation_id": f"z-{partner}", "products": ("cloud",), "effective_from": date(2026, 1, 1), **changes}
    return AuthorisationGranted(partner_id=PartnerId(partner), **told, granted_at=AT)


def ending(partner: str = "p1", cause: str = "ended") -> AuthorisationEnded:
    told = {"authorisation_id": f"z-{partner}", "cause": cause, "effective_on": date(2026, 3, 1)}
    return AuthorisationEnded(partner_id=PartnerId(partner), **told, ended_at=AT)


async def outcome(registration: Running, partner: str = "p1", **changes: Any) -> tuple[str, list[str]]:
    """What a registration comes to, and what its preview says why, without the word on a person who decides."""
    previewed = (await registration.post(seller(partner), "/deals/preview", deal(**changes))).json()
    made = await registration.register(partner, **changes)
    return made["status"], [one["code"] for one in previewed["reasons"] if one["code"] != "review-required"]


async def test_rules_that_ask_for_an_agreement_reject_whoever_has_none_in_force(registration: Running) -> None:
    await registration.publish_rules(agreements=["partner"])

    without = await outcome(registration, products=[{"family": "cloud", "sku": "1"}])
    asked = (await registration.post(seller("p1"), "/checks", deal(products=[{"family": "cloud", "sku": "1"}]))).json()
    await registration.hear(signing())
    bound = await outcome(registration, products=[{"family": "cloud", "sku": "2"}])
    await registration.hear(lapsing())
    lapsed = await outcome(registration, products=[{"family": "cloud", "sku": "3"}])

    assert without == lapsed == ("rejected", ["agreement-missing"])
    assert bound == ("in_review", [])
    assert asked["availability"] == "not_eligible"


async def test_an_agreement_that_lapses_during_the_review_stands_against_the_approval(registration: Running) -> None:
    await registration.publish_rules(agreements=["partner"])
    await registration.hear(signing())
    made = await registration.register("p1")
    await registration.hear(lapsing())

    approve = f"/deals/{made['registration_id']}/approve"
    seen_anew = await registration.post(DESK, approve)
    refused = await registration.post(DESK, approve)

    assert (seen_anew.status_code, refused.status_code) == (412, 409)
    assert (refused.json()["slug"], refused.json()["codes"]) == ("check-failed", ["agreement-missing"])


async def test_rules_may_take_only_what_a_partner_is_authorised_for(registration: Running) -> None:
    await registration.publish_rules(authorisation=True)

    without = await outcome(registration, products=[{"family": "cloud", "sku": "1"}])
    await registration.hear(granting(territories=("DE",)))
    inside = await outcome(registration, products=[{"family": "cloud", "sku": "2"}])
    beside = await outcome(registration, products=[{"family": "cloud", "sku": "3"}, {"family": "service", "sku": "4"}])
    await registration.hear(ending(cause="paused"))
    paused = await outcome(registration, products=[{"family": "cloud", "sku": "5"}])
    await registration.hear(granting())
    restored = await outcome(registration, products=[{"family": "cloud", "sku": "6"}])

    assert without == beside == paused == ("rejected", ["not-authorised"])
    assert inside == restored == ("in_review", [])


async def test_a_person_looks_at_what_another_partner_alone_is_authorised_for(registration: Running) -> None:
    await registration.publish_rules(exclusive_territories=True)
    await registration.hear(granting("p2", exclusive=True, territories=("DE",), products=("Cloud",)))

    met = await outcome(registration, products=[{"family": "cloud/backup", "sku": "1"}])
    own = await outcome(registration, "p2", products=[{"family": "cloud", "sku": "2"}])
    other = await outcome(registration, products=[{"family": "service", "sku": "3"}])
    await registration.hear(ending("p2"))
    over = await outcome(registration, products=[{"family": "cloud", "sku": "4"}])

    assert met == ("in_review", ["exclusive-territory"])
    assert own == other == over == ("in_review", [])


async def test_the_checks_name_the_events_that_they_rest_on_and_a_partner_reads_only_its_own(
    registration: Running,
) -> None:
    await registration.publish_rules(agreements=["partner"], authorisation=True, exclusive_territories=True)
    heard = [signing(), granting(), granting("p2", exclusive=True)]
    for one in heard:
        await registration.hear(one)
    lines = [{"family": "cloud"}, {"family": "service"}]
    made = await registration.register("p1", products=lines)

    async def inputs(who: Any) -> dict[str, bool]:
        """Whether each of the three checks, by name, names its event."""
        history = (await registration.get(who, f"/deals/{made['registration_id']}")).json()["history"]
        rejected = next(one["event_id"] for one in history if one["event"] == "DealRejected")
        why = (await registration.get(who, f"/why/{rejected}")).json()
        named = ("agreement", "authorisation", "exclusive_territory")
        return {one["name"]: one["event_id"] is not None for one in why["inputs"] if one["name"] in named}

    assert await inputs(DESK) == {"agreement": True, "authorisation": True, "exclusive_territory": True}
    assert await inputs(seller("p1")) == {"agreement": True, "authorisation": True}


async def test_without_a_word_in_the_rules_nothing_is_asked_whatever_was_told(registration: Running) -> None:
    await registration.publish_rules()
    before = await outcome(registration, products=[{"family": "cloud", "sku": "1"}])
    for one in (signing(), lapsing(), granting("p2", exclusive=True)):
        await registration.hear(one)

    assert before == await outcome(registration, products=[{"family": "cloud", "sku": "2"}]) == ("in_review", [])


async def test_an_agreement_that_nobody_knows_is_refused_in_rules(registration: Running) -> None:
    body = {"rulebook_id": "default", "kind": "deal_rules", "body": {"agreements": ["handshake"]}}
    refused = await registration.post(ADMIN, "/rulebooks", body)
    assert (refused.status_code, "agreements are some of" in refused.text) == (422, True)


async def test_a_shadow_run_of_rules_that_begin_to_look_finds_the_exclusive_territories_of_then(
    registration: Running,
) -> None:
    auto = {"auto_approval": {"on": True, "limits": [{"amount": "100000.00", "currency": "EUR"}]}}
    await registration.publish_rules(**auto)
    before = await registration.register("p1", products=[{"family": "cloud", "sku": "1"}])
    await registration.hear(granting("p2", exclusive=True, territories=("DE",)))
    met = await registration.register("p1", products=[{"family": "cloud", "sku": "2"}])
    own = await registration.register("p2", products=[{"family": "cloud", "sku": "3"}])
    await registration.hear(ending("p2"))
    after = await registration.register("p1", products=[{"family": "cloud", "sku": "4"}])
    tried = ShadowBody(rulebook_id="default", body={**auto, "exclusive_territories": True})

    service = registration.service
    asked = await asked_for(service.application, TENANT, tried, "looks")
    alone = (await service.shadow_runs.report(asked, lambda *_: None)).as_json()
    apart = (await registration.spread().run(asked.candidate, asked.window, lambda *_: None)).as_json()

    assert [one["status"] for one in (before, met, own, after)] == ["approved"] * 4
    [row] = alone["rows"]
    assert row["stream"] == f"{TENANT}:deal-{met['registration_id']}"
    assert (row["old"]["outcome"], row["new"]["outcome"]) == ("approve", "review")
    assert row["new"]["reasons"] == ["exclusive-territory"]
    assert alone == apart


async def test_a_shadow_run_of_rules_that_looked_all_along_differs_in_nothing(registration: Running) -> None:
    await registration.publish_rules(exclusive_territories=True)
    await registration.hear(granting("p2", exclusive=True, territories=("DE",)))
    await registration.register("p1")
    asked = await asked_for(
        registration.service.application, TENANT, ShadowBody(rulebook_id="default", version=1), "same"
    )

    report = await registration.service.shadow_runs.report(asked, lambda *_: None)

    assert (report.decided, report.changed) == (1, 0)
