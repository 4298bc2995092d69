"""Read models of onboarding, and what the other services hear of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.testing.projections import assert_repeatable, project, told
from contracts import onboarding as public
from services.onboarding.domain import certificate, membership, merging, offboarding, partner, person, roster
from services.onboarding.domain.partner import ReinstatePartner
from services.onboarding.projections.partners import PARTNERS
from services.onboarding.projections.people import MEMBERSHIPS, PEOPLE
from services.onboarding.projections.suspensions import SUSPENSION_ENDS, reinstate
from services.onboarding.publishing import TRANSLATIONS, publish
from tests.onboarding import test_offboarding as leaving
from tests.onboarding.test_partner import (
    ACTIVE,
    APPLIED,
    CHANGED,
    DECLINED,
    REINSTATED,
    REVIEW,
    SUSPENDED,
    UNTIL,
    WITHDRAWN,
)
from tests.onboarding.test_people import ENDED, ERASED, INVITED, MINE, REGISTERED, STARTED

LIFE = (*ACTIVE, SUSPENDED, REINSTATED, CHANGED)
TEAM = (INVITED, STARTED, ENDED)


def test_repeats_and_other_orders_change_no_model() -> None:
    seen = [*told(*LIFE, REGISTERED, ERASED, *TEAM)]
    for model in (PARTNERS, PEOPLE, MEMBERSHIPS, SUSPENSION_ENDS):
        assert_repeatable(model, seen)


@pytest.mark.parametrize(
    ("events", "status", "scopes", "until"),
    [
        (REVIEW, "review", [], None),
        (ACTIVE, "active", [], None),
        ([*ACTIVE, SUSPENDED], "suspended", ["access"], "2026-04-02T10:00:00Z"),
        ([*ACTIVE, replace(SUSPENDED, until=None)], "suspended", ["access"], None),
        ([*ACTIVE, SUSPENDED, REINSTATED], "active", [], None),
        ([*REVIEW, DECLINED], "declined", [], None),
        ([*REVIEW, WITHDRAWN], "withdrawn", [], None),
    ],
)
def test_a_partner_s_state(events: list[Any], status: str, scopes: list[str], until: str | None) -> None:
    row = project(PARTNERS, told(*events))["p-1"]
    assert (row["status"], row["scopes"], row["until"], row["version"]) == (status, scopes, until, len(events))


def test_a_partner_s_row() -> None:
    assert project(PARTNERS, told(*LIFE))["p-1"] == {
        "partner_id": "p-1",
        "status": "active",
        "profile": {
            "legal_name": "Northwind Group",
            "natural_person": False,
            "country": "DE",
            "domains": ["northwind.example"],
            "types": ["reseller"],
            "locale": "en",
            "zone": "UTC",
        },
        "screening": {
            "partner_id": "p-1",
            "rules": None,
            "decision": REVIEW[1].decision,
            "screened_at": "2026-03-03T10:00:00Z",
        },
        "scopes": [],
        "until": None,
        "offboarding": None,
        "settling": None,
        "merge": None,
        "absorbed": [],
        "name_sort": "northwind group",
        "domains": ["northwind.example"],
        "applied_at": "2026-03-03T10:00:00Z",
        "changed_at": "2026-03-02T09:00:00Z",
        "version": 7,
    }


def test_a_person_s_row_stays_sealed_and_is_emptied() -> None:
    known = {
        "person_id": "x-1",
        "name": {"subject": "x-1", "box": "name"},
        "mail": {"subject": "x-1", "box": "mail"},
        "mail_key": "k",
        "locale": "en",
        "zone": "UTC",
        "status": "known",
    }
    assert project(PEOPLE, told(REGISTERED)) == {"x-1": known}
    assert project(PEOPLE, told(REGISTERED, ERASED)) == {
        "x-1": {**known, "name": None, "mail": None, "mail_key": "", "status": "erased"}
    }


def test_a_membership_s_row() -> None:
    invited = {
        "membership_id": "m-1",
        "person_id": "x-1",
        "partner_id": "p-1",
        "roles": ["owner"],
        "position": "CEO",
        "primary": True,
        "status": "invited",
        "since": None,
        "until": None,
        "version": 1,
    }
    active = {**invited, "status": "active", "since": "2026-03-04", "version": 2}
    assert project(MEMBERSHIPS, told(INVITED)) == {"m-1": invited}
    assert project(MEMBERSHIPS, told(INVITED, STARTED)) == {"m-1": active}
    assert project(MEMBERSHIPS, told(*TEAM)) == {
        "m-1": {**active, "status": "ended", "until": "2026-03-05", "version": 3}
    }


def test_a_suspension_is_due_at_its_end() -> None:
    [due] = project(SUSPENSION_ENDS, told(*ACTIVE, SUSPENDED)).values()
    assert due == {"due_at": "2026-04-02T10:00:00Z", "partner_id": "p-1"}
    now = datetime(2026, 4, 2, 10, 0, 1, tzinfo=UTC)
    assert reinstate(due, now) == ReinstatePartner(
        partner_id="p-1", reinstated_by="deadline", suspension_until=UNTIL, now=now
    )


@pytest.mark.parametrize("after", [[REINSTATED], [replace(SUSPENDED, until=None)]])
def test_a_suspension_that_ended_or_has_no_end_is_not_due(after: list[Any]) -> None:
    assert project(SUSPENSION_ENDS, told(*ACTIVE, SUSPENDED, *after)) == {}


# Publishing


def heard(event: Any) -> Any:
    [seen] = told(event, first=7)
    return publish(seen)


PROFILE = {
    "display_name": "Northwind",
    "country": "DE",
    "domains": ("northwind.example",),
    "types": ("reseller",),
    "locale": "en",
    "zone": "UTC",
}
LATER = datetime(2026, 3, 4, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recorded", "told_as"),
    [
        (
            APPLIED,
            public.PartnerApplied(
                partner_id="p-1",
                country="DE",
                domains=("northwind.example",),
                types=("reseller",),
                applied_at=datetime(2026, 3, 3, 10, tzinfo=UTC),
            ),
        ),
        (DECLINED, public.PartnerDeclined(partner_id="p-1", reason_code="no-need", declined_at=LATER)),
        (ACTIVE[-1], public.PartnerActivated(partner_id="p-1", revision=7, activated_at=LATER, **PROFILE)),
        (
            CHANGED,
            public.PartnerProfileChanged(
                partner_id="p-1", revision=7, changed_at=LATER, **{**PROFILE, "display_name": "Northwind Group"}
            ),
        ),
        (
            SUSPENDED,
            public.PartnerSuspended(
                partner_id="p-1", revision=7, scopes=("access",), reason_code="late", until=UNTIL, suspended_at=LATER
            ),
        ),
        (REINSTATED, public.PartnerReinstated(partner_id="p-1", revision=7, reinstated_at=LATER)),
        (
            STARTED,
            public.MembershipStarted(
                membership_id="m-1",
                person_id="x-1",
                partner_id="p-1",
                roles=("owner",),
                position="CEO",
                primary=True,
                effective_on=STARTED.effective_on,
            ),
        ),
        (
            ENDED,
            public.MembershipEnded(
                membership_id="m-1",
                person_id="x-1",
                partner_id="p-1",
                roles=("owner",),
                effective_on=ENDED.effective_on,
            ),
        ),
        (
            leaving.STARTED,
            public.OffboardingStarted(
                partner_id="p-1",
                revision=7,
                reason_code="strategy",
                last_business_day=leaving.LAST,
                run_off_until=leaving.UNTIL,
                started_at=leaving.NOW,
            ),
        ),
        (
            leaving.CANCELLED,
            public.OffboardingCancelled(partner_id="p-1", revision=7, cancelled_at=leaving.NOW),
        ),
        (
            leaving.ENDED[1],
            public.PartnerOffboarded(partner_id="p-1", revision=7, offboarded_at=leaving.NOW),
        ),
        (ERASED, public.PersonForgotten(person_id="x-1", forgotten_at=LATER)),
    ],
)
def test_what_the_others_hear(recorded: Any, told_as: Any) -> None:
    assert heard(recorded) == told_as


@pytest.mark.parametrize("recorded", [REVIEW[1], leaving.PROPOSED, ACTIVE[2], WITHDRAWN, REGISTERED, INVITED, MINE])
def test_what_stays_inside(recorded: Any) -> None:
    assert heard(recorded) is None


def test_the_name_of_a_natural_person_is_not_told() -> None:
    natural = replace(APPLIED.profile, natural_person=True)
    assert heard(replace(ACTIVE[-1], profile=natural)).display_name is None
    assert heard(replace(CHANGED, profile=natural)).display_name is None


def test_every_event_has_been_thought_of() -> None:
    kinds = {
        *partner.PartnerEvent.__args__,
        *person.PersonEvent.__args__,
        *membership.MembershipEvent.__args__,
        *membership.TeamEvent.__args__,
        *certificate.CertificateEvent.__args__,
        *roster.RosterEvent.__args__,
    }
    inside = {
        partner.PartnerScreened,
        partner.PartnerApproved,
        partner.PartnerWithdrawn,
        offboarding.OffboardingProposed,
        offboarding.OffboardingSettled,
        offboarding.SettlementProposed,
        membership.TeamClosed,
        merging.MergeProposed,
        merging.PartnerAbsorbed,
        merging.PartnerParted,
        person.PersonRegistered,
        membership.MemberInvited,
        membership.OwnerAdded,
        membership.OwnerRemoved,
        certificate.RevocationProposed,
        roster.RosterCarried,
    }
    assert kinds == {*TRANSLATIONS} | inside
