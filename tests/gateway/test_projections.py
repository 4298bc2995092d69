"""Read models of the gateway: deal cards, timelines, the event log, partners, who may sign in."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from chassis.event import decode
from chassis.testing.projections import TENANT, assert_repeatable, project, told
from contracts import attribution, gateway, incentives, onboarding, registration, shared
from contracts.attribution import Share
from contracts.catalogue import public_events
from contracts.samples import sample
from contracts.values import AccountRef, Span, money
from services.gateway.domain import client, session, staff, tenant
from services.gateway.projections import deal_cards, event_log
from services.gateway.projections.deal_cards import DEAL_CARDS
from services.gateway.projections.event_log import EVENT_LOG
from services.gateway.projections.partner_cards import PARTNER_CARDS
from services.gateway.projections.people import CLIENTS, MEMBERS, SESSIONS, STAFF
from services.gateway.projections.timeline import TIMELINE
from services.gateway.publishing import publish
from tests.gateway.test_deciders import (
    CHANGED,
    CREATED,
    ENDED,
    JOINED,
    OPENED,
    REVOKED,
    ROTATED,
    SIGNED_IN,
    SIGNED_OUT,
    USED,
)

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)


def of(cls: type[Any], **fields: Any) -> Any:
    """The golden sample of a public event with some fields changed."""
    return replace(decode(cls.type, sample(cls.type)), **fields)


REGISTERED = of(
    registration.DealRegistered,
    registration_id="r-1",
    number="R-1",
    partner_id="p-1",
    account=AccountRef(account_id="a-1", country="DE", name="Contoso GmbH", domain="contoso.de"),
    amount=money("15000.00", "EUR"),
    submitted_at=NOW,
)
APPROVED = of(
    registration.DealApproved,
    registration_id="r-1",
    number="R-1",
    partner_id="p-1",
    amount=money("14000.00", "EUR"),
    protection=Span(start=NOW, end=datetime(2026, 6, 1, 22, tzinfo=UTC)),
)
LINKED = of(attribution.OpportunityLinked, registration_id="r-1", opportunity_id="o-1", partner_id="p-1")
WON = of(
    attribution.DealWon,
    registration_id="r-1",
    opportunity_id="o-1",
    partner_ids=("p-1", "p-2"),
    amount=money("12000.00", "EUR"),
)
CREDITED = of(
    attribution.CreditAllocated,
    registration_id="r-1",
    opportunity_id="o-1",
    pool="sourcing",
    status="final",
    shares=(
        Share(partner_id="p-1", role="resell", percent=Decimal("60.00"), from_month="2026-03"),
        Share(partner_id="p-2", role="influence", percent=Decimal("40.00"), from_month="2026-03"),
    ),
)
EARNED = of(
    incentives.PayoutCalculated,
    registration_id="r-1",
    opportunity_id="o-1",
    line_id="l-1",
    partner_id="p-1",
    amount=money("700.00", "EUR"),
)
THEIRS = replace(EARNED, line_id="l-2", partner_id="p-2", amount=money("400.00", "EUR"))
TAKEN_BACK = of(
    incentives.PayoutReversed,
    registration_id="r-1",
    opportunity_id="o-1",
    line_id="l-1",
    partner_id="p-1",
    remaining=money("100.50", "EUR"),
)
ENDING = of(registration.ProtectionEnded, registration_id="r-1", number="R-1", partner_id="p-1", reason_code="won")
STORY = (REGISTERED, APPROVED, LINKED, WON, CREDITED, EARNED, THEIRS, TAKEN_BACK)


def card(*events: Any) -> dict[str, Any]:
    return project(DEAL_CARDS, told(*events))["r-1"]


def test_repeats_and_other_orders_change_no_model() -> None:
    people = [JOINED, CHANGED, ENDED, CREATED, ROTATED, REVOKED, SIGNED_IN, SIGNED_OUT]
    seen = [*told(*STORY, ENDING, *PARTNER, *MEMBER), *told(*people)]
    for model in (DEAL_CARDS, TIMELINE, EVENT_LOG, PARTNER_CARDS, MEMBERS, STAFF, CLIENTS, SESSIONS):
        assert_repeatable(model, seen)


def test_no_model_raises_on_any_public_event() -> None:
    seen = told(*(decode(cls.type, sample(cls.type)) for cls in public_events()))
    for model in (DEAL_CARDS, TIMELINE, EVENT_LOG, PARTNER_CARDS, MEMBERS):
        assert_repeatable(model, seen)


# Deal cards


def test_a_card_says_where_a_deal_stands_over_all_services() -> None:
    assert {k: v for k, v in card(*STORY).items() if k not in ("parts", "tokens")} == {
        "registration_id": "r-1",
        "partner_id": "p-1",
        "partner_ids": ["p-1", "p-2"],
        "number": "R-1",
        "customer": "Contoso GmbH",
        "country": "DE",
        "status": "approved",
        "stage": "won",
        "amount": {"amount": "12000.00", "currency": "EUR"},
        "submitted_at": "2026-03-03T10:00:00Z",
        "changed_at": "2026-03-02T09:00:00Z",
        "protected_until": "2026-06-01T22:00:00Z",
        "earned": {"amount": "500.50", "currency": "EUR"},
    }


@pytest.mark.parametrize(
    ("events", "status", "stage", "amount"),
    [
        ((REGISTERED,), "in_review", "", "15000.00"),
        ((REGISTERED, of(registration.DealReturned, registration_id="r-1")), "action_required", "", "15000.00"),
        (
            (REGISTERED, of(registration.DealResubmitted, registration_id="r-1", amount=money("9000.00", "EUR"))),
            "in_review",
            "",
            "9000.00",
        ),
        ((REGISTERED, of(registration.DealQueued, registration_id="r-1")), "waiting", "", "15000.00"),
        ((REGISTERED, of(registration.DealPromoted, registration_id="r-1")), "in_review", "", "15000.00"),
        (
            (REGISTERED, of(registration.DealResubmitted, registration_id="r-1", amount=UNSET)),
            "in_review",
            "",
            "15000.00",
        ),
        ((REGISTERED, of(registration.DealRejected, registration_id="r-1")), "rejected", "", "15000.00"),
        ((REGISTERED, of(registration.DealWithdrawn, registration_id="r-1")), "withdrawn", "", "15000.00"),
        ((REGISTERED, APPROVED), "approved", "", "14000.00"),
        (
            (
                REGISTERED,
                APPROVED,
                of(registration.DealAmended, registration_id="r-1", amount=money("1.00", "EUR")),
            ),
            "approved",
            "",
            "1.00",
        ),
        ((REGISTERED, APPROVED, LINKED), "approved", "prospect", "14000.00"),
        (
            (
                REGISTERED,
                APPROVED,
                of(attribution.DealStageChanged, registration_id="r-1", to_stage="committed", partner_ids=("p-1",)),
                LINKED,
            ),
            "approved",
            "committed",
            "14000.00",
        ),
        ((REGISTERED, of(attribution.DealLost, registration_id="r-1")), "in_review", "lost", "15000.00"),
        ((REGISTERED, APPROVED, WON, ENDING), "closed", "won", "12000.00"),
        ((REGISTERED, APPROVED, replace(ENDING, reason_code="expired")), "expired", "", "14000.00"),
        ((REGISTERED, APPROVED, replace(ENDING, reason_code="revoked")), "revoked", "", "14000.00"),
    ],
)
def test_review_status_and_sales_stage_are_two_axes(
    events: tuple[Any, ...], status: str, stage: str, amount: str
) -> None:
    seen = card(*events)
    assert (seen["status"], seen["stage"], seen["amount"]["amount"]) == (status, stage, amount)


def test_a_card_is_found_by_the_beginnings_of_its_words() -> None:
    tokens = card(REGISTERED)["tokens"]
    assert {"co", "cont", "contoso", "gm", "gmbh", "de", "r", "1"} <= set(tokens)
    assert "ontoso" not in tokens


def test_a_deal_s_own_partner_reads_its_share_of_the_money_alone() -> None:
    seen = deal_cards.partner_view(card(*STORY), ("p-1",))
    assert (seen["partner_ids"], seen["earned"]) == (["p-1"], {"amount": "100.50", "currency": "EUR"})
    assert (seen["customer"], seen["protected_until"]) == ("Contoso GmbH", "2026-06-01T22:00:00Z")
    assert not {"parts", "tokens", "credit"} & seen.keys()
    assert "p-2" not in str(seen)


def test_a_card_is_open_to_whoever_was_ever_credited_once_it_is_won_as_what_tells_them_of_it_links_to_it() -> None:
    revised = replace(CREDITED, shares=(replace(CREDITED.shares[0], percent=Decimal("100.00")),))
    alone = replace(WON, partner_ids=("p-1",))
    assert card(REGISTERED, CREDITED)["partner_ids"] == ["p-1"]
    assert card(REGISTERED, alone, CREDITED, revised)["partner_ids"] == ["p-1", "p-2"]


def test_who_has_a_part_in_the_sale_reads_nothing_of_the_registration_s_partner_customer_or_terms() -> None:
    seen = deal_cards.partner_view(card(*STORY), ("p-2",))
    assert seen == {
        "registration_id": "r-1",
        "partner_id": None,
        "partner_ids": ["p-2"],
        "number": "R-1",
        "customer": "",
        "country": "",
        "status": "approved",
        "stage": "won",
        "amount": {"amount": "12000.00", "currency": "EUR"},
        "submitted_at": "",
        "changed_at": "2026-03-02T09:00:00Z",
        "protected_until": None,
        "earned": {"amount": "400.00", "currency": "EUR"},
    }


def test_the_vendor_reads_whose_credit_it_is() -> None:
    assert deal_cards.vendor_view(card(*STORY))["credit"] == {
        "sourcing": {
            "status": "final",
            "shares": [{"partner_id": "p-1", "percent": "60.00"}, {"partner_id": "p-2", "percent": "40.00"}],
        }
    }


def test_money_of_two_currencies_has_no_sum() -> None:
    dollars = replace(THEIRS, amount=money("1.00", "USD"))
    assert card(REGISTERED, EARNED, dollars)["earned"] is None


# Timeline and event log


def test_a_timeline_holds_each_event_of_a_deal_once() -> None:
    seen = told(*STORY)
    timeline = project(TIMELINE, seen)["r-1"]
    assert (timeline["subject"], timeline["partner_ids"]) == ("r-1", ["p-1", "p-2"])
    assert sorted(entry["event_id"] for entry in timeline["entries"]) == sorted(one.id for one in seen)


def test_a_timeline_is_in_order_of_time_and_within_a_service_of_position() -> None:
    late = told(REGISTERED, APPROVED, at=datetime(2026, 3, 5, tzinfo=UTC))
    early = told(WON, at=datetime(2026, 3, 4, tzinfo=UTC))
    entries = project(TIMELINE, [*late, *early])["r-1"]["entries"]
    assert [(entry["source"], entry["position"]) for entry in entries] == [
        ("attribution", 1),
        ("registration", 1),
        ("registration", 2),
    ]


def test_what_is_about_no_deal_has_no_timeline() -> None:
    assert project(TIMELINE, told(*PARTNER)) == {}


def test_an_event_document_is_the_event() -> None:
    [seen] = told(ENDING, first=42)
    assert project(EVENT_LOG, [seen])[seen.id] == {
        "event_id": seen.id,
        "source": "registration",
        "position": 42,
        "order": "registration:00000000000000000042",
        "type": "entente.registration.ProtectionEnded.v1",
        "subject": f"{TENANT}:thing-1",
        "partner_ids": ["p-1"],
        "at": "2026-03-02T09:00:00Z",
        "causation_id": None,
        "correlation_id": None,
        "data": {
            "registration_id": "r-1",
            "number": "R-1",
            "programme": "programme",
            "partner_id": "p-1",
            "reason_code": "won",
            "ended_at": "2026-03-15T10:02:00Z",
        },
    }


@pytest.mark.parametrize(
    ("event", "readers"),
    [
        (APPLIED := of(onboarding.PartnerApplied, partner_id="p-1"), []),
        (CREDITED, ["p-1", "p-2"]),
        (of(shared.RulesPublished), ["*"]),
        (of(gateway.TenantOpened), []),
        (of(shared.AttentionRaised, side="vendor", partner_id="p-1"), []),
        (of(shared.AttentionRaised, side="partner", partner_id="p-1"), ["p-1"]),
    ],
)
def test_the_log_names_who_may_read_an_event(event: Any, readers: list[str]) -> None:
    [document] = project(EVENT_LOG, told(event, source="onboarding")).values()
    assert document["partner_ids"] == readers
    for partner in ("p-1", "p-2"):
        seen = event_log.partner_view(document, (partner,))
        assert (seen is not None) == (partner in readers or "*" in readers)


def test_a_partner_s_view_of_credit_names_nobody_else() -> None:
    [document] = project(EVENT_LOG, told(CREDITED)).values()
    seen = event_log.partner_view(document, ("p-2",))
    assert seen is not None
    assert (seen["partner_ids"], [share["percent"] for share in seen["data"]["shares"]]) == (["p-2"], ["40.00"])
    assert "p-1" not in str(seen)


def test_a_partner_s_view_has_the_form_of_what_is_stored_so_that_a_page_shows_its_lists_as_lists() -> None:
    [document] = project(EVENT_LOG, told(CREDITED)).values()
    seen = event_log.partner_view(document, ("p-2",))
    assert seen is not None
    assert type(seen["data"]["shares"]) is list


# Partners

ACTIVATED = of(
    onboarding.PartnerActivated,
    partner_id="p-1",
    revision=3,
    display_name="Northwind",
    country="DE",
    domains=("northwind.example",),
    types=("reseller",),
)
SUSPENDED = of(onboarding.PartnerSuspended, partner_id="p-1", revision=4, scopes=("access",))
REINSTATED = of(onboarding.PartnerReinstated, partner_id="p-1", revision=5)
PARTNER = (
    of(onboarding.PartnerApplied, partner_id="p-1", domains=("northwind.example",), country="DE", types=("reseller",)),
    ACTIVATED,
    SUSPENDED,
    REINSTATED,
)


@pytest.mark.parametrize(
    ("events", "status", "access", "name"),
    [
        (PARTNER[:1], "applied", False, "northwind.example"),
        (PARTNER[:2], "active", True, "Northwind"),
        (PARTNER[:3], "suspended", False, "Northwind"),
        (PARTNER, "active", True, "Northwind"),
        ((*PARTNER[:2], replace(SUSPENDED, scopes=("payouts",))), "suspended", True, "Northwind"),
        ((*PARTNER, SUSPENDED), "active", True, "Northwind"),
        ((PARTNER[0], of(onboarding.PartnerDeclined, partner_id="p-1")), "declined", False, "northwind.example"),
        (
            (
                *PARTNER[:3],
                of(
                    onboarding.PartnerProfileChanged, partner_id="p-1", revision=5, display_name=None, domains=("n.de",)
                ),
            ),
            "suspended",
            False,
            "n.de",
        ),
    ],
    ids=["applied", "active", "suspended", "reinstated", "paid less", "told again", "declined", "renamed"],
)
def test_a_partner_s_card_says_whether_its_people_may_come_in(
    events: tuple[Any, ...], status: str, access: bool, name: str
) -> None:
    seen = project(PARTNER_CARDS, told(*events))["p-1"]
    assert (seen["status"], seen["access"], seen["name"]) == (status, access, name)


# People

STARTED = of(
    onboarding.MembershipStarted, membership_id="m-1", person_id="x-1", partner_id="p-1", roles=("owner", "seller")
)
LEFT = of(onboarding.MembershipEnded, membership_id="m-1", person_id="x-1", partner_id="p-1", roles=("owner", "seller"))
MEMBER = (STARTED, LEFT)


def test_members_come_and_go() -> None:
    active = {
        "membership_id": "m-1",
        "person_id": "x-1",
        "partner_id": "p-1",
        "roles": ["owner", "seller"],
        "status": "active",
    }
    assert project(MEMBERS, told(STARTED)) == {"m-1": active}
    assert project(MEMBERS, told(*MEMBER)) == {"m-1": {**active, "status": "ended"}}


def test_staff_are_known_by_handle_and_their_names_stay_sealed() -> None:
    assert project(STAFF, told(JOINED, CHANGED)) == {
        "s-1": {
            "staff_id": "s-1",
            "handle": "dora",
            "name": {"subject": "s-1", "box": "name"},
            "mail": {"subject": "s-1", "box": "mail"},
            "mail_key": "k",
            "roles": ["admin"],
            "duties": [],
            "status": "active",
            "version": 2,
        }
    }
    assert project(STAFF, told(JOINED, CHANGED, ENDED))["s-1"]["status"] == "ended"


def test_a_client_s_row_holds_no_secret() -> None:
    row = {
        "client_id": "c-1",
        "name": "Exporter",
        "kind": "partner",
        "partner_id": "p-1",
        "scopes": ["registration:read", "registration:write"],
        "status": "active",
        "created_at": "2026-03-03T10:00:00Z",
        "expires_at": "2026-04-02T10:00:00Z",
        "rotated_at": None,
        "version": 1,
    }
    assert project(CLIENTS, told(CREATED)) == {"c-1": row}
    rotated = {**row, "rotated_at": "2026-03-03T11:00:00Z", "version": 2}
    assert project(CLIENTS, told(CREATED, ROTATED)) == {"c-1": rotated}
    assert project(CLIENTS, told(CREATED, ROTATED, REVOKED))["c-1"] == {**rotated, "status": "revoked", "version": 3}


def test_a_session_is_there_while_it_lasts() -> None:
    assert project(SESSIONS, told(SIGNED_IN)) == {
        "h": {
            "session_id": "h",
            "tenant": "acme",
            "subject": "s-1",
            "partner_id": None,
            "opened_at": "2026-03-03T10:00:00Z",
            "expires_at": "2026-03-03T22:00:00Z",
        }
    }
    assert project(SESSIONS, told(SIGNED_IN, USED)).keys() == {"h"}
    assert project(SESSIONS, told(SIGNED_IN, USED, SIGNED_OUT)) == {}


# Publishing


def test_an_open_tenant_is_told_without_who_opened_it() -> None:
    [seen] = told(OPENED)
    assert publish(seen) == gateway.TenantOpened(
        slug="acme",
        name="Acme",
        sandbox=True,
        zone="Europe/Berlin",
        currency="EUR",
        locales=("en", "de"),
        opened_at=NOW,
    )


def test_nothing_else_is_told() -> None:
    private = [JOINED, CHANGED, ENDED, CREATED, ROTATED, REVOKED, SIGNED_IN, USED, SIGNED_OUT]
    kinds = {*staff.StaffEvent.__args__, *client.ClientEvent.__args__, *session.SessionEvent.__args__}
    assert kinds == {type(event) for event in private}
    assert tenant.TenantEvent is tenant.TenantOpened
    assert [publish(seen) for seen in told(*private)] == [None] * 9
