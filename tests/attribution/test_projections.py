"""The read models of attribution, each told every fact twice and in other orders as well."""

from dataclasses import replace
from typing import Any

import pytest

from chassis.event import plain
from chassis.projection import Projection
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from services.attribution.domain.crm_record import CrmFieldsWritten
from services.attribution.domain.mirroring import ObserveCrmChange
from services.attribution.domain.opening import OpenOpportunity
from services.attribution.domain.opportunity import DealWon
from services.attribution.projections import credit_view, opportunity_board, opportunity_timeline
from services.attribution.projections.connections import CONNECTIONS
from services.attribution.projections.credit_view import CREDIT_VIEW
from services.attribution.projections.opportunity_board import OPPORTUNITY_BOARD
from services.attribution.projections.opportunity_timeline import OPPORTUNITY_TIMELINE
from services.attribution.projections.quarantine import QUARANTINE
from services.attribution.projections.sync_status import SYNC_STATUS
from services.attribution.projections.touch_log import TOUCH_LOG
from tests.attribution.facts import (
    ANNE,
    BEN,
    CONN,
    DEAL,
    RECORD,
    REG,
    SALE,
    T0,
    at,
    change,
    connected,
    handles,
    observing,
    open_wish,
    record,
    sale,
    touch_wish,
)


def story() -> list[Any]:
    """A sale that opens, is written, held, won and partly refunded: all facts in the order of the log."""
    opening = given(handles(OpenOpportunity)).when(
        open_wish(touch_wish(), touch_wish("t2", BEN, "order_fulfilled", "fulfil"))
    )
    events = [*connected()[1], *(e for part in opening.verdict.events for e in part)]
    sales, rows = list(opening.verdict.events[0]), []
    for shown in (change("legal_review", days=5), change(), change(refunded="1000.00", days=11)):
        case = given(handles(ObserveCrmChange), sale(*sales), record(*rows), connected())
        made = case.when(observing(shown)).verdict.events
        sales += made[0]
        rows += made[1]
        events += [e for part in made for e in part]
    return events


ALL = (CONNECTIONS, SYNC_STATUS, QUARANTINE, OPPORTUNITY_BOARD, OPPORTUNITY_TIMELINE, CREDIT_VIEW, TOUCH_LOG)


@pytest.mark.parametrize("projection", ALL, ids=lambda p: p.name)
def test_facts_told_twice_or_in_other_orders_change_nothing(projection: Projection) -> None:
    assert_repeatable(projection, told(*story()))


def test_the_board_shows_a_sale_as_the_crm_has_it() -> None:
    row = project(OPPORTUNITY_BOARD, told(*story()))[SALE]
    expected = {
        "opportunity_id": SALE,
        "registration_id": REG,
        "number": "R-7Q2M4K9X",
        "customer": "Harbour Works",
        "partner_id": ANNE,
        "partner_ids": [ANNE, BEN],
        "stage": "won",
        "status": "won",
        "amount": {"amount": "10000.00", "currency": "EUR"},
        "remaining": {"amount": "9000.00", "currency": "EUR"},
        "expected_close_on": "2026-06-30",
        "closed_on": "2026-03-13",
        "win_no": 1,
        "external_id": DEAL,
        "products": ["cloud", "edge", "support"],
        "opened_at": "2026-03-03T10:00:00Z",
    }
    assert {name: row[name] for name in expected} == expected
    other = opportunity_board.for_partner(row, (BEN,))
    assert (other["partner_id"], other["partner_ids"]) == (None, [BEN])


def test_who_takes_part_in_another_partners_deal_reads_its_amount_once_it_is_won() -> None:
    happened = story()
    of_the_win = next(place for place, one in enumerate(happened) if isinstance(one, DealWon))
    won = project(OPPORTUNITY_BOARD, told(*happened))[SALE]
    before = project(OPPORTUNITY_BOARD, told(*happened[:of_the_win]))[SALE]
    assert (before["status"], before["partner_ids"]) == ("open", [ANNE, BEN])
    assert opportunity_board.for_partner(before, (ANNE,))["amount"] == {"amount": "10000.00", "currency": "EUR"}
    assert opportunity_board.for_partner(before, (BEN,))["amount"] is None
    assert opportunity_board.for_partner(won, (BEN,))["amount"] == {"amount": "10000.00", "currency": "EUR"}


def test_the_timeline_tells_a_partner_nothing_of_another() -> None:
    document = project(OPPORTUNITY_TIMELINE, told(*story()))[SALE]
    assert [entry["type"] for entry in document["entries"]] == [
        "OpportunityOpened",
        "OpportunityTouched",
        "OpportunityTouched",
        "CreditAllocated",
        "CreditAllocated",
        "CrmChangeQuarantined",
        "DealWon",
        "CreditAllocated",
        "CreditAllocated",
        "RevenueReversed",
    ]
    shown = opportunity_timeline.for_partner(document, (BEN,))
    assert ANNE not in str(shown)
    assert "CrmChangeQuarantined" not in str(shown)


def test_credit_keeps_every_revision_and_answers_as_known_then() -> None:
    first, second = told(*story(), at=T0), told(*story(), at=at(10))
    early = [seen for seen in first if getattr(seen.event, "status", "") == "provisional"]
    late = [seen for seen in second if getattr(seen.event, "status", "") == "final"]
    document = project(CREDIT_VIEW, [*early, *late])[f"{SALE}-sourced"]
    assert [(r["revision"], r["status"], r["known_at"]) for r in document["revisions"]] == [
        (1, "provisional", "2026-03-03T10:00:00Z"),
        (1, "final", "2026-03-13T10:00:00Z"),
    ]
    known = credit_view.as_known(document, at(5))
    assert known is not None
    assert (known["status"], len(known["revisions"])) == ("provisional", 1)
    assert credit_view.as_known(document, at(-1)) is None


def test_credit_shows_a_partner_its_own_share_and_one_sum() -> None:
    allocated = next(e for e in story() if getattr(e, "pool", "") == "sourced")
    halves = tuple(
        replace(allocated.shares[0], partner_id=p, percent=allocated.shares[0].percent / 2) for p in (ANNE, BEN)
    )
    document = project(CREDIT_VIEW, told(replace(allocated, shares=halves, reason="secret")))[f"{SALE}-sourced"]
    (own,) = credit_view.for_partner(document, (BEN,))["revisions"]
    assert ([s["partner_id"] for s in own["shares"]], own["others_percent"], own["rows"]) == ([BEN], "50.00", [])
    assert (own["reason"], ANNE in str(own)) == (None, False)


def test_sync_status_goes_from_wish_to_row_and_back_into_step() -> None:
    wished = project(SYNC_STATUS, told(*story()[:8]))[SALE]
    assert (wished["status"], wished["pending"], wished["external_id"]) == ("pending_out", True, None)
    written = CrmFieldsWritten(
        record_id=RECORD,
        connection_id=CONN,
        external_id=DEAL,
        opportunity_id=SALE,
        wish_sha256=wished["wish_sha256"],
        shown=None,
        written_at=at(1),
    )
    assert project(SYNC_STATUS, told(*story()[:8], written))[SALE]["status"] == "in_sync"
    assert project(SYNC_STATUS, told(*story(), written))[SALE]["status"] == "quarantined"


def test_the_quarantine_lists_what_waits_and_why() -> None:
    (held,) = project(QUARANTINE, told(*story())).values()
    assert (held["code"], held["opportunity_id"], held["change"]["stage"]) == ("stage-unmapped", SALE, "legal_review")


def test_a_connection_remembers_how_far_it_was_read() -> None:
    document = project(CONNECTIONS, told(*story()))[CONN]
    assert (document["status"], document["checkpoint_at"]) == ("active", "2026-03-14T10:00:00Z")


def test_the_touch_log_names_what_each_partner_did() -> None:
    documents = project(TOUCH_LOG, told(*story()))
    assert {one["partner_id"]: one["touch_type"] for one in documents.values()} == {
        ANNE: "registration_approved",
        BEN: "order_fulfilled",
    }
    assert plain(documents["t1"])["source"] == "registration"
