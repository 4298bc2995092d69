"""Who is forgotten is paid no more, and nothing that was sealed of it can be read; the ledger and statements stay."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.event import Sealed
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from chassis.verify import verify_decisions
from contracts.onboarding import MembershipEnded, PersonForgotten
from services.incentives.domain.journal import NO_JOURNAL, trial_balance
from services.incentives.domain.payee import PayeeGone, Payees, unmet
from services.incentives.domain.payee_commands import (
    BlockPayee,
    ChangeBankDetails,
    ConsentToPerson,
    DecideTaxForm,
    EmployPerson,
    ForgetPayee,
    SetPayoutCurrency,
    SubmitTaxForm,
    UnblockPayee,
    VerifyBankDetails,
)
from services.incentives.domain.payee_events import (
    BankDetailsChanged,
    PaperForgotten,
    PayeeBlocked,
    PayeeForgotten,
    TaxFormDecided,
    TaxFormSubmitted,
)
from services.incentives.projections.payee_gates import PAYEE_GATES
from tests.incentives.orders import APPROVE, DECLINE, SUBMIT, Desk
from tests.incentives.orders import OPENED as P1_OPENED
from tests.incentives.test_awards import SELLER
from tests.incentives.test_payee import TABLE
from tests.incentives.test_people_paid import (
    BANK,
    CONSENTED,
    NOW,
    OPENED,
    PER_7,
    SINCE,
    awarded,
    joins,
    member,
    papers,
)
from tests.incentives.test_service import APPROVER, FINANCE, P1, activated, incentives

__all__ = ["incentives"]
FORGET = ForgetPayee(payee_id="per-7", now=NOW)
GONE = PayeeForgotten(payee_id="per-7", partner_id="p1", forgotten_at=NOW)


def bank(bank_id: str) -> BankDetailsChanged:
    return BankDetailsChanged(
        payee_id="per-7",
        partner_id="p1",
        bank_id=bank_id,
        account=Sealed(subject=bank_id, box="x"),
        fingerprint="f",
        changed_by="per-7",
        changed_at=NOW,
    )


def form(**changes: Any) -> TaxFormSubmitted:
    fields: dict[str, Any] = {
        "payee_id": "per-7",
        "partner_id": "p1",
        "form_id": "f1",
        "form": "",
        "jurisdiction": "US",
        "payee_kind": "person",
        "tax_year": 2026,
        "form_sha256": "",
        "submitted_by": "per-7",
        "submitted_at": NOW,
        "sealed": Sealed(subject="f1", box="y"),
    }
    return TaxFormSubmitted(**{**fields, **changes})


ACCEPTED = TaxFormDecided(
    payee_id="per-7", partner_id="p1", form_id="f1", outcome="accepted", reason="Kim's", decided_by="x", decided_at=NOW
)
STOPPED = PayeeBlocked(payee_id="per-7", partner_id="p1", reason="Kim asked", blocked_by="fin-1", blocked_at=NOW)
HISTORY = [OPENED, CONSENTED, bank("b1"), bank("b2"), form(), ACCEPTED, STOPPED]


def paper(paper_id: str) -> PaperForgotten:
    return PaperForgotten(payee_id="per-7", partner_id="p1", paper_id=paper_id, forgotten_at=NOW)


ALL_GONE = [GONE, paper("b1"), paper("b2"), paper("f1")]


def test_every_paper_that_was_ever_sealed_is_forgotten_with_the_person_and_once():
    given(TABLE[ForgetPayee], (PER_7, HISTORY)).when(FORGET).then(ALL_GONE)
    given(TABLE[ForgetPayee], (PER_7, [*HISTORY, *ALL_GONE])).when(FORGET).then_nothing()


def test_a_form_that_was_never_sealed_has_no_key_to_destroy():
    open_form = form(form="W-9", form_sha256="0" * 64, sealed=None)
    given(TABLE[ForgetPayee], (PER_7, [OPENED, open_form])).when(FORGET).then([GONE])


def test_who_was_forgotten_before_it_was_known_never_becomes_a_payee():
    unknown = replace(GONE, partner_id="")
    given(TABLE[ForgetPayee]).when(FORGET).then([unknown])
    given(TABLE[EmployPerson], (PER_7, [unknown])).when(joins()).then_nothing()
    assert project(PAYEE_GATES, told(unknown)) == {}


def test_a_forgotten_person_is_not_paid_whatever_else_is_shut_or_open():
    assert unmet(Payees.fold([*HISTORY, *ALL_GONE]), NOW) == ("forgotten",)
    assert unmet(Payees.fold([OPENED, CONSENTED]), NOW) == ()


BY = {"payee_id": "per-7", "by": "fin-2", "now": NOW}
COMMANDS = (
    ChangeBankDetails(**BY, bank_id="b3", account=Sealed(subject="b3", box="x"), fingerprint="f"),
    VerifyBankDetails(**BY, bank_id="b2"),
    SubmitTaxForm(**BY, form_id="f2", form="", jurisdiction="US", payee_kind="person", tax_year=2026, form_sha256=""),
    DecideTaxForm(**BY, form_id="f1", outcome="accepted"),
    ConsentToPerson(**BY, partner_id="p1"),
    SetPayoutCurrency(**BY, currency="USD"),
    BlockPayee(**BY, reason="x"),
    UnblockPayee(**BY, reason="x"),
)


@pytest.mark.parametrize("wish", COMMANDS, ids=lambda wish: type(wish).__name__)
def test_nothing_is_kept_of_who_was_forgotten(wish):
    refusal = given(TABLE[type(wish)], (PER_7, [*HISTORY, *ALL_GONE])).when(wish).refused(PayeeGone)
    assert (refusal.slug, refusal.status) == ("payee-forgotten", 409)


def test_what_was_approved_goes_back_to_payable_and_stays_there():
    desk = Desk(payee=(P1_OPENED,))
    desk.after(desk.proposed, APPROVE)
    desk.payee.append(replace(GONE, payee_id="p1"))
    desk.after(SUBMIT)
    assert (desk.stage, desk.payment[-1].gates) == ("blocked", ("forgotten",))
    desk.after(DECLINE)
    entries = [one for event in desk.payment for one in getattr(event, "journal", NO_JOURNAL).entries]
    assert trial_balance(entries) == {"EUR": 0}
    assert sum(one.amount.amount for one in entries if one.account == "payable") == 0


def test_the_page_of_a_payee_keeps_nothing_that_somebody_wrote_of_it():
    seen = told(*HISTORY, *ALL_GONE)
    assert_repeatable(PAYEE_GATES, seen)
    [document] = project(PAYEE_GATES, seen).values()
    assert (document["gates"], document["bank"], document["tax_forms"]) == (["forgotten"], None, {})
    assert "Kim" not in str(document)
    assert "Kim" in str(project(PAYEE_GATES, told(*HISTORY)))


# At work

TAX = {
    "form": "W-9 of Kim Seller",
    "jurisdiction": "US",
    "payee_kind": "person",
    "tax_year": 2026,
    "form_sha256": "ab" * 32,
}
PERSONAL = (BANK["iban"], BANK["holder"], TAX["form"], TAX["form_sha256"])
APRIL = datetime(2026, 4, 8, 12, tzinfo=UTC)


def names_kim(text: str | bytes) -> bool:
    found = text if isinstance(text, str) else text.decode("latin-1")
    return any(one in found for one in PERSONAL)


async def approved(incentives: Any) -> tuple[str, str]:
    """The statement and the approved payment of a person with papers."""
    await awarded(incentives)
    await papers(incentives)
    assert (await incentives.put(SELLER, "/payees/per-7/tax", TAX)).status_code == 200
    incentives.clock.set(APRIL)
    month = {"partner_id": "p1", "payee_id": "per-7", "period": "2026-03", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", month)).json()["statement_id"]
    answer = await incentives.post(FINANCE, "/payments", {"statement_id": statement})
    payment = answer.json()["payment_id"]
    assert (await incentives.post(APPROVER, f"/payments/{payment}/approve")).json()["state"] == "approved"
    return f"/statements/{statement}", f"/payments/{payment}"


async def forgotten(incentives: Any) -> None:
    """Onboarding says it twice, and that the membership ended; the keys are gone some moments later."""
    await incentives.hear(PersonForgotten(person_id="per-7", forgotten_at=APRIL), times=2)
    ended = MembershipEnded(membership_id="m-per-7", person_id="per-7", partner_id="p1", effective_on=SINCE)
    await incentives.hear(ended)
    await incentives.service.forgetting.catch_up()


async def texts(incentives: Any) -> list[str]:
    """All that can be read of a person, and taken away."""
    paths = (
        "/payees",
        "/payees/per-7",
        "/lines",
        "/lines/csv",
        "/statements",
        "/payments",
        "/ledger",
        "/ledger/balances",
    )
    files = ("/ledger/export?format=csv", "/ledger/export?format=beancount", "/tax-years?year=2026", "/withheld")
    return [await incentives.text(FINANCE, path) for path in (*paths, *files)]


async def test_of_who_is_forgotten_no_byte_can_be_read_and_statement_and_ledger_stay(incentives):
    statement, payment = await approved(incentives)
    assert any(map(names_kim, await texts(incentives)))
    before = [await incentives.text(FINANCE, path) for path in (statement, f"{statement}/csv")]
    ledger = await incentives.text(FINANCE, "/ledger/export?format=csv")
    sealed = [one async for one in boxes(incentives)]
    assert [names_kim(incentives.service.application.keys.open(SELLER.tenant, one)) for one in sealed] == [True, True]

    await forgotten(incentives)

    keys = incentives.service.application.keys
    assert [keys.open(SELLER.tenant, one) for one in sealed] == [None, None]
    assert not any(map(names_kim, await texts(incentives)))
    assert not any(map(names_kim, bytes_of(incentives)))
    after = [await incentives.text(FINANCE, path) for path in (statement, f"{statement}/csv")]
    assert (after, await incentives.text(FINANCE, "/ledger/export?format=csv")) == (before, ledger)

    proof = await incentives.get(FINANCE, f"{statement}/proof")
    assert (await incentives.post(FINANCE, "/statements/verify", proof)).json() == {
        "holds": True,
        "findings": [],
        "as_recorded": [],
    }

    payee = await incentives.get(FINANCE, "/payees/per-7")
    assert ([one["gate"] for one in payee["gates"]], payee["bank"], payee["tax_forms"]) == (["forgotten"], None, [])
    assert (await incentives.post(FINANCE, f"{payment}/submit")).json()["state"] == "blocked"
    found = await incentives.get(FINANCE, payment)
    assert found["gates"] == ["forgotten"]
    why = await incentives.get(FINANCE, f"/why/{found['event_id']}")
    assert [one["code"] for one in why["would_change"]] == ["forgotten"]
    assert incentives.service.application.ports.transfers() == []
    balances = (await incentives.get(FINANCE, "/ledger/balances"))["items"]
    assert [(one["payable"], one["total"]) for one in balances if one["payee_id"] == "per-7"] == [("-60.00", "0.00")]

    await made_again(incentives)
    executor = incentives.service.application.executor
    report = await verify_decisions(executor.store, executor.every_handles)
    assert report.holds, report.lines()


async def boxes(incentives: Any):
    """What was sealed for the person, as its events hold it."""
    for one in await incentives.service.store.load(f"{SELLER.tenant}:payee-per-7"):
        for name in ("account", "sealed"):
            if isinstance(found := getattr(one.event, name, None), Sealed):
                yield found


def bytes_of(incentives: Any) -> list[bytes]:
    """All that the service has on disk."""
    return [path.read_bytes() for path in incentives.service.settings.data.rglob("*") if path.is_file()]


async def made_again(incentives: Any) -> None:
    """Read models filled anew from the log hold the same, and nothing of the person."""
    read, runner = incentives.service.application.read, incentives.service.runner
    before = await read.get("payee_gates", SELLER.tenant, "per-7")
    await runner.rebuild("payee_gates")
    assert await read.get("payee_gates", SELLER.tenant, "per-7") == before


async def test_nothing_is_sealed_for_who_was_forgotten_and_what_is_payable_to_it_stays(incentives):
    _, payment = await approved(incentives)
    await forgotten(incentives)
    assert keys_of(incentives) == set()
    for path, wish in (("bank", BANK), ("tax", TAX)):
        answer = await incentives.put(SELLER, f"/payees/per-7/{path}", wish)
        assert (answer.status_code, answer.json()["slug"]) == (409, "payee-forgotten")
    assert keys_of(incentives) == set()
    assert (await incentives.post(FINANCE, f"{payment}/submit")).json()["state"] == "blocked"
    assert (await incentives.post(FINANCE, f"{payment}/resume")).json()["slug"] == "gate-unmet"
    declined = await incentives.post(APPROVER, f"{payment}/decline", {"category": "other"})
    assert declined.status_code == 200, declined.text
    [line] = (await incentives.get(P1, "/lines?payee_id=per-7"))["items"]
    assert (line["state"], line["remaining"]) == ("payable", {"amount": "60.00", "currency": "EUR"})


def keys_of(incentives: Any) -> set[str]:
    """Whom or what there is a key of."""
    [path] = incentives.service.settings.data.rglob("keys.db")
    with closing(sqlite3.connect(path)) as database:
        return {row[0] for row in database.execute("SELECT subject FROM data_key WHERE purpose = 'seal'")}


async def test_what_is_entered_while_a_person_is_forgotten_is_not_readable_either(incentives):
    await incentives.hear(activated())
    people = [f"per-{number}" for number in range(20, 26)]
    for person_id in people:
        await incentives.hear(member(person_id))

    async def enters(person_id: str) -> int:
        who = replace(SELLER, subject=person_id)
        return (await incentives.put(who, f"/payees/{person_id}/bank", BANK)).status_code

    gone = [incentives.hear(PersonForgotten(person_id=one, forgotten_at=NOW)) for one in people]
    found = await asyncio.gather(*(step for pair in zip(map(enters, people), gone, strict=True) for step in pair))
    assert {status for status in found if status is not None} <= {200, 409}
    await incentives.service.forgetting.catch_up()
    assert keys_of(incentives) == set()


async def test_the_batch_of_a_forgotten_person_has_no_bank_file(incentives):
    await awarded(incentives)
    await papers(incentives)
    incentives.clock.set(APRIL)
    month = {"partner_id": "p1", "payee_id": "per-7", "period": "2026-03", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", month)).json()["statement_id"]
    payment = (await incentives.post(FINANCE, "/payments", {"statement_id": statement})).json()["payment_id"]
    body = {"currency": "EUR", "day": "2026-04-09", "payment_ids": [payment]}
    batch = (await incentives.post(FINANCE, "/batches", body)).json()["batch_id"]
    await incentives.post(APPROVER, f"/batches/{batch}/approve")
    await incentives.post(FINANCE, f"/batches/{batch}/send")
    assert names_kim(await incentives.text(FINANCE, f"/batches/{batch}/pain001"))
    await forgotten(incentives)
    assert await incentives.get(FINANCE, f"/batches/{batch}/pain001") == 409
    assert not names_kim(await incentives.text(FINANCE, f"/batches/{batch}/csv"))
