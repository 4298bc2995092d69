"""A deal that has no sale in the CRM: flagged once, a day after its approval, until it has one or is over."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.values import OpportunityId
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import CloseDeal, FlagMissingLink, LinkDeal
from services.registration.domain.deal_events import DealLinked, MissingLinkCleared, MissingLinkFlagged
from tests.registration.deals import CONTOSO, NOW, Town, approval

OF_A = {"registration_id": "a", "number": "R-a", "programme": "default", "partner_id": "p-1"}
DAY = timedelta(hours=24)
FLAGGED = MissingLinkFlagged(**OF_A, approved_at=NOW, flagged_at=NOW + DAY)
LINKED = DealLinked(
    **OF_A, opportunity_id=OpportunityId("o-1"), external_id="C-1", source_event_id="e-1", linked_at=NOW + DAY
)


def approved() -> Town:
    town = Town()
    town.register("a", "p-1")
    town.run(approval())
    return town


def on(**changes: Any) -> dict[str, Any]:
    return {"registration_id": "a", "accounts": (CONTOSO,), "now": NOW + DAY, **changes}


def flag(**changes: Any) -> FlagMissingLink:
    return FlagMissingLink(**on(approved_at=NOW) | changes)


def link() -> LinkDeal:
    return LinkDeal(**on(), opportunity_id=OpportunityId("o-1"), external_id="C-1", source_event_id="e-1")


def test_a_deal_without_a_sale_is_flagged_once_a_day_after_its_approval() -> None:
    town = approved()

    assert town.run(flag()) == [[FLAGGED]]
    assert town.run(flag()) == [[]]


@pytest.mark.parametrize(
    "changes",
    [
        {"now": NOW + DAY - timedelta(seconds=1)},
        {"now": NOW + DAY + timedelta(days=7)},
        {"approved_at": NOW - timedelta(days=1)},
    ],
)
def test_it_is_not_flagged_before_nor_a_week_later_nor_for_another_approval(changes: dict[str, Any]) -> None:
    assert approved().run(flag(**changes)) == [[]]


def test_a_sale_clears_the_flag_and_told_again_changes_nothing() -> None:
    town = approved()
    town.run(flag())

    assert town.run(link()) == [
        [LINKED, MissingLinkCleared(**OF_A, reason_code="linked", cleared_at=NOW + DAY)],
    ]
    assert town.run(link()) == [[]]
    assert town.run(flag(now=NOW + 2 * DAY)) == [[]]


def test_a_deal_that_is_linked_is_not_flagged() -> None:
    town = approved()

    assert town.run(link()) == [[LINKED]]
    assert town.run(flag()) == [[]]


def test_nobody_waits_for_the_sale_of_a_deal_that_has_ended() -> None:
    town = approved()
    town.run(flag())

    told = town.run(CloseDeal(**on(), result="lost", opportunity_id=OpportunityId("o-1"), source_event_id="e-2"))[0]

    assert told[-1] == MissingLinkCleared(**OF_A, reason_code="ended", cleared_at=NOW + DAY)
    assert town.state(Deals.at("a")).unlinked is False
