"""Batches of payments and the books: what goes out together, rates of exchange, and months that are closed for ever."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, SentWithFile, Visit, refused

BATCHES, BOOKS = "incentives.PrepareBatch", "incentives.read ledger"
STEPS, FILE = ("approve", "send", "close"), "pain001"

router = APIRouter(include_in_schema=False, route_class=PageRoute)


# Batches


@router.get("/payment-batches")
async def batches(here: Here) -> Response:
    """Payments that go out together: prepared by one person, approved by another, sent, and their files."""
    return await batches_page(here)


async def batches_page(
    here: Visit, refusal: Refusal | None = None, status: int = 200, results: list[dict[str, Any]] | None = None
) -> Response:
    if not here.vendor or not here.may(BATCHES):
        raise Forbidden
    found, ready, payees = await asyncio.gather(
        here.ask("incentives", "/batches", limit=50, cursor=here.request.query_params.get("cursor")),
        here.ask("incentives", "/payments", state="proposed", limit=200),
        here.ask_all("incentives", "/payees"),
    )
    names = await here.names({row["partner_id"] for part in (ready, payees) for row in part.items})
    known = {row["payee_id"]: row for row in payees.items}
    shown = {"batches": found, "ready": ready, "names": names, "payees": known, "results": results}
    return await here.page("batches.html", status, **shown, refusal=refusal)


@router.post("/payment-batches")
async def prepare(here: Here, sent: Sent) -> Response:
    """Puts the payments that are ticked together."""
    chosen = sent.lists.get("payment_id", [])
    if not chosen:
        problem = {"slug": "missing", "detail": "Tick at least one payment."}
        return await batches_page(here, Refusal(form="prepare", values=sent.values, problem=problem), 422)
    body = {**sent.given("currency", "day"), "payment_ids": chosen}
    answer = await here.send(sent, "incentives", "/batches", body)
    return await _batched(here, sent, answer, "prepare")


@router.post("/payment-batches/reports")
async def report(here: Here, sent: SentWithFile) -> Response:
    """Takes the bank's report of what became of the payments, and says row by row what it changed.

    A browser sends what is typed in with other ends of lines than the bank signed; a file comes as it was signed.
    """
    typed = sent.values.get("content", "").replace("\r\n", "\n")
    content = sent.file.content.decode(errors="replace") if sent.file and sent.file.content else typed
    body = {**sent.given("kind", "signature"), "content": content}
    answer = await here.send(sent, "incentives", "/provider-reports/file", body)
    if answer.ok:
        return await batches_page(here, results=answer.json()["results"])
    return await batches_page(here, refused("report", sent, answer), answer.status)


@router.post("/payment-batches/{batch_id}/{verb}")
async def step(batch_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """A second person approves a batch in one go; then it is sent, written for the bank, and closed at the end."""
    if verb == FILE:
        return await _bank_file(here, batch_id)
    if verb not in STEPS:
        raise NotFound
    answer = await here.send(sent, "incentives", f"/batches/{batch_id}/{verb}")
    return await _batched(here, sent, answer, f"{verb}-{batch_id}")


async def _bank_file(here: Visit, batch_id: str) -> Response:
    """The batch as a file for the bank, or the page that says why there can be none."""
    answer = await here.fetch("incentives", f"/batches/{batch_id}/{FILE}")
    if not answer.ok:
        return await batches_page(here, Refusal(form=FILE, problem=answer.json()), answer.status)
    kept = {"Content-Disposition": answer.headers["content-disposition"]}
    return Response(answer.body, media_type=answer.headers["content-type"], headers=kept)


async def _batched(here: Visit, sent: Form, answer: Answer, name: str) -> Response:
    if answer.ok:
        return here.went(answer, "/payment-batches", f"batch-{name.partition('-')[0]}")
    return await batches_page(here, refused(name, sent, answer), answer.status)


# Books


@router.get("/books")
async def books(here: Here) -> Response:
    """The months: what was booked in each, whether it balances, its rates, and closing it."""
    return await books_page(here)


async def books_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.vendor or not here.may(BOOKS):
        raise Forbidden
    months = await here.ask("incentives", "/books")
    chosen = here.request.query_params.get("month") or months.first.get("month", "")
    month = await here.ask("incentives", f"/books/{chosen}")
    return await here.page("books.html", status, months=months, month=month, chosen=chosen, refusal=refusal)


@router.post("/books/{month}/close")
async def close(month: str, here: Here, sent: Sent) -> Response:
    """Closes a month that is over, for ever."""
    answer = await here.send(sent, "incentives", f"/books/{month}/close")
    return await _booked(here, sent, answer, f"/books?month={month}", "close")


@router.post("/books/rates")
async def rates(here: Here, sent: Sent) -> Response:
    """Records a rate of exchange."""
    body: dict[str, Any] = {**sent.given("source", "on"), "pairs": {sent.text("pair").upper(): sent.text("rate")}}
    answer = await here.send(sent, "incentives", "/rates", body)
    return await _booked(here, sent, answer, f"/books?month={sent.text('on')[:7]}", "rates")


async def _booked(here: Visit, sent: Form, answer: Answer, to: str, name: str) -> Response:
    if answer.ok:
        return here.went(answer, to, f"books-{name}")
    return await books_page(here, refused(name, sent, answer), answer.status)
