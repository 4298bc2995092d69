"""Extensions and signs of life: asked in time, granted by silence, within the longest total; what nobody works on ends."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chassis.decider import WrongState
from contracts.values import PartnerId
from services.registration.domain.claims import ClaimExtended, ClaimReleased, ClaimsOf
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import (
    AddEvidence,
    CloseDeal,
    EndProtection,
    GrantExtension,
    NoteActivity,
    PromoteDeal,
    RefuseExtension,
    RequestExtension,
    WarnInactivity,
)
from services.registration.domain.deal_events import (
    ActivityNoted,
    DealClosed,
    Evidence,
    ExtensionAnswered,
    ExtensionRequested,
    InactivityWarned,
    ProtectionEnded,
    ProtectionExtended,
)
from services.registration.domain.protecting import (
    ExtensionPending,
    ExtensionTooEarly,
    ExtensionUsed,
    NothingAsked,
)
from services.registration.domain.rules import DealRules, Protection, faults
from tests.registration.deals import CONTOSO, NOW, Town, approval

OF_A = {"registration_id": "a", "number": "R-a", "programme": "default", "partner_id": "p-1"}
WORK = Evidence(kind="meeting", dated_on=date(2026, 5, 20), sha256="c" * 64)
END = datetime(2026, 6, 1, tzinfo=UTC)
"""Approved on 2 March for 90 days: to the midnight that closes 31 May."""
LONGER = datetime(2026, 8, 30, tzinfo=UTC)
"""90 days more are 29 August, and 180 in all are 29 August too."""
ASKED = datetime(2026, 5, 20, 9, tzinfo=UTC)
GRACE = datetime(2026, 6, 5, 17, tzinfo=UTC)
ACTIVE = {"inactive_days": 0}


def on(now: datetime) -> dict[str, Any]:
    return {"registration_id": "a", "accounts": (CONTOSO,), "now": now}


def approved(**protection: Any) -> Town:
    town = Town(protection=protection)
    town.register("a")
    town.run(approval())
    return town


def asking(now: datetime = ASKED) -> RequestExtension:
    return RequestExtension(**on(now), evidence=(WORK,), by="seller-p-1")


def status(town: Town) -> str:
    return str(town.state(Deals.at("a")).status)


# Extensions


def test_an_extension_is_asked_for_in_the_last_thirty_days() -> None:
    town = approved(**ACTIVE)

    with pytest.raises(ExtensionTooEarly):
        town.run(asking(END - timedelta(days=30, seconds=1)))
    deal, claims = town.run(asking(END - timedelta(days=30)))

    assert isinstance(deal[0], ExtensionRequested)
    assert (deal[0].old_end, deal[0].new_end, deal[0].answer_by) == (END, LONGER, GRACE)
    assert claims == [ClaimExtended(registration_id="a", ends_at=LONGER, extended_at=END - timedelta(days=30))]
    with pytest.raises(ExtensionPending):
        town.run(asking())


def test_a_granted_extension_lasts_to_the_new_midnight() -> None:
    town = approved(**ACTIVE)
    town.run(asking())

    assert town.run(GrantExtension(**on(ASKED), by="desk-1"))[0] == [
        ExtensionAnswered(**OF_A, granted=True, reason_code=None, answered_by="desk-1", answered_at=ASKED),
        ProtectionExtended(**OF_A, old_end=END, new_end=LONGER, extended_at=ASKED),
    ]
    assert town.run(EndProtection(**on(END)))[0] == []
    assert town.run(EndProtection(**on(LONGER)))[0] == [ProtectionEnded(**OF_A, reason_code="expired", ended_at=LONGER)]


def test_an_extension_is_given_once_unless_the_rules_say_otherwise() -> None:
    once, unlimited, never = approved(**ACTIVE), approved(extension="unlimited", total_days_max=365, **ACTIVE), None
    for town in (once, unlimited):
        town.run(asking())
        town.run(GrantExtension(**on(ASKED), by="desk-1"))

    late = LONGER - timedelta(days=1)
    with pytest.raises(ExtensionUsed):
        once.run(asking(late))
    assert isinstance(unlimited.run(asking(late))[0][0], ExtensionRequested)
    never = approved(extension="none", **ACTIVE)
    with pytest.raises(ExtensionUsed):
        never.run(asking())


def test_a_protection_never_lasts_longer_than_the_longest_total() -> None:
    town = approved(extension_days=365, **ACTIVE)

    [requested] = town.run(asking())[0]

    assert requested.new_end == datetime(2026, 8, 30, tzinfo=UTC), "180 days after 2 March is 29 August"


def test_unanswered_the_protection_runs_on_for_five_business_days_and_is_granted() -> None:
    town = approved(**ACTIVE)
    town.run(asking())

    assert town.run(EndProtection(**on(END)))[0] == []
    assert town.state(ClaimsOf.at(CONTOSO)).live[0].holds(GRACE)
    assert town.run(GrantExtension(**on(GRACE - timedelta(seconds=1))))[0] == []
    granted = town.run(GrantExtension(**on(GRACE)))[0]

    assert [type(one) for one in granted] == [ExtensionAnswered, ProtectionExtended]
    assert granted[0].answered_by is None


def test_nobody_asks_for_more_time_once_the_hold_is_over_although_nobody_has_written_that_down() -> None:
    town = approved(**ACTIVE)
    town.register("b", "p-2")
    waits = {"registration_id": "b", "accounts": (CONTOSO,), "partner_id": PartnerId("p-2")}
    town.run(PromoteDeal(**waits, programme="default", screening_id="s-b2", now=END))
    town.run(approval("b", "p-2", now=END))

    with pytest.raises(WrongState) as refused:
        town.run(asking(END))

    assert refused.value.fields["state"] == "expired"
    holding = [claim.registration_id for claim in town.state(ClaimsOf.at(CONTOSO)).live if claim.holds(END)]
    assert holding == ["b"]
    assert isinstance(town.run(asking(END), evaluator=1)[0][0], ExtensionRequested), "as the first evaluator decided"


def test_a_refused_extension_leaves_the_old_end() -> None:
    town = approved(**ACTIVE)
    town.run(asking())

    deal, claims = town.run(RefuseExtension(**on(ASKED), reason_code="no-progress", by="desk-1"))

    assert (deal[0].granted, deal[0].reason_code) == (False, "no-progress")
    assert claims == [ClaimExtended(registration_id="a", ends_at=END, extended_at=ASKED)]
    assert town.run(EndProtection(**on(END)))[0][0].reason_code == "expired"


def test_a_refusal_after_the_old_end_ends_the_protection_at_once() -> None:
    town = approved(**ACTIVE)
    town.run(asking())
    after = END + timedelta(days=1)

    deal, claims = town.run(RefuseExtension(**on(after), reason_code="no-progress", by="desk-1"))

    assert deal[-1] == ProtectionEnded(**OF_A, reason_code="expired", ended_at=after)
    assert (claims[0].reason_code, status(town)) == ("expired", "expired")


def test_nobody_answers_what_was_not_asked() -> None:
    with pytest.raises(NothingAsked):
        approved().run(GrantExtension(**on(ASKED), by="desk-1"))


# Signs of life

IDLE_END = NOW + timedelta(days=45)


def test_forty_five_days_without_a_sign_of_life_end_a_protection_after_a_warning() -> None:
    town = approved()
    warn = WarnInactivity(**on(IDLE_END - timedelta(days=7)))

    assert town.run(WarnInactivity(**on(IDLE_END - timedelta(days=7, seconds=1))))[0] == []
    assert town.run(warn)[0] == [InactivityWarned(**OF_A, ends_at=IDLE_END, warned_at=warn.now)]
    assert town.run(warn)[0] == []
    assert town.run(EndProtection(**on(IDLE_END - timedelta(seconds=1))))[0] == []
    assert town.run(EndProtection(**on(IDLE_END)))[0] == [
        ProtectionEnded(**OF_A, reason_code="inactive", ended_at=IDLE_END)
    ]
    assert status(town) == "expired"


def test_a_stage_in_the_crm_is_a_sign_of_life_and_takes_the_warning_back() -> None:
    town = approved()
    warned = IDLE_END - timedelta(days=3)
    town.run(WarnInactivity(**on(warned)))

    [noted] = town.run(NoteActivity(**on(warned), kind="stage", source_event_id="e-1"))[0]

    assert noted == ActivityNoted(**OF_A, kind="stage", warned=True, source_event_id="e-1", noted_at=warned)
    assert town.run(EndProtection(**on(IDLE_END)))[0] == []
    assert town.run(EndProtection(**on(warned + timedelta(days=45))))[0][0].reason_code == "inactive"


def test_evidence_is_a_sign_of_life() -> None:
    town = approved()
    town.run(AddEvidence(**on(NOW + timedelta(days=44)), evidence=(WORK,), by="seller-p-1"))

    assert town.run(EndProtection(**on(IDLE_END)))[0] == []


def test_the_protection_of_a_partner_that_left_ends_at_once_and_the_sale_is_still_written_down() -> None:
    town = approved(**ACTIVE)
    town.run(asking())
    left = town.run(EndProtection(**on(ASKED), reason_code="partner-left"))

    assert left == [
        [ProtectionEnded(**OF_A, reason_code="partner-left", ended_at=ASKED)],
        [ClaimReleased(registration_id="a", reason_code="partner-left", frees=(), released_at=ASKED)],
    ]
    assert status(town) == "expired"
    won = {"opportunity_id": "o1", "source_event_id": "e1"}
    assert isinstance(town.run(CloseDeal(**on(LONGER), result="won", **won))[0][0], DealClosed)


def test_where_the_rules_do_not_look_nothing_ends_for_want_of_activity() -> None:
    town = approved(**ACTIVE)

    assert town.run(WarnInactivity(**on(IDLE_END)))[0] == []
    assert town.run(EndProtection(**on(IDLE_END)))[0] == []


@pytest.mark.parametrize(
    "changes",
    [{"extension": "twice"}, {"extension_days": 0}, {"ask_days": 0}, {"grace_days": 6}, {"inactive_days": -1}],
)
def test_rules_that_no_protection_could_follow_are_refused(changes: dict[str, Any]) -> None:
    assert len(faults(DealRules(protection=Protection(**changes)))) == 1
