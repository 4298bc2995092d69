"""The feed over all services: no event of a service is left out, whatever the clocks said."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chassis.event import decode
from chassis.testing.projections import project, told
from contracts import onboarding, shared
from contracts.samples import sample
from services.gateway.api.reading import in_order
from services.gateway.projections.event_log import EVENT_LOG, EVERYBODY, readable_by

AT = datetime(2026, 3, 3, 10, tzinfo=UTC)


def item(source: str, position: int, at: str) -> dict[str, Any]:
    return {"source": source, "position": position, "at": at}


def test_an_earlier_time_behind_a_later_one_does_not_jump_the_queue() -> None:
    found = [[item("registration", 1, "12"), item("registration", 2, "10")], [item("incentives", 7, "11")]]
    told = [(one["source"], one["position"]) for one in in_order(found)]
    assert told == [("incentives", 7), ("registration", 1), ("registration", 2)]


@given(st.lists(st.lists(st.sampled_from("0123456789"), max_size=8), max_size=4), st.integers(0, 12))
def test_whatever_the_clocks_say_a_page_holds_a_prefix_of_each_service(times: list[list[str]], limit: int) -> None:
    found = [[item(f"s{n}", p, at) for p, at in enumerate(ats, 1)] for n, ats in enumerate(times)]
    page = in_order(found)[:limit]
    for items in found:
        mine = [one for one in page if one in items]
        assert mine == items[: len(mine)]


def test_everybody_reads_what_is_for_all_and_nobody_what_names_another() -> None:
    rules = decode(shared.RulesPublished.type, sample(shared.RulesPublished.type))
    partner = decode(onboarding.PartnerActivated.type, sample(onboarding.PartnerActivated.type))
    documents = project(EVENT_LOG, told(rules, partner, source="onboarding")).values()
    assert [document["partner_ids"] for document in documents] == [[EVERYBODY], [partner.partner_id]]
    assert readable_by(()) == {}
