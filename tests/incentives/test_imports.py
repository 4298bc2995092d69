"""Sales facts from a file: tried, recorded once however often it comes, earned on, and taken back as a whole."""

from typing import Any

import pytest

from services.incentives.api.imports import SALES_FACTS, reversals_of, row_of, sale_id
from services.incentives.domain.sale import SaleInvalid
from tests.incentives.facts import NOW, World, basis, plan
from tests.incentives.test_service import FINANCE, P1, activated, started

SALE = "sale,shop,7,,p1,1000.00,EUR,2026-03-16\n"
INVOICE = "invoiced,shop,7,inv-1,,400.00,EUR,2026-03-20\n"
HEADER = "kind,source,sale_id,external_id,partner_id,amount,currency,on\n"


async def imported(it: Any, content: str) -> dict[str, Any]:
    """A batch in its dry run."""
    headers = {**it._as(FINANCE), "Idempotency-Key": f"k{next(it._keys)}", "Content-Type": "text/csv"}
    answer = await it._client.post("/imports", content=content.encode(), headers=headers)
    assert answer.status_code == 201, answer.text
    return await staged(it, answer.json()["batch_id"], "dry_run")


async def staged(it: Any, batch_id: str, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = await it.until(FINANCE, f"/imports/{batch_id}", lambda batch: batch["stage"] == stage)
    return found


async def moved(it: Any, batch_id: str, verb: str, stage: str) -> list[dict[str, Any]]:
    """The rows after a step."""
    assert (await it.post(FINANCE, f"/imports/{batch_id}/{verb}")).status_code == 200
    await staged(it, batch_id, stage)
    await it.rest()
    rows: list[dict[str, Any]] = (await it.get(FINANCE, f"/imports/{batch_id}/rows"))["items"]
    return rows


async def remaining(it: Any) -> dict[str, str]:
    """What stands of the lines, by plan."""
    lines = (await it.get(P1, "/lines"))["items"]
    return {line["plan_id"]: line["remaining"]["amount"] for line in lines}


async def test_a_sale_and_its_invoice_earn_once_and_nothing_is_left_when_the_file_is_taken_back(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        await it.publish_plan(plan(), "won")
        await it.publish_plan(plan({"percent": "20"}, basis="invoiced", component="billed"), "billed")
        bad = "sale,shop,8,,nobody,10.00,EUR,2026-03-16\ncollected,shop,7,c-1,,1.00,EUR,soon\n"
        batch = await imported(it, HEADER + SALE + INVOICE + bad)
        assert batch["counts"] == {"good": 2, "bad": 2}
        rows = (await it.get(FINANCE, f"/imports/{batch['batch_id']}/rows"))["items"]
        assert [[one["column"] for one in row["remarks"]] for row in rows[2:]] == [["partner_id"], ["on"]]
        assert await remaining(it) == {}, "a dry run earns nothing"

        rows = await moved(it, batch["batch_id"], "apply", "applied")
        assert [row["outcome"] for row in rows[:2]] == ["recorded", "recorded"]
        assert await remaining(it) == {"won": "100.00", "billed": "80.00"}
        again = await imported(it, HEADER + SALE + INVOICE)
        assert [row["outcome"] for row in await moved(it, again["batch_id"], "apply", "applied")] == ["known", "known"]
        assert await remaining(it) == {"won": "100.00", "billed": "80.00"}

        await moved(it, batch["batch_id"], "undo", "undone")
        assert await remaining(it) == {"won": "0.00", "billed": "0.00"}


async def test_an_invoice_and_its_collection_of_one_number_are_recorded_and_taken_back_each_alone(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        await it.publish_plan(plan(basis="invoiced", component="billed"), "billed")
        await it.publish_plan(plan({"percent": "20"}, basis="collected", component="cash"), "cash")
        first = await imported(it, HEADER + SALE + INVOICE)
        await moved(it, first["batch_id"], "apply", "applied")
        second = await imported(it, HEADER + INVOICE.replace("invoiced", "collected"))
        assert [row["outcome"] for row in await moved(it, second["batch_id"], "apply", "applied")] == ["recorded"]
        assert await remaining(it) == {"billed": "40.00", "cash": "80.00"}

        await moved(it, second["batch_id"], "undo", "undone")
        assert await remaining(it) == {"billed": "40.00", "cash": "0.00"}
        await moved(it, first["batch_id"], "undo", "undone")
        assert await remaining(it) == {"billed": "0.00", "cash": "0.00"}


def test_a_row_that_was_recorded_before_facts_were_kept_by_kind_is_taken_back_as_it_was():
    world = World().tell(basis("collected", "c/1", "400.00"))
    [undone] = reversals_of(world.sales["o1"], "o1", "c/1", NOW)

    assert (undone.reversal_id, undone.fact_kind, undone.source) == ("undo-c/1-billing", "collected", "billing")
    assert reversals_of(world.sales["o1"], "o1", "c/2", NOW) == []


def test_rows_of_one_sale_find_it_by_its_source():
    sale = row_of(
        {
            "kind": "sale",
            "source": "shop",
            "sale_id": "7",
            "partner_id": "p1",
            "amount": "1",
            "currency": "EUR",
            "on": "2026-03-16",
        }
    )
    fact = row_of(
        {"kind": "pos", "source": "shop", "sale_id": "7", "external_id": "x", "quantity": "3", "on": "2026-03-16"}
    )

    assert sale_id(sale.source, sale.sale_id) == fact.opportunity_id
    assert fact.quantity == 3
    assert set(SALES_FACTS.columns) >= {"source", "sale_id", "partner_id"}


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"kind": "gift"}, "kind"),
        ({"quantity": "many"}, "quantity"),
        ({"quantity": "²"}, "quantity"),
        ({"quantity": "9" * 5_000}, "quantity"),
        ({"amount": "1e3"}, "amount"),
        ({"hue": "red"}, "hue"),
    ],
)
def test_a_row_that_does_not_fit_says_which_column(changes, column):
    row = {
        "kind": "invoiced",
        "opportunity_id": "o1",
        "external_id": "x",
        "amount": "1.00",
        "currency": "EUR",
        "on": "2026-03-16",
    }

    with pytest.raises(SaleInvalid) as refused:
        row_of({**row, "on": "2026-03-16", **changes})
    assert [one["path"] for one in refused.value.fields["errors"]] == [column]
