"""Two partners become one: what is payable moves by journal, and all of it comes back when that is undone."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from contracts.onboarding import PartnersMerged, PartnersUnmerged
from contracts.values import money
from services.incentives.adapters.ledger_files import beancount
from services.incentives.api.mergers import known_by
from services.incentives.application import HANDLES
from services.incentives.application.forecasting import Possible, possible_facts
from services.incentives.domain.account import Account, Accounts, PaymentOpened
from services.incentives.domain.choice import plans_for
from services.incentives.domain.journal import trial_balance
from services.incentives.domain.merging import (
    MergePayee,
    PayeeMerged,
    PayeeUnmerged,
    Stands,
    TransferBalance,
    UnmergePayee,
    transfer_balance,
)
from services.incentives.domain.payee import Payee, Payees, unmet
from services.incentives.domain.payee_events import StandingRecorded
from services.incentives.domain.rating import Sold, rate
from services.incentives.domain.sale_events import PayoutCalculated
from services.incentives.projections.ledger import BALANCES, LEDGER, TRIAL_BALANCE
from services.incentives.projections.mergers import MERGERS, TRANSFERS
from services.incentives.projections.statement_days import STATEMENT_DAYS
from tests.incentives.facts import World, book, credit, plan, win
from tests.incentives.orders import OPENED
from tests.incentives.test_books import opened, paid, recorded
from tests.incentives.test_service import (
    APPROVER,
    FINANCE,
    P1,
    P2,
    activated,
    balances,
    credited,
    earned,
    proposed,
    started,
    won,
)

P3 = replace(P2, subject="per-3", partner_id="p3")
BOTH = replace(P2, absorbed=("p1",))
NOW = datetime(2026, 6, 3, 10, tzinfo=UTC)
DAY = date(2026, 6, 1)
TABLE = {handles.command: handles for handles in HANDLES}
US, THEM, WHO = Accounts.at("p1-EUR"), Accounts.at("p2-EUR"), Payees.at("p1")
MERGE = MergePayee(partner_id="p1", revision=5, survivor_id="p2", effective_on=DAY, now=NOW)
MERGED = PayeeMerged(payee_id="p1", partner_id="p1", revision=5, survivor_id="p2", effective_on=DAY, recorded_at=NOW)
UNMERGE = UnmergePayee(partner_id="p1", revision=6, survivor_id="p2", now=NOW)
UNMERGED = PayeeUnmerged(payee_id="p1", partner_id="p1", revision=6, survivor_id="p2", recorded_at=NOW)


def stands(amount, payable=None, books=None):
    earned_books = money(books, "USD") if books else None
    return Stands(released=money(amount, "EUR"), payable=money(payable or amount, "EUR"), books=earned_books)


MOVE = TransferBalance(
    account_id="p1-EUR",
    to_account_id="p2-EUR",
    payee_id="p1",
    survivor_id="p2",
    earned=stands("100.00"),
    fund=stands("0.00"),
    now=NOW,
)
DRAWN = PaymentOpened(
    account_id="p1-EUR", payment_id="pay-1", statement_id="s1", amount=money("70.00", "EUR"), opened_at=NOW
)


def moving(command, *history, payee=(MERGED,)):
    return given(TABLE[type(command)], (US, history), (THEM, ()), (WHO, payee)).when(command)


def moves(command, account=None, payee=None):
    """What the absorbed account, and the survivor's, get of each kind of money."""
    known = payee or Payees.fold([MERGED])
    found = transfer_balance(command, account or Account(), Account(), known)
    return [[(str(one.amount.amount), one.fund, one.undone) for one in side] for side in found]


def test_a_merge_is_kept_once_and_undone_by_what_came_later():
    one = lambda command, *history: given(TABLE[type(command)], (WHO, history)).when(command)  # noqa: E731  two words
    one(MERGE).then([MERGED])
    one(MERGE, MERGED).then_nothing()
    one(MERGE, MERGED, UNMERGED).then_nothing()
    one(UNMERGE, MERGED).then([UNMERGED])
    one(UNMERGE, MERGED, UNMERGED).then_nothing()


def test_what_is_free_moves_by_one_journal_on_each_side_and_both_sum_to_zero():
    ours, theirs = transfer_balance(MOVE, Account(), Account(), Payees.fold([MERGED]))
    moving(MOVE).then(ours, theirs)
    [gone], [come] = ours, theirs
    assert (gone.account_id, gone.other_id, str(gone.amount.amount), gone.absorbed) == ("p1-EUR", "p2", "-100.00", True)
    assert (come.account_id, come.other_id, str(come.amount.amount), come.absorbed) == ("p2-EUR", "p1", "100.00", False)
    entries = [*gone.journal.entries, *come.journal.entries]
    sums = {name: sum(one.amount.amount for one in entries if one.name == name) for name in ("transferred", "payable")}
    assert sums == {"transferred": 0, "payable": 0}
    moving(replace(MOVE, earned=stands("0.00"))).then_nothing()


def test_what_a_payment_draws_on_stays_and_fund_money_goes_apart():
    assert moves(MOVE, Accounts.fold([DRAWN])) == [[("-30.00", False, False)], [("30.00", False, False)]]
    both = replace(MOVE, fund=stands("40.00"))
    assert moves(both, Accounts.fold([replace(DRAWN, fund=money("10.00", "EUR"))]))[1] == [
        ("40.00", False, False),
        ("30.00", True, False),
    ]


def test_what_is_owed_goes_too():
    assert moves(replace(MOVE, earned=stands("-25.00")))[1] == [("-25.00", False, False)]


def test_undone_all_that_moved_comes_back_with_its_worth_in_the_books():
    ours, _ = transfer_balance(
        replace(MOVE, earned=stands("100.00", books="110.00")), Account(), Account(), Payees.fold([MERGED])
    )
    account, free = Accounts.fold(ours), replace(MOVE, earned=stands("0.00"))
    back, gone = transfer_balance(free, account, Account(), Payees.fold([MERGED, UNMERGED]))
    assert [(str(one.amount.amount), str(one.books.amount), one.undone) for one in (*back, *gone)] == [
        ("100.00", "110.00", True),
        ("-100.00", "-110.00", True),
    ]
    assert transfer_balance(free, Accounts.fold([*ours, *back]), Account(), Payee()) == ([], [])


KINDS = st.sampled_from(["earn", "merge", "undo", "move"])


@for_all(st.lists(st.tuples(KINDS, st.integers(-5_000, 9_000)), max_size=20))
def test_in_any_order_of_earnings_merges_and_their_undoing_nothing_is_lost_and_the_ledger_sums_to_zero(turns):
    """After a last look everything stands with the survivor while they are one, and with who earned it when not."""
    payee, mine, theirs = Payee(), Account(), Account()
    total, here, entries = Decimal(0), Decimal(0), []
    for kind, cents in [*turns, ("move", 0)]:
        if kind == "earn":
            total, here = total + cents, here + cents
        elif kind == "move":
            wish = replace(MOVE, earned=stands(str(here / 100)))
            ours, other = transfer_balance(wish, mine, theirs, payee)
            mine, theirs = Accounts.fold(ours, mine), Accounts.fold(other, theirs)
            here += sum((one.amount.amount * 100 for one in ours), Decimal(0))
            entries += [entry for one in (*ours, *other) for entry in one.journal.entries]
        else:
            revision = payee.merging.revision + 1
            happened = MERGED if kind == "merge" else UNMERGED
            payee = Payees.fold([replace(happened, revision=revision)], payee)
    merged = payee.merging.survivor_id is not None
    there = sum((-e.amount.amount * 100 for e in entries if (e.name, e.payee_id) == ("payable", "p2")), Decimal(0))
    assert (here, there) == ((0, total) if merged else (total, 0))
    assert set(trial_balance(entries).values()) <= {0}
    assert sum(e.amount.amount for e in entries if e.name == "transferred") == 0


def test_nobody_is_paid_who_is_one_with_another():
    assert unmet(Payees.fold([OPENED, MERGED]), NOW) == ("merged",)
    assert unmet(Payees.fold([OPENED, MERGED, UNMERGED]), NOW) == ()


GOLD_TIER = StandingRecorded(
    payee_id="p2",
    partner_id="p2",
    field="tier",
    values=("gold",),
    effective_on=date(2026, 1, 1),
    source_event_id="e",
    recorded_at=NOW,
)
DOUBLED = {"modifier_id": "gold", "when": {"field": "tier", "is_one_of": ["gold"]}, "multiply": "2"}


@pytest.mark.parametrize(("day", "paid"), [(date(2026, 5, 31), "100.00"), (DAY, "200.00")])
def test_from_its_day_on_the_survivor_s_tier_rates_what_the_absorbed_partner_sells(day, paid):
    payees = {"p1": Payees.fold([OPENED, MERGED]), "p2": Payees.fold([GOLD_TIER])}
    world = World(book(plan(modifiers=[DOUBLED])), payees=payees).tell(win(closed_on=day), credit())
    [line] = [one for one in world.events if isinstance(one, PayoutCalculated)]
    assert line.amount == money(paid, "EUR")


@pytest.mark.parametrize(("day", "paid"), [(date(2026, 5, 31), "100.00"), (DAY, "200.00")])
async def test_an_estimate_looks_at_whose_standing_counts_as_the_engine_does(day, paid):
    streams = {"p1": [OPENED, MERGED], "p2": [GOLD_TIER]}
    known = {Payees.at(name).name(""): Payees.fold(happened) for name, happened in streams.items()}

    async def look(stream):
        return known.get(stream.name(""), stream.decider.initial)

    sold = (Sold(line_id="1", family="cloud", amount=money("1000.00", "EUR")),)
    [chosen] = plans_for("sourced", day, [book(plan(modifiers=[DOUBLED]))])
    facts = await possible_facts(look, Possible(partner_id="p1", sold=sold, closes_on=day), chosen)
    assert rate(facts, chosen.plan).pay == money(paid, "EUR")


def test_the_models_follow_and_a_repeat_changes_nothing():
    ours, theirs = transfer_balance(replace(MOVE, fund=stands("5.00")), Account(), Account(), Payees.fold([MERGED]))
    seen = told(MERGED, *ours, *theirs)
    for model in (MERGERS, TRANSFERS, BALANCES, LEDGER, TRIAL_BALANCE, STATEMENT_DAYS):
        assert_repeatable(model, seen)
    assert project(MERGERS, seen)["p1"]["moved"] == {"EUR": "105.00"}
    assert project(MERGERS, seen)["p1"]["partner_ids"] == ["p1", "p2"]
    assert project(MERGERS, told(MERGED, UNMERGED))["p1"]["partner_ids"] == ["p1"]
    balances_of = project(BALANCES, seen)
    assert [(balances_of[name]["total"], balances_of[name]["fund"]) for name in ("p1-EUR", "p2-EUR")] == [
        ("0.00", "-5.00"),
        ("0.00", "5.00"),
    ]
    kinds = sorted(one["kind"] for one in project(LEDGER, seen).values())
    assert kinds == ["fund_transferred", "fund_transferred", "transferred", "transferred"]
    assert "Equity:Transferred" in beancount(
        {**one, "counts_in": one["booked_on"][:7]} for one in project(LEDGER, seen).values()
    )


def test_who_is_one_with_a_partner_now_learns_nothing_of_who_was_before():
    ours, _ = transfer_balance(MOVE, Account(), Account(), Payees.fold([MERGED]))
    again = replace(MERGED, revision=7, survivor_id="p3")
    seen = told(MERGED, *ours, UNMERGED, again, *(replace(one, other_id="p3") for one in ours))
    merger = project(MERGERS, seen)["p1"]
    known = {who: [one["other_id"] for one in known_by(who, merger)["moves"]] for who in (P1, P3, FINANCE)}
    assert known == {P1: ["p2", "p3"], P3: ["p3"], FINANCE: ["p2", "p3"]}


def test_over_two_steps_the_people_of_all_three_are_told_of_every_move_of_the_first_one():
    ours, _ = transfer_balance(MOVE, Account(), Account(), Payees.fold([MERGED]))
    merger = project(MERGERS, told(MERGED, *ours))["p1"]
    family = replace(P3, absorbed=("p1", "p2"))
    people = [replace(family, home_id="p1"), replace(family, home_id="p2"), family]
    known = [[one["other_id"] for one in known_by(who, merger)["moves"]] for who in people]
    assert known == [["p2"], ["p2"], ["p2"]]


def test_who_was_absorbed_is_told_where_its_money_went_before_whoever_goes_on_for_it_now():
    ours, _ = transfer_balance(MOVE, Account(), Account(), Payees.fold([MERGED]))
    again = replace(MERGED, revision=7, survivor_id="p3")
    merger = project(MERGERS, told(MERGED, *ours, UNMERGED, again))["p1"]
    own = replace(P3, absorbed=("p1",), home_id="p1")
    assert [one["other_id"] for one in known_by(own, merger)["moves"]] == ["p2"]


def merged(revision=5):
    return PartnersMerged(
        partner_id="p1", survivor_id="p2", absorbed_id="p1", revision=revision, effective_on=DAY, merged_at=NOW
    )


def unmerged(revision=6):
    return PartnersUnmerged(partner_id="p1", survivor_id="p2", absorbed_id="p1", revision=revision, unmerged_at=NOW)


async def payable(incentives):
    await incentives.rest()
    return {name: Decimal(one["payable"]) for name, one in (await balances(incentives)).items()}


async def test_two_partners_become_one_and_two_again_and_their_statements_stay(tmp_path):
    async with started(tmp_path) as incentives:
        await earned(incentives, hold_days=60)
        await incentives.hear(activated("p2"))
        incentives.clock.set(datetime(2026, 6, 3, 9, tzinfo=UTC))
        await incentives.until(P1, "/lines", lambda it: it["items"][0]["state"] == "payable")
        await incentives.rest()
        [stated] = (await incentives.get(P1, "/statements"))["items"]
        await incentives.hear(merged(), times=2)
        assert await payable(incentives) == {"p1-EUR": 0, "p2-EUR": -100}
        found = await incentives.get(BOTH, "/mergers/p1")
        assert (found["state"], found["moved"]) == ("merged", {"EUR": "100.00"})
        assert (await incentives.get(BOTH, "/statements"))["items"] == [stated]
        for name in ("", "/csv", "/pdf", "/proof"):
            assert await incentives.text(BOTH, f"/statements/{stated['statement_id']}{name}")
        await incentives.hear(replace(won("o2"), closed_on=date(2026, 3, 20)))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id="o2"))
        assert await payable(incentives) == {"p1-EUR": 0, "p2-EUR": -200}
        await incentives.hear(unmerged())
        assert await payable(incentives) == {"p1-EUR": -200, "p2-EUR": 0}
        assert (await incentives.get(P2, "/statements"))["items"] == []
        assert await incentives.get(P2, "/mergers/p1") == 404
        assert (await incentives.get(P1, "/mergers/p1"))["state"] == "undone"
        assert (await incentives.get(P1, "/statements"))["items"] == [stated]


async def test_what_moved_and_was_paid_meanwhile_comes_back_at_its_worth_in_the_books(tmp_path):
    """100.00 EUR at 1.10 go over, are paid at 1.15, and come back at 110.00 USD, which the survivor then owes."""
    async with started(tmp_path) as incentives:
        await incentives.hear(opened("USD"))
        await incentives.publish_plan(plan(hold_days=0))
        for partner_id in ("p1", "p2"):
            await incentives.hear(activated(partner_id))
        incentives.clock.set(datetime(2026, 4, 16, 12, tzinfo=UTC))
        await recorded(incentives, "2026-04-16", {"EUR/USD": "1.10"})
        await incentives.hear(won())
        await incentives.hear(credited(("p1", "100.00")))
        await incentives.hear(replace(merged(), effective_on=date(2026, 4, 1)))
        assert await payable(incentives) == {"p1-EUR": 0, "p2-EUR": -100}
        incentives.clock.set(datetime(2026, 5, 4, 9, tzinfo=UTC))
        await recorded(incentives, "2026-05-04", {"EUR/USD": "1.15"})
        assert await paid(incentives, "EUR", "p2") == "100.00"
        await incentives.hear(unmerged())
        assert await payable(incentives) == {"p1-EUR": -100, "p2-EUR": 100}
        books = {name: one["books"] for name, one in (await balances(incentives)).items()}
        assert (books["p1-EUR"]["payable USD"], books["p2-EUR"]["payable USD"]) == ("-110.00", "110.00")
        assert (books["p2-EUR"]["cash:simulator USD"], books["p2-EUR"]["fx_difference USD"]) == ("-115.00", "5.00")
        assert sum(Decimal(amount) for one in books.values() for amount in one.values()) == 0


async def test_a_payment_under_way_waits_and_moves_once_it_is_declined(tmp_path):
    async with started(tmp_path) as incentives:
        payment = await proposed(incentives)
        await incentives.hear(activated("p2"))
        await incentives.hear(merged())
        assert await payable(incentives) == {"p1-EUR": -100}
        approved = await incentives.post(APPROVER, f"{payment}/approve")
        assert approved.json()["state"] == "blocked"
        [mine] = [one for one in (await incentives.get(FINANCE, "/payees"))["items"] if one["payee_id"] == "p1"]
        assert mine["gates"] == ["merged"]
        await incentives.post(APPROVER, f"{payment}/decline", {"category": "merged"})
        assert await payable(incentives) == {"p1-EUR": 0, "p2-EUR": -100}
