"""What a closed window is trued up by is held as the plan's lines are, and what lowers it takes of that first."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.application import NothingToDo
from chassis.decider import Busy, WrongState
from chassis.event import LEFT_OUT, decode, encode, stable_id
from chassis.testing.projections import assert_repeatable, project, told
from chassis.verify import verify_decisions
from contracts.shared import AttentionCleared, AttentionRaised
from contracts.values import money
from services.incentives.domain.choice import version_of
from services.incentives.domain.exchange import NoRate, Rate
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.journal import books_balance, trial_balance
from services.incentives.domain.line import OnHold, PostponedTooFar
from services.incentives.domain.meter import (
    CloseWindow,
    Meter,
    MeterCarried,
    Meters,
    Moment,
    NoteWindowWaits,
    PostponeTrueUp,
    ReleaseTrueUp,
    TrueUpHeldLonger,
    TrueUpPostponed,
    TrueUpReduced,
    TrueUpReleased,
    Way,
    WindowResumed,
    WindowTruedUp,
    WindowWaits,
    carry,
    close_window_in_plan_currency,
    close_window_payable_at_once,
    evolve,
    note_window_waits,
    postpone_held_true_up,
    postpone_true_up,
    release_true_up,
)
from services.incentives.domain.meter import trued_up as trued_up_by
from services.incentives.domain.payee import Payee
from services.incentives.domain.verifying import WITHOUT_LOG, verify
from services.incentives.projections.earnings import EARNINGS
from services.incentives.projections.ledger import BALANCES, LEDGER
from services.incentives.projections.liability import DAY_BALANCES
from services.incentives.projections.progress import PROGRESS
from services.incentives.projections.releases import RELEASES, release
from services.incentives.projections.statement_days import STATEMENT_DAYS
from services.incentives.projections.windows import WAITING_WINDOWS, WINDOWS
from services.incentives.publishing import publish
from tests.incentives.facts import NOW, World, book, credit, plan, reversal, win
from tests.incentives.proving import findings
from tests.incentives.test_books import opened
from tests.incentives.test_service import APPROVER, FINANCE, P1, TENANT, activated, credited, incentives, refunded, won

__all__ = ["incentives"]
D = Decimal
METER = "plan-a-p1-2026"
OVER, FREE = date(2027, 1, 1), date(2027, 1, 31)
LESS_ABOVE = ({"up_to": "1000", "percent": "10"}, {"percent": "5"})
"""A refund of what was sold first leaves what was sold later worth more than it was rated at."""


def sale(n, amount="1000.00", **at):
    return win(amount, opportunity_id=f"o{n}", **at), credit(opportunity_id=f"o{n}", **at)


def refund(reversal_id, amount, n, day=None):
    at = {"now": noon(day)} if day else {}
    return reversal(reversal_id, amount, opportunity_id=f"o{n}", **at)


def trued_up(known=None, **changes):
    """Lines of 100.00 and 50.00, the first one refunded: the window is worth 100.00, and 50.00 were posted."""
    world = World(book(plan(*LESS_ABOVE, accumulate="year", **changes)), **(known or {}))
    return world.tell(*sale(1), *sale(2), refund("x", "1000.00", 1)).close(METER, OVER)


def entries(happened):
    return [(one.name, one.amount.amount) for one in happened.journal.entries]


def owed(world, account):
    return -sum((e.amount.amount for e in world.posted() if e.account == account), D(0))


def releasing(line_id, day):
    return ReleaseTrueUp(meter_id=METER, line_id=line_id, now=noon(day))


def test_a_true_up_is_held_for_the_days_of_the_plan_and_released_on_its_day_once():
    world = trued_up()
    [up] = world.of(WindowTruedUp)
    assert (up.amount, up.total, up.payable_on) == (money("50.00", "EUR"), money("100.00", "EUR"), FREE)
    assert entries(up) == [("expense:commission", D("50.00")), ("held", D("-50.00"))]
    with pytest.raises(OnHold):
        release_true_up(releasing(up.line_id, date(2027, 1, 30)), world.meters[METER])
    world.release_true_ups(FREE)
    [freed] = world.of(TrueUpReleased)
    assert (freed.line_id, freed.amount, freed.payable_on) == (up.line_id, money("50.00", "EUR"), FREE)
    assert entries(freed) == [("held", D("50.00")), ("payable", D("-50.00"))]
    assert release_true_up(releasing(up.line_id, FREE), world.meters[METER]) == []


LATER = date(2027, 3, 1)


def postponing(line_id, until=LATER, day=OVER):
    return PostponeTrueUp(
        meter_id=METER, line_id=line_id, until=until, reason="a credit note is coming", by="fin-1", now=noon(day)
    )


def postponed():
    """A true-up of 50.00 that somebody holds a month longer, and that event."""
    world = trued_up()
    [up] = world.of(WindowTruedUp)
    [event] = postpone_true_up(postponing(up.line_id), world.meters[METER], ())
    world.keep(world.meters, Meters, {METER: [event]})
    return world, up, event


def test_a_held_true_up_is_postponed_and_released_on_the_later_day():
    world, up, event = postponed()
    assert (event.line_id, event.amount, event.payable_on) == (up.line_id, money("50.00", "EUR"), LATER)
    assert entries(event) == []
    assert postpone_true_up(postponing(up.line_id), world.meters[METER], ()) == []
    with pytest.raises(OnHold):
        release_true_up(releasing(up.line_id, FREE), world.meters[METER])
    world.release_true_ups(LATER)
    [freed] = world.of(TrueUpReleased)
    assert (freed.amount, freed.payable_on) == (money("50.00", "EUR"), LATER)


AGAIN = date(2027, 4, 1)


@pytest.mark.parametrize(("days", "day", "line_held"), [(30, FREE, D("50.00")), (0, OVER, D("0.00"))])
def test_a_true_up_that_is_payable_is_held_again_and_released_on_the_later_day(days, day, line_held):
    world = trued_up(hold_days=days)
    [up] = world.of(WindowTruedUp)
    world.release_true_ups(day)
    [event] = postpone_true_up(postponing(up.line_id, AGAIN, day), world.meters[METER], ())
    assert (event.payable_on, entries(event)) == (AGAIN, [("payable", D("50.00")), ("held", D("-50.00"))])
    world.keep(world.meters, Meters, {METER: [event]})
    assert owed(world, "held") - line_held == D("50.00")
    world.release_true_ups(AGAIN)
    assert owed(world, "held") - line_held == D("0.00")


def test_a_true_up_that_became_payable_in_an_earlier_segment_is_not_held_again():
    world = trued_up()
    [up] = world.of(WindowTruedUp)
    world.release_true_ups(FREE)
    later = evolve(Meters.initial, decode(MeterCarried.type, encode(carry(world.meters[METER]))))
    with pytest.raises(WrongState):
        postpone_true_up(postponing(up.line_id, AGAIN, FREE), later, ())


def test_what_a_window_takes_back_at_once_is_not_held():
    world = trued_up()
    world.release_true_ups(FREE).tell(refund("y", "1000.00", 2, FREE))
    owes = world.of(WindowTruedUp)[-1]
    assert owes.amount.amount < 0
    with pytest.raises(WrongState):
        postpone_true_up(postponing(owes.line_id, AGAIN, FREE), world.meters[METER], ())


def test_before_only_what_was_held_was_held_longer_and_nobody_kept_who_had_done_that():
    world = trued_up()
    [up] = world.of(WindowTruedUp)
    [event] = postpone_held_true_up(postponing(up.line_id), world.meters[METER])
    assert isinstance(event, TrueUpPostponed)
    assert postpone_held_true_up(postponing(up.line_id, FREE), world.meters[METER]) == []
    world.keep(world.meters, Meters, {METER: [event]})
    assert world.meters[METER].held[0].payable_on == LATER
    assert "changed_by" not in orjson.loads(encode(carry(world.meters[METER])))
    world.release_true_ups(LATER)
    with pytest.raises(WrongState):
        postpone_held_true_up(postponing(up.line_id, AGAIN, LATER), world.meters[METER])


def test_who_postponed_a_true_up_is_known_after_its_hold_and_in_the_next_segment():
    world, up, _ = postponed()
    world.release_true_ups(LATER)
    later = evolve(Meters.initial, decode(MeterCarried.type, encode(carry(world.meters[METER]))))
    assert later.changed_by == {up.line_id: ("fin-1",)}


@pytest.mark.parametrize("until", [FREE - timedelta(days=1), OVER, OVER + timedelta(days=181)])
def test_a_true_up_is_postponed_to_a_later_day_and_by_180_days_at_most(until):
    world = trued_up()
    [up] = world.of(WindowTruedUp)
    with pytest.raises(PostponedTooFar):
        postpone_true_up(postponing(up.line_id, until), world.meters[METER], ())


def test_a_postponed_true_up_is_still_lowered_first_and_goes_on_in_the_next_segment():
    world, _, _ = postponed()
    world.tell(refund("y", "500.00", 2, date(2027, 1, 10)))
    [down] = world.of(TrueUpReduced)
    assert (down.amount, down.remaining) == (money("25.00", "EUR"), money("25.00", "EUR"))
    [held] = evolve(Meters.initial, carry(world.meters[METER])).held
    assert (held.amount, held.payable_on) == (money("25.00", "EUR"), LATER)


def test_a_postponed_true_up_is_read_told_explained_and_due_on_its_day():
    _, up, event = postponed()
    seen = told(up, event)
    [document] = project(EARNINGS, seen).values()
    why = "postponed until 2027-03-01: a credit note is coming"
    assert (document["state"], document["payable_on"], document["why_held"]) == ("held", "2027-03-01", why)
    public = publish(seen[1])
    assert (public.line_id, public.payable_on, public.opportunity_id) == (up.line_id, LATER, None)
    assert EXPLAIN[TrueUpHeldLonger](seen[1]).outcome == "postponed"
    [due] = project(RELEASES, seen).values()
    assert due["due_at"] == "2027-03-01T00:00:00Z"
    assert_repeatable(RELEASES, seen)


def test_a_plan_without_a_hold_makes_its_true_up_payable_at_once():
    world = trued_up(hold_days=0)
    [up] = world.of(WindowTruedUp)
    assert (up.payable_on, entries(up)[1]) == (OVER, ("payable", D("-50.00")))
    assert world.meters[METER].held == ()


def test_each_release_part_of_a_true_up_is_a_line():
    parts = [{"percent": "33", "after_days": 0}, {"percent": "67", "after_days": 60}]
    world = trued_up(release=parts)
    ups = [(up.amount.amount, up.payable_on, entries(up)[1][0]) for up in world.of(WindowTruedUp)]
    assert ups == [(D("16.50"), OVER, "payable"), (D("33.50"), date(2027, 3, 2), "held")]
    assert len({up.line_id for up in world.of(WindowTruedUp)}) == 2


def test_what_lowers_a_held_true_up_is_taken_of_what_is_held():
    world = trued_up().tell(refund("y", "500.00", 2, date(2027, 1, 10)))
    [down] = world.of(TrueUpReduced)
    assert (down.amount, down.remaining, down.total) == tuple(money(m, "EUR") for m in ("25.00", "25.00", "50.00"))
    assert entries(down) == [("held", D("25.00")), ("expense:commission", D("-25.00"))]
    world.release_true_ups(FREE)
    assert [freed.amount.amount for freed in world.of(TrueUpReleased)] == [D("25.00")]


def test_what_is_lowered_beyond_what_is_held_is_taken_of_what_is_payable():
    parts = [
        {"percent": "40", "after_days": 0},
        {"percent": "20", "after_days": 30},
        {"percent": "40", "after_days": 60},
    ]
    world = trued_up(release=parts).tell(refund("y", "1000.00", 2, date(2027, 1, 10)))
    taken = [(down.amount.amount, down.remaining.amount) for down in world.of(TrueUpReduced)]
    assert taken == [(D("20.00"), D("0.00")), (D("10.00"), D("0.00"))]
    *_, rest = world.of(WindowTruedUp)
    assert (rest.amount, entries(rest)[1]) == (money("-20.00", "EUR"), ("payable", D("20.00")))
    assert world.meters[METER].held == ()
    assert owed(world, "held") + owed(world, "payable") == 0
    assert world.release_true_ups(date(2027, 12, 31)).of(TrueUpReleased) == []


def test_what_was_released_is_lowered_by_a_line_of_its_own():
    world = trued_up().release_true_ups(FREE).tell(refund("y", "500.00", 2, date(2027, 2, 10)))
    assert not world.of(TrueUpReduced)
    assert [(up.amount.amount, up.payable_on) for up in world.of(WindowTruedUp)][1:] == [
        (D("-25.00"), date(2027, 2, 10))
    ]


def test_the_same_measure_reached_again_from_the_same_sum_is_another_line():
    """Half is refunded, as much is sold anew, and the other half is refunded: twice 75.00 at a measure of 500."""
    world = trued_up().release_true_ups(FREE)
    world.tell(refund("y", "500.00", 2), *sale(3, "500.00"), refund("z", "500.00", 2))
    ups = world.of(WindowTruedUp)
    assert [up.amount.amount for up in ups] == [D("50.00"), D("-25.00"), D("-25.00")]
    assert len({up.line_id for up in ups}) == 3


def test_in_the_books_a_true_up_is_lowered_and_released_at_the_rate_at_which_it_was_trued_up():
    days = (("1.5", NOW.date()), ("1.10", date(2027, 1, 5)), ("1.20", date(2027, 1, 10)))
    rates = tuple(Rate(base="EUR", quote="USD", rate=D(rate), on=on, source="ecb") for rate, on in days)
    world = World(book(plan(*LESS_ABOVE, accumulate="year")), rates=rates, books_currency="USD")
    world.tell(*sale(1), *sale(2)).close(METER, OVER).tell(refund("x", "1000.00", 1, date(2027, 1, 5)))
    world.tell(refund("y", "500.00", 2, date(2027, 1, 10))).release_true_ups(date(2027, 2, 4))
    made = [*world.of(WindowTruedUp), *world.of(TrueUpReduced), *world.of(TrueUpReleased)]
    booked = [one.journal.entries[0].books_amount for one in made]
    assert booked == [money("55.00", "USD"), money("27.50", "USD"), money("27.50", "USD")]
    assert set(books_balance(world.posted()).values()) == {D(0)}


def test_the_evaluators_before_made_a_true_up_payable_at_once_under_the_id_that_it_had():
    world = World(book(plan(*LESS_ABOVE, accumulate="year")), holds_true_ups=False)
    world.tell(*sale(1), *sale(2), refund("x", "1000.00", 1))
    wish = CloseWindow(meter_id=METER, plan_id="plan-a", payee_id="p1", now=datetime(2027, 1, 1, tzinfo=UTC))
    closed = close_window_payable_at_once(wish, world.meters[METER], world.books, Payee(), ())
    world.keep(world.meters, Meters, {METER: closed})
    world.tell(refund("y", "500.00", 2, date(2027, 1, 10)))
    ups = world.of(WindowTruedUp)
    assert [entries(up)[1] for up in ups] == [("payable", D("-50.00")), ("payable", D("25.00"))]
    assert [up.line_id for up in ups] == [
        stable_id(METER, "true_up", m, p) for m, p in (("1000", "50.00"), ("500", "75.00"))
    ]
    assert {"payable_on", "measure", "quota"}.isdisjoint(orjson.loads(encode(ups[0])))
    assert not any(up.held for up in ups)


def test_a_meter_goes_on_with_what_is_held_and_one_that_held_nothing_as_ever():
    held = trued_up().meters[METER]
    assert evolve(Meters.initial, decode(MeterCarried.type, encode(carry(held)))) == held
    old = World(book(plan(accumulate="year"))).tell(*sale(1)).meters[METER]
    assert {"held", "true_ups"}.isdisjoint(orjson.loads(encode(carry(old))))


# Read models


def seen_of(world):
    """Every event, told on the day on which it happened."""
    found = []
    for place, happened in enumerate(world.events, 1):
        found += told(happened, first=place, at=at_of(happened))
    return found


def at_of(happened):
    names = ("trued_up_at", "reduced_at", "released_at", "closed_at", "calculated_at", "reversed_at", "metered_at")
    return next((getattr(happened, name) for name in names if hasattr(happened, name)), NOW)


def test_a_line_of_a_window_shows_until_when_it_is_held_what_is_left_of_it_and_that_it_is_released():
    world = trued_up()
    [up] = world.of(WindowTruedUp)
    line = project(EARNINGS, seen_of(world))[up.line_id]
    assert (line["state"], line["payable_on"], line["why_held"]) == (
        "held",
        "2027-01-31",
        "held until 2027-01-31 by the plan",
    )
    world.tell(refund("y", "500.00", 2, date(2027, 1, 10))).release_true_ups(FREE)
    line = project(EARNINGS, seen_of(world))[up.line_id]
    assert [line[name]["amount"] for name in ("amount", "reversed", "remaining")] == ["50.00", "25.00", "25.00"]
    assert (line["state"], line["why_held"]) == ("payable", None)
    assert [step["text"] for step in line["history"]] == [
        "true up of 2026: 50.00 EUR",
        "lowered by 25.00 EUR: the window is worth 50.00 EUR",
        "released 25.00 EUR",
    ]


def test_a_true_up_of_which_nothing_is_left_is_reversed_and_is_not_released():
    world = trued_up().tell(refund("y", "1000.00", 2, date(2027, 1, 10)))
    [up] = world.of(WindowTruedUp)
    assert project(EARNINGS, seen_of(world))[up.line_id]["state"] == "reversed"
    assert up.line_id not in project(RELEASES, seen_of(world))


def test_the_clock_releases_a_true_up_on_its_day():
    [up] = (world := trued_up()).of(WindowTruedUp)
    due = project(RELEASES, seen_of(world))[up.line_id]
    assert due["due_at"] == "2027-01-31T00:00:00Z"
    now = datetime(2027, 1, 31, tzinfo=UTC)
    assert release(due, now) == ReleaseTrueUp(meter_id=METER, line_id=up.line_id, now=now)
    world.release_true_ups(FREE)
    assert up.line_id not in project(RELEASES, seen_of(world))


def test_what_is_held_is_owed_and_stands_in_no_statement_before_its_day():
    world = trued_up()
    assert project(BALANCES, seen_of(world))["p1-EUR"]["held"] == "-100.00"
    assert project(DAY_BALANCES, seen_of(world))["p1-EUR-2027-01-01"]["held"] == "-50.00"
    assert "p1-EUR" not in project(STATEMENT_DAYS, seen_of(world))
    world.release_true_ups(FREE)
    seen = seen_of(world)
    assert project(STATEMENT_DAYS, seen)["p1-EUR"]["last_on"] == "2027-01-31"
    [stated] = [one for one in project(LEDGER, seen).values() if one["touches_payable"]]
    assert (stated["kind"], stated["payable"], stated["effective_on"]) == ("released", "50.00", "2027-01-31")


def test_repeats_and_other_orders_change_no_model():
    world = trued_up().tell(refund("y", "500.00", 2, date(2027, 1, 10))).release_true_ups(FREE)
    for model in (EARNINGS, RELEASES, LEDGER, BALANCES, DAY_BALANCES, PROGRESS, STATEMENT_DAYS):
        assert_repeatable(model, seen_of(world))
    assert project(PROGRESS, seen_of(world))[METER]["trued_up"] == {"amount": "50.00", "currency": "EUR"}


def test_the_others_hear_until_when_it_is_held_what_is_taken_of_it_and_that_it_is_released():
    world = trued_up().tell(refund("y", "500.00", 2, date(2027, 1, 10))).release_true_ups(FREE)
    of_windows = [one for one in seen_of(world) if type(one.event).__name__.startswith(("WindowTruedUp", "TrueUp"))]
    calculated, reversed_, released = (publish(one) for one in of_windows)
    assert (calculated.kind, calculated.payable_on) == ("true_up", FREE)
    assert (reversed_.kind, reversed_.amount, reversed_.remaining) == (
        "true_up",
        money("25.00", "EUR"),
        money("25.00", "EUR"),
    )
    assert (released.line_id, released.amount, released.payable_on) == (calculated.line_id, money("25.00", "EUR"), FREE)


def test_each_step_says_why():
    world = trued_up().tell(refund("y", "500.00", 2, date(2027, 1, 10))).release_true_ups(FREE)
    steps = [one for one in seen_of(world) if isinstance(one.event, TrueUpReduced | TrueUpReleased)]
    said = [[reason.text for reason in EXPLAIN[type(one.event)](one).reasons] for one in steps]
    assert said[-1] == ["the hold ended on 2027-01-31"]
    assert said[-2] == [
        "the window 2026 is worth 50.00 EUR now; 25.00 EUR of a held true-up is not earned",
        "25.00 EUR of the line stands",
    ]
    [up] = [one for one in seen_of(world) if isinstance(one.event, WindowTruedUp)]
    assert [reason.text for reason in EXPLAIN[WindowTruedUp](up).reasons] == [
        "at a measure of 1000 the window 2026 is worth 100.00 EUR; its lines differ by 50.00 EUR",
        "earned 2027-01-01, payable 2027-01-31",
    ]


# Over the API


@pytest.fixture
async def held(incentives):
    """A true-up of a quarter on the day after it, held through April."""
    await incentives.publish_plan(plan(*LESS_ABOVE, accumulate="quarter"))
    await incentives.hear(activated())
    for name in ("o1", "o2"):
        await incentives.hear(won(name))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id=name))
    await incentives.hear(refunded("x", "1000.00"))
    incentives.clock.set(datetime(2026, 4, 1, 9, tzinfo=UTC))
    page = await incentives.until(P1, "/lines?kind=true_up", lambda page: page["items"])
    return page["items"][0]


@pytest.fixture
async def stated(incentives, held):
    """The same true-up, and the statement of May in which it stands."""
    incentives.clock.set(datetime(2026, 5, 1, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines?kind=true_up&state=payable", lambda page: page["items"])
    incentives.clock.set(datetime(2026, 6, 2, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-05", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", body)).json()
    return held, await incentives.get(P1, f"/statements/{statement['statement_id']}")


async def test_a_true_up_is_held_by_the_clock_and_stands_in_the_statement_of_the_day_on_which_it_is_released(
    incentives, stated
):
    held, statement = stated
    assert (held["state"], held["remaining"]["amount"], held["payable_on"]) == ("held", "50.00", "2026-05-01")
    for day, stands in (("2026-04-30", ("100.00", "0.00")), ("2026-05-01", ("0.00", "100.00"))):
        [owed] = (await incentives.get(FINANCE, f"/liability?as_of={day}"))["items"]
        assert (owed["held"], owed["payable"]) == stands
    [line] = [one for one in statement["lines"] if one["cause"] == held["line_id"]]
    assert (line["kind"], line["amount"]["amount"], line["effective_on"]) == ("released", "50.00", "2026-05-01")
    why = await incentives.get(P1, f"/why/{line['event_id']}")
    assert [reason["text"] for reason in why["reasons"]] == ["the hold ended on 2026-05-01"]


async def test_finance_holds_a_true_up_longer_and_its_partner_is_shown_why(incentives, held):
    path, asked = f"/lines/{held['line_id']}", {"until": "2026-05-20", "reason": "a credit note is coming"}
    assert (await incentives.post(P1, f"{path}/postpone", asked)).status_code == 403
    answer = await incentives.post(FINANCE, f"{path}/postpone", asked)
    assert (answer.status_code, answer.json()) == (200, {"line_id": held["line_id"], "state": "held"})
    line = await incentives.get(P1, path)
    assert line["why_held"] == "postponed until 2026-05-20: a credit note is coming"
    incentives.clock.set(datetime(2026, 5, 19, 23, tzinfo=UTC))
    await incentives.rest()
    assert (await incentives.get(P1, path))["state"] == "held"
    incentives.clock.set(datetime(2026, 5, 20, tzinfo=UTC))
    await incentives.until(P1, path, lambda line: line["state"] == "payable")
    again = await incentives.post(FINANCE, f"{path}/postpone", {**asked, "until": "2026-05-25"})
    assert (again.status_code, again.json()["state"]) == (200, "held")
    [owed] = (await incentives.get(FINANCE, "/liability?as_of=2026-05-20"))["items"]
    assert (owed["held"], owed["payable"]) == ("50.00", "50.00")
    incentives.clock.set(datetime(2026, 5, 25, tzinfo=UTC))
    await incentives.until(P1, path, lambda line: line["state"] == "payable")
    incentives.clock.set(datetime(2026, 6, 2, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-05", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", body)).json()
    proof = await incentives.get(P1, f"/statements/{statement['statement_id']}/proof")
    assert verify(json.dumps(proof)) == []


async def test_who_postponed_a_true_up_does_not_decide_the_dispute_over_it(incentives, held):
    both = replace(FINANCE, duties=("approver",))
    path, until = f"/lines/{held['line_id']}", {"until": "2026-05-20", "reason": "a credit note is coming"}
    assert (await incentives.post(both, f"{path}/postpone", until)).status_code == 200
    incentives.clock.set(datetime(2026, 5, 20, tzinfo=UTC))
    await incentives.until(P1, path, lambda line: line["state"] == "payable")
    incentives.clock.set(datetime(2026, 6, 2, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-05", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", body)).json()
    said = f"/statements/{statement['statement_id']}/dispute"
    stated = (await incentives.get(P1, f"/statements/{statement['statement_id']}"))["lines"]
    [of] = [{"event_id": one["event_id"]} for one in stated if one["cause"] == held["line_id"]]
    assert (await incentives.post(P1, said, {**of, "reason": "too late"})).status_code == 201
    verdict = {**of, "outcome": "rejected", "reason": "it is right"}
    refused = await incentives.post(both, f"{said}/decide", verdict)
    assert (refused.status_code, refused.json()["slug"]) == (403, "arbiter-involved")
    assert (await incentives.post(APPROVER, f"{said}/decide", verdict)).status_code == 200
    assert await verified(incentives)


async def test_a_true_up_that_is_paid_is_not_held_again(incentives, stated):
    held, statement = stated
    payment = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    path = f"/payments/{payment.json()['payment_id']}"
    assert (await incentives.post(APPROVER, f"{path}/approve")).json()["state"] == "approved"
    asked = {"until": "2026-07-01", "reason": "a credit note is coming"}
    drawn = await incentives.post(FINANCE, f"/lines/{held['line_id']}/postpone", asked)
    assert (drawn.status_code, drawn.json()["slug"], drawn.json()["state"]) == (409, "wrong-state", "in_payment")
    await incentives.post(FINANCE, f"{path}/submit")
    await incentives.until(FINANCE, path, lambda found: found["state"] == "paid")
    paid = await incentives.post(FINANCE, f"/lines/{held['line_id']}/postpone", asked)
    assert (paid.status_code, paid.json()["slug"], paid.json()["state"]) == (409, "wrong-state", "paid")


async def test_the_line_of_a_window_is_not_corrected_by_hand(incentives, held):
    path = f"/lines/{held['line_id']}/adjust"
    for who, steps, body in (
        (FINANCE, path, {"amount": "5.00", "reason": "more"}),
        (APPROVER, f"{path}/confirm", {"adjustment_id": "a1"}),
    ):
        refused = await incentives.post(who, steps, body)
        assert (refused.status_code, refused.json()["slug"], refused.json()["state"]) == (409, "wrong-state", "held")


async def verified(incentives):
    """Whether every recorded command is decided again as it was."""
    return (
        await verify_decisions(incentives.service.store, incentives.service.application.executor.every_handles)
    ).holds


async def test_a_partner_recomputes_a_true_up_from_its_measure_and_that_it_was_held_until_its_day(incentives, stated):
    _, statement = stated
    proof = await incentives.get(P1, f"/statements/{statement['statement_id']}/proof")
    assert verify(json.dumps(proof)) == []
    assert {"incentives.WindowTruedUp.v1", "incentives.TrueUpReleased.v1"} <= {one["type"] for one in proof["events"]}
    for kind, name, wrong, finding in FORGED:
        forged = json.loads(json.dumps({**proof, "format": WITHOUT_LOG}))
        [event] = [one for one in forged["events"] if one["type"] == f"incentives.{kind}.v1"]
        event["data"][name] = wrong
        assert any(finding in text for text in verify(json.dumps(forged))), (kind, name)


async def test_a_window_waits_for_a_rate_into_the_books_and_is_closed_once_that_is_recorded(incentives):
    await incentives.hear(opened("USD"))
    rates = {"source": "ecb", "pairs": {"EUR/USD": "1.10"}}
    incentives.clock.set(datetime(2026, 3, 16, 9, tzinfo=UTC))
    assert (await incentives.post(FINANCE, "/rates", {**rates, "on": "2026-03-16"})).status_code == 201
    await incentives.publish_plan(plan(*LESS_ABOVE, accumulate="quarter"))
    await incentives.hear(activated())
    for name in ("o1", "o2"):
        await incentives.hear(won(name))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id=name))
    await incentives.hear(refunded("x", "1000.00"))
    incentives.clock.set(datetime(2026, 4, 2, 9, tzinfo=UTC))
    at = "2026-04-01T00:00:00Z"
    window = {"meter_id": "commission-p1-2026-Q1", "plan_id": "commission", "payee_id": "p1"}
    asked = WINDOWS.issue({**window, "due_at": at, "closes_at": at}, incentives.clock.now())
    with pytest.raises(Busy, match="EUR/USD"):
        await asked(incentives.service.application.executor.peek(TENANT))
    await incentives.until(FINANCE, "/progress", lambda page: page["items"][0]["waits_for"] == "EUR/USD")
    [raised] = await attention(incentives)
    assert (raised.side, raised.roles, raised.subject) == ("vendor", ("finance",), window["meter_id"])
    assert (await incentives.post(FINANCE, "/rates", {**rates, "on": "2026-04-01"})).status_code == 201
    page = await incentives.until(P1, "/lines?kind=true_up", lambda page: page["items"])
    assert [line["remaining"]["amount"] for line in page["items"]] == ["50.00"]
    await incentives.rest()
    [_, cleared] = await attention(incentives)
    assert (type(cleared), cleared.attention_id) == (AttentionCleared, raised.attention_id)
    [progress] = (await incentives.get(P1, "/progress"))["items"]
    assert (progress["closed"], progress["waits_for"]) == (True, None)


async def test_a_refund_that_comes_late_while_there_is_no_rate_is_known_at_once_and_trues_up_once_there_is(incentives):
    """The refund is a fact of the sale whatever the books lack: refused, it would have been lost for ever."""
    await incentives.hear(opened("USD"))
    rates = {"source": "ecb", "pairs": {"EUR/USD": "1.10"}}
    await incentives.publish_plan(plan(*LESS_ABOVE, accumulate="quarter"))
    await incentives.hear(activated())
    for on in ("2026-03-16", "2026-04-01"):
        incentives.clock.set(datetime.fromisoformat(f"{on}T09:00:00Z"))
        assert (await incentives.post(FINANCE, "/rates", {**rates, "on": on})).status_code == 201
        for name in ("o1", "o2") if on == "2026-03-16" else ():
            await incentives.hear(won(name))
            await incentives.hear(credited(("p1", "100.00"), opportunity_id=name))
    await incentives.until(P1, "/progress", lambda page: page["items"][0]["closed"])
    await incentives.rest()
    incentives.clock.set(datetime(2026, 4, 20, 9, tzinfo=UTC))
    await incentives.hear(refunded("x", "1000.00"))
    [line] = (await incentives.get(P1, "/lines?state=reversed"))["items"]
    assert line["reversed"]["amount"] == "100.00"
    [progress] = (await incentives.get(P1, "/progress"))["items"]
    assert (progress["measure"], progress["waits_for"]) == ("1000", "EUR/USD")
    told_before = await attention(incentives)
    assert type(told_before[-1]) is AttentionRaised
    assert (await incentives.post(FINANCE, "/rates", {**rates, "on": "2026-04-20"})).status_code == 201
    page = await incentives.until(P1, "/lines?kind=true_up", lambda page: page["items"])
    assert [line["amount"]["amount"] for line in page["items"]] == ["50.00"]
    await incentives.rest()
    assert [type(one) for one in (await attention(incentives))[len(told_before) :]] == [AttentionCleared]
    assert (await incentives.get(P1, "/progress"))["items"][0]["waits_for"] is None
    executor = incentives.service.application.executor
    assert (await verify_decisions(executor.store, executor.every_handles)).holds


def without_a_rate(**changes):
    """A window that was trued up into books in dollars, in a year for which nobody has recorded a rate yet."""
    known = {"books_currency": "USD", "rates": (rate("1.10", NOW.date()), rate("1.10", OVER)), **changes}
    world = World(book(plan(*LESS_ABOVE, accumulate="year")), **known).tell(*sale(1), *sale(2))
    return world.close(METER, OVER)


def test_a_window_waits_once_whatever_comes_and_goes_on_where_it_stands():
    world = without_a_rate().tell(refund("x", "1000.00", 1, date(2027, 2, 10)))
    [waits] = world.of(WindowWaits)
    assert (waits.pairs, world.meters[METER].posted) == (("EUR/USD",), D("50.00"))
    world.tell(refund("y", "100.00", 2, date(2027, 2, 11)))
    assert world.of(WindowWaits) == [waits]
    assert evolve(Meters.initial, carry(world.meters[METER])) == world.meters[METER]
    world.known["rates"] += (rate("1.20", date(2027, 2, 12)),)
    world.resume(METER, date(2027, 2, 12)).resume(METER, date(2027, 2, 12))
    [up] = world.of(WindowTruedUp)
    assert (up.amount, up.journal.entries[0].books_amount) == (money("45.00", "EUR"), money("54.00", "USD"))
    assert len(world.of(WindowResumed)) == 1
    assert findings(world) == []


def test_the_evaluator_before_refused_a_fact_that_a_window_could_not_post():
    with pytest.raises(NoRate):
        without_a_rate(waits_in_window=False).tell(refund("x", "1000.00", 1, date(2027, 2, 10)))


async def attention(incentives):
    """What the others were told of windows that wait for a rate."""
    recorded = await incentives.service.store.feed(0, 1_000)
    public = [publish(one.seen("incentives")) for one in recorded]
    return [one for one in public if getattr(one, "topic", "") == "window-no-rate"]


def test_a_window_that_waits_is_told_to_finance_and_reads_so_until_it_is_closed_or_settled():
    world = World(book(plan(*LESS_ABOVE, accumulate="year"))).tell(*sale(1))
    waits = NoteWindowWaits(meter_id=METER, pairs=("EUR/USD",), now=noon(OVER))
    [noted] = note_window_waits(waits, world.meters[METER])
    world.keep(world.meters, Meters, {METER: [noted]})
    told_of = told(*world.events)
    assert_repeatable(PROGRESS, told_of)
    assert project(PROGRESS, told_of)[METER]["waits_for"] == "EUR/USD"
    assert publish(told_of[-1]).severity == "high"
    world.close(METER, OVER)
    assert project(PROGRESS, told(*world.events))[METER]["waits_for"] is None
    assert note_window_waits(waits, world.meters[METER]) == []


async def test_a_window_that_has_its_rates_or_no_plan_asks_for_none():
    async def peek(stream):
        return stream.decider.initial

    window = {"meter_id": METER, "plan_id": "plan-a", "payee_id": "p1"}
    with pytest.raises(NothingToDo):
        await WAITING_WINDOWS.issue(window, noon(OVER))(peek)


async def test_a_partner_recomputes_a_true_up_that_is_paid_in_its_own_currency_and_lowered(incentives):
    """A true-up of 50.00 EUR at 1.20 is one of 60.00 USD; a refund of 200.00 takes 10.00 EUR of it, and so 12.00 USD."""
    await incentives.publish_plan(plan(*LESS_ABOVE, accumulate="quarter"))
    await incentives.hear(activated())
    assert (await incentives.put(P1, "/payees/p1/currency", {"currency": "USD"})).status_code == 200
    for on, rate_of_day in (("2026-03-16", "1.10"), ("2026-04-01", "1.20"), ("2026-04-10", "1.30")):
        incentives.clock.set(datetime.fromisoformat(f"{on}T09:00:00Z"))
        body = {"source": "ecb", "on": on, "pairs": {"EUR/USD": rate_of_day}}
        assert (await incentives.post(FINANCE, "/rates", body)).status_code == 201
        if on == "2026-03-16":
            for name in ("o1", "o2"):
                await incentives.hear(won(name))
                await incentives.hear(credited(("p1", "100.00"), opportunity_id=name))
            await incentives.hear(refunded("x", "1000.00"))
        await incentives.rest()
    await incentives.hear(replace(refunded("y", "200.00"), opportunity_id="o2"))
    [line] = (await incentives.get(P1, "/lines?kind=true_up"))["items"]
    assert (line["amount"], line["remaining"]["amount"]) == ({"amount": "60.00", "currency": "USD"}, "48.00")
    incentives.clock.set(datetime(2026, 5, 1, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines?kind=true_up&state=payable", lambda page: page["items"])
    incentives.clock.set(datetime(2026, 6, 2, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-05", "currency": "USD"}
    statement = (await incentives.post(FINANCE, "/statements", body)).json()
    proof = await incentives.get(P1, f"/statements/{statement['statement_id']}/proof")
    assert verify(json.dumps(proof)) == []
    wrong = json.loads(json.dumps({**proof, "format": WITHOUT_LOG}))
    [event] = [one for one in wrong["events"] if one["type"] == "incentives.WindowTruedUp.v1"]
    event["data"]["exchange"]["rate"]["rate"] = "1.21"
    finding = "the exchange of its payout does not follow from its rate"
    assert any(finding in text for text in verify(json.dumps(wrong)))
    executor = incentives.service.application.executor
    assert (await verify_decisions(executor.store, executor.every_handles)).holds


FORGED = (
    ("WindowTruedUp", "measure", "1100", "the plan makes 105 of the window"),
    ("WindowTruedUp", "payable_on", "2026-05-02", "the line is held until 2026-05-02"),
    ("WindowTruedUp", "amount", {"amount": "49.99", "currency": "EUR"}, "it releases more than 49.99"),
    ("WindowTruedUp", "line_id", "another", "the true-up that it releases is not in the file"),
    ("TrueUpReleased", "released_at", "2026-04-30T23:59:59Z", "the line is held until 2026-05-01"),
)


# In the payee's own currency


def rate(per_euro, on):
    return Rate(base="EUR", quote="USD", rate=D(per_euro), on=on, source="ecb")


DOLLARS = Payee(payout_currency="USD")
RATES = (rate("1.10", OVER), rate("1.20", date(2027, 1, 10)))


def in_dollars(rates=RATES):
    """A window that is worth 50.00 EUR more than was posted; its payee is paid in dollars, the lines were in euros."""
    world = World(book(plan(*LESS_ABOVE, accumulate="year")), payees={"p1": Payee()}, rates=rates)
    world.tell(*sale(1), *sale(2), refund("x", "1000.00", 1))
    world.known["payees"] = {"p1": DOLLARS}
    return world.close(METER, OVER)


def test_a_true_up_is_paid_in_the_currency_of_its_payee_at_the_rate_of_its_day():
    """50.00 EUR at 1.10 are 55.00 USD; the window is worth what the plan says, in euros."""
    world = in_dollars()
    [up] = world.of(WindowTruedUp)
    assert (up.amount, up.in_plan, up.total) == (money("55.00", "USD"), money("50.00", "EUR"), money("100.00", "EUR"))
    assert entries(up) == [("expense:commission", D("55.00")), ("held", D("-55.00"))]
    assert up.exchange.rate.rate == D("1.10")
    world.release_true_ups(FREE)
    assert [freed.amount for freed in world.of(TrueUpReleased)] == [money("55.00", "USD")]
    [document] = project(EARNINGS, told(up)).values()
    assert (document["currency"], document["plan_amount"]["amount"]) == ("USD", "50.00")
    texts = [reason.text for reason in EXPLAIN[WindowTruedUp](told(up)[0]).reasons]
    assert texts[1].startswith("50.00 EUR is 55.00 USD: ")


def test_what_lowers_it_takes_its_part_at_the_rate_that_it_was_posted_at():
    """A refund of half of what stands takes 25.00 of the 50.00 EUR, and so 27.50 of the 55.00 USD, whatever the rate is."""
    world = in_dollars().tell(refund("y", "500.00", 2, date(2027, 1, 10)))
    [down] = world.of(TrueUpReduced)
    assert (down.amount, down.remaining, down.given) == (
        money("27.50", "USD"),
        money("27.50", "USD"),
        money("25.00", "EUR"),
    )
    assert world.meters[METER].held[0].in_plan == money("25.00", "EUR")
    again = evolve(Meters.initial, carry(world.meters[METER]))
    assert again.held == world.meters[METER].held
    world.tell(refund("z", "500.00", 2, date(2027, 1, 10)))
    assert world.meters[METER].held == ()


def test_what_is_lowered_beyond_it_is_owed_at_the_rate_of_that_day():
    """Released before, nothing is held: 25.00 EUR less are 30.00 USD at 1.20."""
    world = in_dollars().release_true_ups(FREE)
    world.known["rates"] = (rate("1.20", date(2027, 2, 10)),)
    world.tell(refund("y", "500.00", 2, date(2027, 2, 10)))
    down = world.of(WindowTruedUp)[-1]
    assert (down.amount, down.in_plan) == (money("-30.00", "USD"), money("-25.00", "EUR"))
    assert entries(down)[1] == ("payable", D("30.00"))


def test_without_a_rate_it_is_paid_in_the_plan_s_currency():
    [up] = in_dollars(rates=()).of(WindowTruedUp)
    assert (up.amount, up.exchange) == (money("50.00", "EUR"), LEFT_OUT)


def in_dong():
    """25,000 dong are a dollar."""
    less = ({"up_to": "1000", "percent": "10"}, {"percent": "5"})
    day_rate = Rate(base="VND", quote="USD", rate=D("0.00004"), on=OVER, source="ecb")
    body = plan(*less, accumulate="year", currency="VND")
    return World(book(body), payees={"p1": DOLLARS}, rates=(day_rate,))


CLOSED = Meter(plan_id="plan-a", plan_version=1, payee_id="p1", closes_on=OVER, closed=True)


def true_up_of(amount):
    """The only step by which a window in dong is trued up by an amount."""
    world = in_dong()
    chosen = version_of(world.books, "plan-a", 1)
    meter = replace(CLOSED, posted=-D(amount))
    way = Way(payout="USD", rates=world.known["rates"])
    return trued_up_by(METER, meter, chosen, Moment(noon(OVER)), way)[0]


def test_what_comes_to_nothing_in_the_other_currency_is_paid_in_the_plan_s():
    """100 dong are 0.004 USD; 200 are 0.008, and so a cent."""
    assert (true_up_of("100").amount, true_up_of("100").exchange) == (money("100", "VND"), LEFT_OUT)
    assert true_up_of("200").amount == money("0.01", "USD")


def test_what_is_lowered_by_less_than_a_cent_leaves_the_cent():
    up = true_up_of("200")
    meter = evolve(CLOSED, up)
    chosen = version_of(in_dong().books, "plan-a", 1)
    lower = replace(meter, posted=D("50"))
    [down] = trued_up_by(METER, lower, chosen, Moment(noon(OVER)), Way(payout="USD"))
    assert (down.amount, down.given, down.remaining) == (money("0.00", "USD"), money("50", "VND"), money("0.01", "USD"))
    [held] = evolve(lower, down).held
    assert (held.amount, held.in_plan) == (money("0.01", "USD"), money("150", "VND"))


def lowered_to_nothing(**way):
    """A cent for 200 dong, which are 250 in the books, of which half is taken: half a cent, and so all of it."""
    up = true_up_of("200")
    [held] = evolve(CLOSED, up).held
    meter = replace(CLOSED, held=(replace(held, books=money("250", "VND")),), posted=D("100"))
    chosen = version_of(in_dong().books, "plan-a", 1)
    [down] = trued_up_by(METER, meter, chosen, Moment(noon(OVER)), Way(payout="USD", **way))
    assert (down.amount, down.remaining) == (money("0.01", "USD"), money("0.00", "USD"))
    return down.journal.entries[0].books_amount


def test_what_is_lowered_to_nothing_leaves_nothing_in_the_books_where_the_evaluator_before_left_a_rest():
    assert lowered_to_nothing() == money("250", "VND")
    assert lowered_to_nothing(whole_in_books=False) == money("125", "VND")


def test_before_a_true_up_was_in_the_plan_s_currency_whatever_its_payee_is_paid_in():
    world = in_dollars()
    [wish] = [CloseWindow(meter_id=METER, plan_id="plan-a", payee_id="p1", now=noon(OVER), rates=RATES)]
    before = World(*world.books, payees={"p1": Payee()})
    before.tell(*sale(1), *sale(2), refund("x", "1000.00", 1))
    [_, up] = close_window_in_plan_currency(wish, before.meters[METER], world.books, DOLLARS, ())
    assert (up.amount, up.exchange) == (money("50.00", "EUR"), LEFT_OUT)


# Whatever the order

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sale", "refund", "release"]), st.integers(0, 5), st.integers(1, 200_000), st.booleans()
    ),
    max_size=14,
)
RELEASE = [{"percent": "50", "after_days": 0}, {"percent": "30", "after_days": 20}, {"percent": "20", "after_days": 45}]


@given(STEPS, st.integers(0, 14), st.sampled_from([{}, {"hold_days": 0}, {"release": RELEASE}]))
def test_nothing_is_payable_before_its_day_and_the_window_posts_what_it_is_worth(steps, closes_after, terms):
    world = World(book(plan(*LESS_ABOVE, accumulate="year", **terms)))
    world.tell(*sale(100, "700.00"))
    day = OVER
    for n, (what, which, cents, twice) in enumerate(steps):
        if n == closes_after:
            world.close(METER, OVER)
        if n > closes_after:
            day += timedelta(days=9)
        facts = facts_of(what, n, which, f"{cents / 100:.2f}", day)
        world.tell(*facts, *(facts if twice else ())).release_true_ups(day)
    world.close(METER, OVER)
    assert_sound(world)
    assert_sound(world.release_true_ups(date(2029, 1, 1)))
    assert world.meters[METER].held == ()


def facts_of(what, n, which, amount, day):
    """A sale, a refund of one of them or of one that is told only later, or nothing but a later day."""
    if what == "sale":
        return sale(n, amount, now=noon(day))
    return [refund(f"x{n}", amount, which, day)] if what == "refund" else []


def noon(day):
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def assert_sound(world):
    """The ledger sums to nothing, payable came on its day, and what is held is what the meter holds."""
    meter = world.meters[METER]
    worth = min(meter.measure, D(1000)) / 10 + max(meter.measure - 1000, D(0)) / 20
    assert meter.posted == worth.quantize(D("0.01"), ROUND_HALF_UP)
    assert set(trial_balance(world.posted()).values()) <= {D(0)}
    lines = {up.line_id: up for up in world.of(WindowTruedUp)}
    held = {line_id: -sum(e.amount.amount for e in posted_for(world, line_id, "held")) for line_id in lines}
    assert {name: amount for name, amount in held.items() if amount} == {
        one.line_id: one.amount.amount for one in meter.held
    }
    for line_id, up in lines.items():
        assert all(when >= up.payable_day for when in paid_days(world, line_id)) or up.amount.amount < 0


def posted_for(world, line_id, account):
    return [entry for entry in world.posted() if (entry.cause, entry.account) == (line_id, account)]


def paid_days(world, line_id):
    """The days on which something of a line became payable."""
    mine = [one for one in world.of((WindowTruedUp, TrueUpReleased)) if one.line_id == line_id]
    return [at_of(one).date() for one in mine if any(e.account == "payable" for e in one.journal.entries)]
