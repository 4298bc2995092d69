"""Bulk imports at work: a file in, a dry run, deals registered row by row, and all of it taken back."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.bulk_work import BulkWork
from tests.patience import PATIENCE_SECONDS
from tests.registration.service import DESK, Running, activated, deal, seller, started

P1, P2 = seller("p1"), seller("p2")
HEADER = "customer,country,website,products,amount,currency\n"


def lines(*numbers: int) -> str:
    return "".join(f"Customer {n} GmbH,DE,www.customer-{n}.com,cloud/100,1000.00,EUR\n" for n in numbers)


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules(capacity=3)
        yield asked


async def imported(registration: Running, content: str, who: Any = P1) -> dict[str, Any]:
    """A batch in its dry run."""
    answer = await registration.upload(who, content.encode())
    assert answer.status_code == 201, answer.text
    return await registration.until_batch(who, answer.json()["batch_id"], "dry_run")


async def moved(registration: Running, batch_id: str, verb: str, stage: str, who: Any = P1) -> dict[str, Any]:
    answer = await registration.post(who, f"/batches/{batch_id}/{verb}")
    assert answer.status_code == 200, answer.text
    return await registration.until_batch(who, batch_id, stage)


async def rows_of(registration: Running, batch_id: str, who: Any = P1, **query: Any) -> list[dict[str, Any]]:
    return list((await registration.get(who, f"/batches/{batch_id}/rows", **query)).json()["items"])


async def test_a_dry_run_is_no_way_to_ask_of_more_customers_than_the_checks_of_a_day(registration: Running) -> None:
    names = ("Quellhof", "Tannwerk", "Bergsee")

    def customer(name: str) -> dict[str, str]:
        return {"name": name, "country": "DE", "website": f"www.{name.lower()}.com"}

    rows = [f"{name},DE,www.{name.lower()}.com,cloud/100,1000.00,EUR\n" for name in names]
    for name in names[:2]:
        assert (await registration.post(seller("p2"), "/deals", deal(customer=customer(name)))).status_code == 201
    for number in range(29):
        asked = deal(customer=customer(f"Zz{number}"))
        assert (await registration.send(P1, "/checks", asked)).status_code == 200

    first = await imported(registration, HEADER + rows[0])
    batch = await imported(registration, HEADER + "".join(rows))
    told = [await rows_of(registration, one["batch_id"]) for one in (first, batch)]
    applied = await moved(registration, batch["batch_id"], "apply", "applied")

    def said(found: list[dict[str, Any]]) -> list[tuple[str, str, list[str]]]:
        return [(one["result"], one["outcome"], [it["code"] for it in one["remarks"]]) for one in found]

    waiting, untold = ("good", "waiting", ["rival-ahead"]), ("good", "", ["too-many-checks"])
    assert said(told[0]) == [waiting]
    assert said(told[1]) == [waiting, untold, untold], "also of whom nobody else asked: else the silence would tell"
    assert applied["counts"]["applied"] == 3
    assert [one["outcome"] for one in await rows_of(registration, batch["batch_id"])] == [
        "waiting",
        "waiting",
        "in_review",
    ]


async def test_good_rows_become_deals_and_bad_ones_say_which_column_and_why(registration: Running) -> None:
    bad = "Fabrikam,Germany,fabrikam.com,cloud,1000.00,EUR\nNobody,DE,,cloud,12.345,EUR\n"
    batch = await imported(registration, HEADER + lines(1) + bad + lines(2))
    assert {"good": 2, "bad": 2} == batch["counts"]
    found = await rows_of(registration, batch["batch_id"])
    assert [(2, "good", "in_review"), (3, "bad", ""), (4, "bad", ""), (5, "good", "in_review")] == [
        (one["row"], one["result"], one["outcome"]) for one in found
    ]
    assert ["country"] == [one["column"] for one in found[1]["remarks"]]
    assert {"amount", "website"} >= {one["column"] for one in found[2]["remarks"]}
    assert [] == (await registration.get(P1, "/deals")).json()["items"], "a dry run records no deal"

    applied = await moved(registration, batch["batch_id"], "apply", "applied")
    assert {"bad": 2, "applied": 2, "good": 2} == applied["counts"]
    deals = (await registration.get(P1, "/deals")).json()["items"]
    numbers = [one["number"] for one in await rows_of(registration, batch["batch_id"], result="applied")]
    assert sorted(numbers) == sorted(one["number"] for one in deals)
    table = (await registration.get(P1, f"/batches/{batch['batch_id']}/rows/csv")).text
    assert [["2", "applied"], ["3", "bad"], ["4", "bad"], ["5", "applied"]] == [
        row[:2] for row in csv.reader(io.StringIO(table))
    ][1:]


async def test_a_cell_of_another_form_is_told_what_its_column_means(registration: Running) -> None:
    row = 'Nobody,Germany,fabrikam.com,cloud,"12,50",EUR,31.12.2031\n'
    batch = await imported(registration, HEADER.strip() + ",close_on\n" + row)
    (found,) = await rows_of(registration, batch["batch_id"])
    assert {
        "country": "expected is: its country, two letters of ISO 3166-1",
        "amount": "expected is: amount, with a dot before the cents",
        "close_on": "expected is: close date, as 2026-03-31; 90 days from now if empty",
    } == {one["column"]: one["text"] for one in found["remarks"]}


@pytest.mark.parametrize(("more", "status"), [(0, 422), (1, 413)])
async def test_a_file_of_more_than_twenty_mebibytes_is_not_even_read(
    registration: Running, more: int, status: int
) -> None:
    one_line = b"x" * (20 * 1024 * 1024 + more)

    assert (await registration.upload(P1, one_line)).status_code == status


async def test_a_field_that_there_is_not_and_one_that_is_needed_are_told_in_words_for_people(
    registration: Running,
) -> None:
    products, customer = [{"family": "cloud"}], {"name": "Contoso", "country": "DE", "website": "contoso.com"}
    row = orjson.dumps({"customer": customer, "products": products, "budget": "1000.00"})
    answer = await registration.upload(P1, row, "application/x-ndjson")
    batch = await registration.until_batch(P1, answer.json()["batch_id"], "dry_run")
    (found,) = await rows_of(registration, batch["batch_id"])
    assert {
        "amount": "this is needed, and the row does not say it",
        "budget": "there is no such field: correct its name, or leave it out",
    } == {one["column"]: one["text"] for one in found["remarks"]}


async def test_what_is_taken_back_leaves_no_deal_and_no_slot_and_what_stays_says_why(registration: Running) -> None:
    batch = await imported(registration, HEADER + lines(1, 2, 3))
    await moved(registration, batch["batch_id"], "apply", "applied")
    full = await registration.register("p1")
    assert "capacity-full" in [one["code"] for one in full["reasons"]]
    second = (await rows_of(registration, batch["batch_id"]))[1]
    await registration.post(DESK, f"/deals/{second['id']}/reject", {"reason_code": "other"})

    undone = await moved(registration, batch["batch_id"], "undo", "undone")
    assert (2, 1) == (undone["counts"]["undone"], undone["counts"]["stays"])
    (stays,) = await rows_of(registration, batch["batch_id"], result="stays")
    assert (3, "wrong-state") == (stays["row"], stays["remarks"][0]["code"])
    deals = (await registration.get(P1, "/deals", status="in_review")).json()["items"]
    assert [] == deals
    after = await registration.register(
        "p1", customer={"name": "Next", "country": "DE", "website": "next-customer.com"}
    )
    assert "in_review" == after["status"]


async def test_who_waits_behind_a_row_moves_up_once_and_never_to_a_row_that_goes_too(registration: Running) -> None:
    same = "Contoso GmbH,DE,www.contoso.com,cloud/100,1000.00,EUR\n"
    batch = await imported(registration, HEADER + same)
    await moved(registration, batch["batch_id"], "apply", "applied")
    behind = await registration.register("p2")
    assert "waiting" == behind["status"]
    await moved(registration, batch["batch_id"], "undo", "undone")
    await registration.until(behind["registration_id"], "in_review")


async def test_an_import_is_its_partners_own_and_the_desk_imports_for_partners(registration: Running) -> None:
    batch = await imported(registration, HEADER + lines(1))
    batch_id = batch["batch_id"]
    for path in (f"/batches/{batch_id}", f"/batches/{batch_id}/rows"):
        assert 404 == (await registration.get(P2, path)).status_code
    assert 404 == (await registration.post(P2, f"/batches/{batch_id}/apply")).status_code
    assert [] == (await registration.get(P2, "/batches")).json()["items"]

    without = await imported(registration, HEADER + lines(2), DESK)
    assert ["partner_id"] == [
        one["column"] for one in (await rows_of(registration, without["batch_id"], DESK))[0]["remarks"]
    ]
    named = HEADER.replace("\n", ",partner_id\n") + lines(2).replace("\n", ",p2\n")
    theirs = await imported(registration, named, DESK)
    await moved(registration, theirs["batch_id"], "apply", "applied", DESK)
    assert 1 == len((await registration.get(P2, "/deals")).json()["items"])
    foreign = await imported(registration, named, P1)
    assert {"bad": 1} == foreign["counts"], "a partner registers for itself"


async def test_nothing_is_done_out_of_turn_and_a_month_later_it_stands(registration: Running) -> None:
    nothing = await imported(registration, HEADER + "x,DE,xyz-customer.com,,1,EUR\n")
    refused = await registration.post(P1, f"/batches/{nothing['batch_id']}/apply")
    assert (409, "nothing-to-apply") == (refused.status_code, refused.json()["slug"])
    early = await registration.post(P1, f"/batches/{nothing['batch_id']}/undo")
    assert (409, ["apply"]) == (early.status_code, early.json()["allowed"])
    batch = await imported(registration, HEADER + lines(1))
    await moved(registration, batch["batch_id"], "apply", "applied")
    registration.clock.forward(timedelta(days=31))
    late = await registration.post(P1, f"/batches/{batch['batch_id']}/undo")
    assert (409, "undo-closed") == (late.status_code, late.json()["slug"])


async def test_what_was_tried_and_discarded_registers_nothing_and_its_rows_are_unreadable(
    registration: Running,
) -> None:
    batch = await imported(registration, HEADER + lines(1))
    path, keys = f"/batches/{batch['batch_id']}", registration.service.application.keys
    sealed = keys.seal("acme", f"import-{batch['batch_id']}", "text")
    assert 404 == (await registration.post(P2, f"{path}/discard")).status_code
    discarded = await registration.post(P1, f"{path}/discard")
    assert (200, "discarded") == (discarded.status_code, discarded.json()["stage"])
    assert 409 == (await registration.post(P1, f"{path}/apply")).status_code
    shown = (await registration.get(P1, path)).json()
    assert ("discarded", {"good": 1}) == (shown["stage"], shown["counts"])
    assert [] == (await registration.get(P1, "/deals")).json()["items"]

    async def forgotten() -> bool:
        return keys.open("acme", sealed) is None

    await registration.seen(forgotten)


async def test_the_same_file_sent_again_is_the_same_import_and_another_one_under_its_key_is_not(
    registration: Running,
) -> None:
    content = (HEADER + lines(1)).encode()
    first, again = [await registration.upload(P1, content, key="file-1") for _ in range(2)]
    assert first.json()["batch_id"] == again.json()["batch_id"]
    other = await registration.upload(P1, content + lines(2).encode(), key="file-1")
    assert (422, "key-reused") == (other.status_code, other.json()["slug"])
    assert 1 == len((await registration.get(P1, "/batches")).json()["items"])


async def test_json_rows_are_bodies_of_registrations(registration: Running) -> None:
    two = [deal(), deal(customer={"name": "Fabrikam", "country": "DE"})]
    answer = await registration.upload(P1, orjson.dumps(two), "application/json")
    batch = await registration.until_batch(P1, answer.json()["batch_id"], "dry_run")
    assert {"good": 1, "bad": 1} == batch["counts"]


async def test_a_stop_in_the_middle_changes_nothing(tmp_path: Path) -> None:
    """The worker is stopped after some rows of a piece have become deals, and nothing of the piece is written down."""
    async with started(tmp_path) as registration:
        await registration.hear(activated("p1"))
        await registration.publish_rules(capacity=10)  # where slots are counted, rows are done one by one
        batch = await imported(registration, HEADER + lines(*range(1, 6)))
        batch_id = batch["batch_id"]
        app = registration.service.application
        killed = Killed(app, registration.service.blueprint.bulk)
        await registration.service.tasks.stop(0.1)
        assert 200 == (await registration.send(P1, f"/batches/{batch_id}/apply")).status_code
        with pytest.raises(asyncio.CancelledError):
            await killed._one_piece("acme", batch_id)
        registered = {
            one.stream for one in await registration._recorded() if one.type == "registration.DealRegistered.v1"
        }
        assert 3 == len(registered)
    async with started(tmp_path) as registration:
        await registration.until_batch(P1, batch_id, "applied")
        again = {one.stream for one in await registration._recorded() if one.type == "registration.DealRegistered.v1"}
        assert registered < again
        assert 5 == len(again)
        found = await rows_of(registration, batch_id)
        assert ["applied"] * 5 == [one["result"] for one in found]


class Killed(BulkWork):
    """Ends as a killed process does, before the fourth row."""

    rows = 0

    async def _row(self, *given: Any) -> Any:
        self.rows += 1
        if self.rows == 4:
            raise asyncio.CancelledError
        return await super()._row(*given)


async def test_the_rows_cannot_be_read_any_more_once_they_are_carried_out(registration: Running) -> None:
    batch = await imported(registration, HEADER + lines(1))
    keys = registration.service.application.keys
    sealed = keys.seal("acme", f"import-{batch['batch_id']}", "text")
    assert "text" == keys.open("acme", sealed)
    await moved(registration, batch["batch_id"], "apply", "applied")

    async def forgotten() -> bool:
        return keys.open("acme", sealed) is None

    await registration.seen(forgotten)


NIGHTLY = [pytest.mark.long, pytest.mark.nightly, pytest.mark.timeout(2_400)]


@pytest.mark.parametrize("count", [40, pytest.param(10_000, marks=NIGHTLY)])
async def test_done_when_12_ten_thousand_rows_imported_and_undone_leave_no_open_deal_or_slot(
    tmp_path: Path, count: int
) -> None:
    async with started(tmp_path) as registration:
        await registration.hear(activated("p1"))
        await registration.publish_rules(capacity=count if count < 1_000 else None)
        batch = await imported_slowly(registration, HEADER + lines(*range(count)), count)
        for verb, stage in (("apply", "applied"), ("undo", "undone")):
            assert 200 == (await registration.send(P1, f"/batches/{batch}/{verb}")).status_code
            found = await until_slowly(registration, batch, stage)
            assert count == found["counts"][stage]
        for status in ("draft", "in_review", "action_required", "waiting", "approved"):
            assert [] == (await registration.get(P1, "/deals", status=status)).json()["items"]
        assert count == await registration.service.application.read.count(
            "deal_board", "acme", where={"status": "withdrawn"}
        )


async def imported_slowly(registration: Running, content: str, count: int) -> str:
    answer = await registration.upload(P1, content.encode())
    assert count == answer.json()["rows"]
    found = await until_slowly(registration, answer.json()["batch_id"], "dry_run")
    assert {"good": count} == found["counts"]
    return str(answer.json()["batch_id"])


async def until_slowly(registration: Running, batch_id: str, stage: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_SECONDS * 6):
        while True:
            found = (await registration.get(P1, f"/batches/{batch_id}")).json()
            if found["stage"] == stage:
                return dict(found)
            await asyncio.sleep(0.1)
