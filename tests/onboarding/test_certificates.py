"""Certificates: earned, renewed, lapsed, revoked by two; and the rosters that count who holds them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.decider import Invalid, WrongState
from chassis.identity import Principal
from chassis.rulebook import FourEyes, Rules, RulesPublished, body_sha256
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from services.onboarding.application import HANDLES
from services.onboarding.domain.certificate import (
    AwardCertificate,
    Certificates,
    CertificationEarned,
    CertificationLapsed,
    LapseCertificate,
    NoDefinition,
    Proof,
    RevocationProposed,
    RevokeCertificate,
)
from services.onboarding.domain.certification import CERTIFICATION, Assessment, CertificationRules, months_after
from services.onboarding.domain.membership import MembershipEnded, MembershipStarted
from services.onboarding.domain.roster import CertifiedCountChanged, RecordCertified, Rosters, Seat
from services.onboarding.projections.certificates import CERTIFICATES, ROSTERS
from services.onboarding.projections.certified import CERTIFICATE_ENDS, ROSTER_CHANGES, record
from services.onboarding.publishing import publish
from tests.onboarding.test_service import ADMIN, ERIKA, Office, opened, owner
from tests.scenarios.system import done, until

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
BODY = {"name": "Platform sales", "zone": "Europe/Berlin"}
BOOK = RulesPublished(
    rulebook_id="platform",
    kind="certification",
    scope="default",
    version=1,
    body=BODY,
    sha256=body_sha256(BODY),
    author="ada",
    publisher="ben",
    effective_from=datetime(2025, 1, 1, tzinfo=UTC),
    effective_until=None,
    mode="live",
    published_at=datetime(2025, 1, 1, tzinfo=UTC),
)
BY_COMMAND = {handles.command: handles for handles in HANDLES}
AWARD = AwardCertificate(
    certificate_id="c-1",
    person_id="x-1",
    partner_id="p-1",
    certification="platform",
    earned_on=date(2026, 3, 1),
    proof=Proof(source="trainer_sheet", reference="2026-03/7"),
    by="mia",
    now=NOW,
)
REVOKE = RevokeCertificate(certificate_id="c-1", partner_id="p-1", reason_code="conduct", by="mia", now=NOW)


def certificate(command: Any, *history: Any, book: tuple[Any, ...] = (BOOK,)) -> Any:
    reads = ((Rules.at("platform"), book),) if isinstance(command, AwardCertificate) else ()
    return given(BY_COMMAND[type(command)], (Certificates.at("c-1"), history), *reads).when(command)


def earned(**changes: Any) -> CertificationEarned:
    [event] = certificate(replace(AWARD, **changes)).verdict.events[0]
    return event


def test_a_certificate_holds_a_year_to_the_midnight_where_it_counts_its_days() -> None:
    event = earned()
    assert (event.valid_from, event.valid_until) == (date(2026, 3, 1), date(2027, 3, 1))
    assert event.ends_at == datetime(2027, 2, 28, 23, tzinfo=UTC)
    assert (event.rules.rulebook_id, event.rules.version, event.decision["outcome"]) == ("platform", 1, "earned")
    assert (event.person_id, event.partner_id, event.proof) == ("x-1", "p-1", AWARD.proof)


@pytest.mark.parametrize(
    ("earned_on", "held_until", "until", "outcome"),
    [
        (date(2026, 2, 10), date(2026, 3, 1), date(2027, 3, 1), "renewed"),
        (date(2025, 12, 31), date(2026, 3, 1), date(2027, 3, 1), "renewed"),
        (date(2025, 12, 30), date(2026, 3, 1), date(2026, 12, 30), "earned"),
        (date(2026, 3, 1), date(2026, 3, 1), date(2027, 3, 1), "earned"),
        (date(2026, 3, 1), None, date(2027, 3, 1), "earned"),
        (date(2025, 3, 3), None, date(2026, 3, 3), "over"),
    ],
)
def test_renewed_in_the_last_sixty_days_it_runs_on_from_its_old_end(
    earned_on: date, held_until: date | None, until: date, outcome: str
) -> None:
    facts = Assessment(earned_on=earned_on, held_until=held_until, today=NOW.date())
    decision = CERTIFICATION.evaluate(facts, CertificationRules(name="Platform"))
    assert (decision.detail["valid_until"], decision.outcome) == (until.isoformat(), outcome)


def test_months_end_on_the_last_day_that_there_is() -> None:
    assert months_after(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert months_after(date(2025, 12, 31), 2) == date(2026, 2, 28)


def test_what_adds_no_day_changes_nothing() -> None:
    certificate(AWARD, earned()).then_nothing()
    certificate(replace(AWARD, earned_on=date(2026, 2, 1)), earned()).then_nothing()


def test_nothing_is_earned_ahead_of_its_day_nor_under_no_rules() -> None:
    ahead = certificate(replace(AWARD, earned_on=date(2026, 3, 4))).refused(Invalid)
    assert ahead.fields["errors"][0]["code"] == "future"
    old = certificate(replace(AWARD, earned_on=date(2025, 3, 3))).refused(Invalid)
    assert old.fields["errors"][0]["code"] == "past"
    assert certificate(AWARD, book=()).refused(NoDefinition).fields == {"certification": "platform"}
    other = replace(BOOK, kind="screening", body={})
    certificate(AWARD, book=(other,)).refused(NoDefinition)


PROPOSED = RevocationProposed(certificate_id="c-1", reason_code="conduct", proposed_by="mia", proposed_at=NOW)


def lapsed(cause: str, **changes: Any) -> CertificationLapsed:
    event = CertificationLapsed(
        certificate_id="c-1",
        person_id="x-1",
        partner_id="p-1",
        certification="platform",
        rules=earned().rules,
        cause=cause,
        effective_on=NOW.date(),
        lapsed_at=NOW,
    )
    return replace(event, **changes)


def test_two_people_revoke_for_one_reason() -> None:
    certificate(REVOKE, earned()).then([PROPOSED])
    assert certificate(REVOKE, earned(), PROPOSED).refused(FourEyes).fields == {"proposed_by": "mia"}
    second = replace(REVOKE, by="tom")
    certificate(second, earned(), PROPOSED).then([lapsed("revoked", reason_code="conduct", proposed_by="mia")])
    other = certificate(replace(second, reason_code="other"), earned(), PROPOSED)
    other.then([replace(PROPOSED, reason_code="other", proposed_by="tom")])
    late = NOW + timedelta(days=15)
    certificate(replace(second, now=late), earned(), PROPOSED).then(
        [replace(PROPOSED, proposed_by="tom", proposed_at=late)]
    )


def test_only_an_active_certificate_is_revoked() -> None:
    assert certificate(REVOKE).refused(WrongState).fields["state"] == "none"
    assert certificate(REVOKE, earned(), lapsed("lapsed")).refused(WrongState).fields["state"] == "lapsed"
    certificate(REVOKE, earned(), lapsed("revoked")).then_nothing()


def test_a_deadline_ends_only_the_certificate_it_was_made_for() -> None:
    end = date(2027, 3, 1)
    wish = LapseCertificate(certificate_id="c-1", partner_id="p-1", valid_until=end, now=NOW)
    certificate(wish, earned()).then([lapsed("lapsed", effective_on=end)])
    certificate(wish, earned(), replace(earned(), valid_until=date(2028, 3, 1))).then_nothing()
    certificate(wish, earned(), lapsed("revoked")).then_nothing()


# Rosters


def seat(partner: str, *, counts: bool, on: date) -> Seat:
    return Seat(partner_id=partner, certification="platform", counts=counts, effective_on=on, rule_version=1)


def counted(partner: str, *people: str, on: date) -> CertifiedCountChanged:
    return CertifiedCountChanged(
        partner_id=partner,
        certification="platform",
        effective_on=on,
        count=len(people),
        person_ids=people,
        rule_version=1,
        changed_at=NOW,
    )


MARCH, JUNE = date(2026, 3, 1), date(2026, 6, 15)


def test_a_move_makes_three_of_four_and_two_of_one() -> None:
    moves = (seat("a", counts=False, on=JUNE), seat("b", counts=True, on=JUNE))
    wish = RecordCertified(person_id="x-1", seats=moves, now=NOW)
    at_a, at_b = counted("a", "w", "x-1", "y", "z", on=MARCH), counted("b", "v", on=MARCH)
    streams = (Rosters.at("a.platform"), (at_a,)), (Rosters.at("b.platform"), (at_b,))
    decided = given(BY_COMMAND[RecordCertified], *streams).when(wish)
    decided.then([counted("a", "w", "y", "z", on=JUNE)], [counted("b", "v", "x-1", on=JUNE)])
    gone = counted("a", "w", "y", "z", on=JUNE)
    again = given(BY_COMMAND[RecordCertified], (Rosters.at("a.platform"), (at_a, gone))).when(
        replace(wish, seats=moves[:1])
    )
    again.then_nothing()


def member(kind: Any, partner: str, on: date, **changes: Any) -> Any:
    known = {"membership_id": f"m-{partner}", "person_id": "x-1", "partner_id": partner, "roles": ("seller",)}
    more = {"position": None, "primary": True, **changes} if kind is MembershipStarted else {}
    return kind(**known, **more, effective_on=on)


def seats_after(*events: Any) -> tuple[Seat, ...]:
    document = project(ROSTER_CHANGES, told(*events))["x-1"]
    wish = record(document, NOW)
    return wish.seats if wish else ()


def test_who_counts_where_follows_from_memberships_and_certificates() -> None:
    here, later = member(MembershipStarted, "a", date(2026, 2, 1)), member(MembershipStarted, "b", JUNE)
    assert seats_after(here) == seats_after(earned()) == ()
    assert seats_after(here, earned()) == (seat("a", counts=True, on=MARCH),)
    left = member(MembershipEnded, "a", JUNE)
    assert seats_after(here, earned(), left, later) == (
        seat("a", counts=False, on=JUNE),
        seat("b", counts=True, on=JUNE),
    )
    over = lapsed("lapsed", effective_on=date(2027, 3, 1))
    assert seats_after(here, earned(), over) == (seat("a", counts=False, on=date(2027, 3, 1)),)
    assert seats_after(member(MembershipStarted, "a", MARCH, primary=False), earned()) == ()


def test_repeats_and_other_orders_change_no_model_of_certificates() -> None:
    seen = told(earned(), PROPOSED, lapsed("revoked", reason_code="conduct"), counted("a", "x-1", on=MARCH))
    for model in (CERTIFICATES, ROSTERS, CERTIFICATE_ENDS):
        assert_repeatable(model, seen)
    row = project(CERTIFICATES, told(earned(), PROPOSED))["c-1"]
    assert (row["status"], row["proposed"]) == ("active", {"reason_code": "conduct", "proposed_by": "mia"})


def test_the_others_hear_of_people_by_their_ids_alone() -> None:
    [one] = told(earned())
    public = publish(one)
    assert public is not None
    assert public.proof == "trainer_sheet"  # type: ignore[attr-defined]
    assert public.for_partner("p-1") is public
    assert public.for_partner("p-2") is None


# The service

TRAINER = Principal(tenant="acme", subject="tom", kind="vendor", roles=("analyst",), duties=("trainer",))
MARKETING = Principal(tenant="acme", subject="mia", kind="vendor", roles=("marketing",))
OTHER_ADMIN = replace(ADMIN, subject="ben")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(tmp_path) as it:
        draft = {"rulebook_id": "platform", "kind": "certification", "body": BODY}
        done(await it.post(ADMIN, "/rulebooks", draft), 201)
        done(await it.post(OTHER_ADMIN, "/rulebooks/platform/publish", {"version": 1}))
        yield it


async def test_a_person_is_certified_counted_and_no_more_after_the_end(office: Office) -> None:
    partner_id = await office.partner("Northwind")
    person_id, _ = await office.joined(partner_id, ERIKA)
    sheet = {"source": "trainer_sheet", "reference": "2026-03/7"}
    body = {"person_id": person_id, "certification": "platform", "earned_on": "2026-03-03", "proof": sheet}

    made = done(await office.post(TRAINER, "/certificates", body), 201)

    assert (made["status"], made["valid_until"]) == ("active", "2027-03-03")
    assert (await office.post(owner(partner_id), "/certificates", body)).status == 403

    async def count() -> Any:
        rows = done(await office.get(owner(partner_id), "/rosters"))["items"]
        return rows[0] if rows else None

    [held] = done(await office.get(owner(partner_id), "/certificates"))["items"]
    assert (held["name"], held["status"], "proposed" in held) == ("Erika", "active", False)
    one = await until(count)
    assert (one["certification"], one["count"], one["person_ids"]) == ("platform", 1, [person_id])
    seller = replace(owner(partner_id, "sue"), roles=("seller",))
    assert "person_ids" not in done(await office.get(seller, "/rosters"))["items"][0]
    assert done(await office.get(seller, "/certificates"))["items"] == []
    assert (await office.get(owner("another"), f"/certificates/{held['certificate_id']}")).status == 404
    why = done(await office.get(TRAINER, f"/why/{held['event_id']}"))
    assert why["outcome"] == "earned"

    office.clock.set(datetime(2027, 3, 3, tzinfo=UTC))

    async def nobody() -> Any:
        row = await count()
        return row if row["count"] == 0 else None

    assert (await until(nobody))["effective_on"] == "2027-03-03"


async def test_two_of_the_vendor_s_people_revoke_a_certificate(office: Office) -> None:
    person_id, _ = await office.joined(await office.partner("Northwind"), ERIKA)
    proof = {"source": "trusted_source", "reference": "exam 7"}
    body = {"person_id": person_id, "certification": "platform", "earned_on": "2026-03-03", "proof": proof}
    made = done(await office.post(MARKETING, "/certificates", body), 201)
    path = f"/certificates/{made['certificate_id']}/revoke"

    first = done(await office.post(MARKETING, path, {"reason_code": "conduct"}))
    again = await office.post(MARKETING, path, {"reason_code": "conduct"})
    second = done(await office.post(TRAINER, path, {"reason_code": "conduct"}))

    assert (first["status"], first["proposed"], again.status) == ("active", True, 409)
    assert (second["status"], second["proposed"]) == ("revoked", False)
    assert (await office.post(TRAINER, "/certificates/none/revoke", {"reason_code": "x"})).status == 404
