"""What a partner reads of a public event names no other partner, and nobody reads what is not about it."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.event import LEFT_OUT, PublicEvent, decode, encode
from contracts import attribution, shared
from contracts.catalogue import public_events
from contracts.samples import sample

PARTNERS = ("partner-ant", "partner-bee", "partner-cat", "partner-dog")
TYPES = [cls.type for cls in public_events()]
SOME = st.sampled_from(PARTNERS)


def with_partners(value: Any, draw: st.DrawFn) -> Any:
    """The body with drawn partners in every place that names one, and lists of up to four of what names one."""
    match value:
        case dict():
            return {key: draw(SOME) if key == "partner_id" else _field(key, value[key], draw) for key in value}
        case [dict() as item] if "partner_id" in item:
            return [with_partners(item, draw) for _ in range(draw(st.integers(0, 4)))]
        case list():
            return [with_partners(item, draw) for item in value]
        case _:
            return value


def _field(key: str, value: Any, draw: st.DrawFn) -> Any:
    if key == "partner_ids":
        return draw(st.lists(SOME, unique=True, max_size=4))
    return draw(st.sampled_from(["partner", "vendor"])) if key == "side" else with_partners(value, draw)


@st.composite
def events(draw: st.DrawFn) -> PublicEvent:
    name = draw(st.sampled_from(TYPES))
    event: PublicEvent = decode(name, json.dumps(with_partners(json.loads(sample(name)), draw)).encode())
    return event


@given(events(), SOME)
def test_a_view_names_no_other_partner(event: PublicEvent, reader: str) -> None:
    view = event.for_partner(reader)
    if view is not None:
        assert type(event) is type(view)
        assert [] == [other for other in PARTNERS if other != reader and other in encode(view).decode()]


@given(events(), SOME)
def test_only_who_it_is_about_has_a_view(event: PublicEvent, reader: str) -> None:
    if event.audience == "all":
        assert event == event.for_partner(reader)
    elif event.audience == "vendor" or reader not in event.partners():
        assert event.for_partner(reader) is None


def test_a_partner_hears_of_rules_that_hold_and_never_of_those_in_the_shadow() -> None:
    published = decode(shared.RulesPublished.type, sample(shared.RulesPublished.type))
    live, shadow = replace(published, mode="live"), replace(published, mode="shadow")
    assert live.for_partner("partner-ant") == live
    assert shadow.for_partner("partner-ant") is None
    ended = decode(shared.RulesEnded.type, sample(shared.RulesEnded.type))
    modes = (LEFT_OUT, "live", "shadow")
    told = [replace(ended, mode=mode).for_partner("partner-ant") is not None for mode in modes]
    assert told == [True, True, False], "of an end that was recorded without a mode all hear, as ever"


@given(events())
def test_a_stranger_sees_only_what_is_for_all(event: PublicEvent) -> None:
    assert (event.for_partner("partner-fox") is not None) == (event.audience == "all")


@given(events(), SOME)
def test_a_view_of_a_view_is_the_same(event: PublicEvent, reader: str) -> None:
    view = event.for_partner(reader)
    if view is not None and not isinstance(view, attribution.CreditAllocated):
        assert view == view.for_partner(reader)


@pytest.mark.parametrize("name", TYPES)
def test_every_public_event_has_a_known_audience(name: str) -> None:
    event = decode(name, sample(name))
    assert event.audience in {"vendor", "partner", "both", "all"}
    assert event.audience in {"vendor", "all"} or event.partners()


def test_the_margin_of_a_win_stays_with_the_vendor() -> None:
    won = decode("entente.attribution.DealWon.v1", sample("entente.attribution.DealWon.v1"))
    view = won.for_partner(won.partner_ids[0])
    assert won.margin is not None
    assert (None, won.amount) == (view.margin, view.amount)


def test_a_partner_sees_its_own_credit_and_one_sum_of_all_others() -> None:
    allocated = decode("entente.attribution.CreditAllocated.v1", sample("entente.attribution.CreditAllocated.v1"))
    percents = {"partner-ant": "50.00", "partner-bee": "30.00", "partner-cat": "20.00"}
    shares = tuple(
        attribution.Share(partner_id=partner, role="source", percent=Decimal(percent), from_month="2026-03")
        for partner, percent in percents.items()
    )
    view = type(allocated).for_partner(_with_shares(allocated, shares), "partner-bee")
    assert (shares[1],) == view.shares
    assert Decimal("70.00") == view.others_percent


def _with_shares(allocated: Any, shares: tuple[attribution.Share, ...]) -> Any:
    body = json.loads(encode(allocated)) | {"shares": json.loads(encode(shares))}
    return decode(allocated.type, json.dumps(body).encode())


def test_the_vendors_attention_is_not_the_partners() -> None:
    raised = shared.AttentionRaised(
        attention_id="a-1", side="vendor", roles=("finance",), topic="payment-unknown", subject="p-1", partner_id="ant"
    )
    assert raised.for_partner("ant") is None


def test_a_partner_reads_of_a_conflict_the_class_that_it_is_told_and_no_word_of_another() -> None:
    name = "entente.registration.ConflictDetected.v1"
    met = replace(decode(name, sample(name)), conflict_class="probable", told_class="possible", withheld=())
    told = met.for_partner(met.partner_id)
    assert (told.conflict_class, told.told_class) == ("possible", LEFT_OUT)
    assert replace(met, told_class=LEFT_OUT).for_partner(met.partner_id).conflict_class == "probable"
