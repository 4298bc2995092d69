"""Lists are narrowed and ordered alike: by partner, kind, state, period, currency; by day or amount."""

from urllib.parse import urlencode

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from contracts.values import Money, money
from services.incentives.api.narrowing import sorted_by
from services.incentives.projections.amounts import sorts
from tests.incentives.test_service import APPROVER, FINANCE, P1, activated, credited, earned, incentives, refunded, won

__all__ = ["incentives"]
AMOUNTS = st.decimals("-999999999999999.99", "999999999999999.99", places=2)


@for_all(st.lists(AMOUNTS, max_size=20))
def test_amounts_sort_as_texts_as_they_do_as_numbers(amounts):
    found = sorted([Money(amount=one, currency="EUR") for one in amounts], key=sorts)
    assert [one.amount for one in found] == sorted(amounts)


def test_an_amount_sorts_the_same_whether_it_is_money_or_stored():
    assert sorts(money("-12.50", "EUR")) == sorts({"amount": "-12.50", "currency": "EUR"})
    assert sorts(money("0", "JPY")) == "1000000000000000.0000"


@pytest.mark.parametrize(
    ("sort", "field"),
    [("date", "earned_on"), ("-date", "-earned_on"), ("amount", "amount_sorts"), ("-amount", "-amount_sorts")],
)
def test_a_list_is_ordered_by_its_day_or_by_amount(sort, field):
    assert sorted_by(sort, "earned_on") == field


LISTS = {
    "/lines": ("kind", "state", "period", "currency", "partner_id"),
    "/statements": ("period", "currency", "partner_id"),
    "/payments": ("state", "currency", "partner_id", "statement_id"),
    "/claims": ("kind", "state", "currency", "partner_id"),
    "/fund-requests": ("state", "period", "currency", "partner_id", "fund_id"),
    "/disputes": ("state", "currency", "partner_id"),
    "/write-offs": ("state", "currency", "partner_id"),
    "/funds": ("period", "currency", "partner_id"),
    "/budgets": ("currency", "budget_id"),
    "/progress": ("kind", "period", "partner_id"),
    "/recognition": ("year", "partner_id"),
    "/batches": ("state", "currency"),
}
"""Lists that are ordered by day or amount, with what narrows them."""
LISTS_BY_DAY = {"/tiers": ("partner_id", "programme"), "/payees": ("partner_id",)}
"""Lists of what has no amount."""
PLAIN_LISTS = {
    "/statements/next": ("period", "currency", "partner_id"),
    "/special-prices": ("kind", "partner_id"),
    "/missed-awards": ("partner_id",),
    "/ledger": ("period", "currency", "partner_id", "payee_id"),
}
NOBODYS = {"currency": "KWD", "period": "1999-01", "year": "2099"}


async def test_lines_are_narrowed_by_kind_state_period_and_currency_and_ordered_by_day_or_amount(incentives):
    await earned(incentives)
    for number, amount in (("o2", "9000.00"), ("o3", "50.00")):
        await incentives.hear(won(number, amount))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id=number))
    await incentives.hear(refunded("r-1", "1000.00"))
    found = await listed(incentives, "/lines", sort="amount")
    assert [one["amount"]["amount"] for one in found] == ["5.00", "100.00", "900.00"]
    found = await listed(incentives, "/lines", sort="-amount", state="held")
    assert [one["amount"]["amount"] for one in found] == ["900.00", "5.00"]
    assert len(await listed(incentives, "/lines", kind="commission", currency="EUR", period="2026-03")) == 3
    for nothing in ({"kind": "spiff"}, {"currency": "USD"}, {"period": "2026-02"}, {"state": "paid"}):
        assert await listed(incentives, "/lines", **nothing) == []
    pages = await incentives.get(P1, f"/lines?{urlencode({'sort': '-amount', 'limit': 2})}")
    further = {"sort": "-amount", "limit": 2, "cursor": pages["next_cursor"]}
    rest = await incentives.get(P1, f"/lines?{urlencode(further)}")
    assert [one["amount"]["amount"] for one in (*pages["items"], *rest["items"])] == ["900.00", "100.00", "5.00"]


async def listed(incentives, path, **narrowed):
    return (await incentives.get(FINANCE, f"{path}?{urlencode(narrowed)}"))["items"]


async def test_what_narrows_a_list_narrows_it_and_a_page_has_200_rows_at_most(incentives):
    await incentives.hear(activated())
    for path, names in (LISTS | LISTS_BY_DAY | PLAIN_LISTS).items():
        for name in names:
            assert await listed(incentives, path, **{name: NOBODYS.get(name, "none-such")}) == [], (path, name)
        assert await incentives.get(FINANCE, f"{path}?limit=201") == 422, path
        assert await incentives.get(FINANCE, f"{path}?sort=colour") == 422, path
    for path in LISTS:
        for sort in ("date", "-date", "amount", "-amount"):
            assert await listed(incentives, path, sort=sort) == [], (path, sort)
    for sort in ("date", "-date"):
        assert await listed(incentives, "/tiers", sort=sort) == []
        assert [one["payee_id"] for one in await listed(incentives, "/payees", sort=sort)] == ["p1"]
    for path in LISTS_BY_DAY:
        assert await incentives.get(FINANCE, f"{path}?sort=amount") == 422, path


async def test_the_ledger_is_read_as_of_a_day_or_a_position_and_by_partner(incentives):
    await earned(incentives)
    await incentives.hear(won("o2", "9000.00"))
    await incentives.hear(credited(("p2", "100.00"), opportunity_id="o2"))
    everything = await listed(incentives, "/ledger")
    theirs = {name: await listed(incentives, "/ledger", partner_id=name) for name in ("p1", "p2")}
    assert {name: {one["payee_id"] for one in rows} for name, rows in theirs.items()} == {"p1": {"p1"}, "p2": {"p2"}}
    assert len(theirs["p1"]) + len(theirs["p2"]) == len(everything)
    first, day = everything[0], everything[-1]["booked_on"]
    assert await listed(incentives, "/ledger", position=first["position"]) == [first]
    assert await listed(incentives, "/ledger", position=first["position"] - 1) == []
    assert await listed(incentives, "/ledger", as_of=day) == everything
    assert await listed(incentives, "/ledger", as_of="2026-01-31") == []
    assert await listed(incentives, "/ledger", as_of=day, period=day[:7], partner_id="p2") == theirs["p2"]


async def test_budgets_are_ordered_by_what_is_available_and_narrowed_by_currency(incentives):
    for name, amount, currency in (("a", "500.00", "EUR"), ("b", "20.00", "EUR"), ("c", "3000.00", "USD")):
        body = {"ref": "first", "amount": amount, "currency": currency}
        assert (await incentives.post(APPROVER, f"/budgets/{name}/allocate", body)).status_code == 201
    assert [one["budget_id"] for one in await listed(incentives, "/budgets", sort="amount")] == ["b", "a", "c"]
    assert [one["budget_id"] for one in await listed(incentives, "/budgets", sort="-amount", currency="EUR")] == [
        "a",
        "b",
    ]
