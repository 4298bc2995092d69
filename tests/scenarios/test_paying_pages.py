"""What keeps money from going out, as a browser without JavaScript shows it: papers, invoices, corrections, four eyes."""

import re
from pathlib import Path

import httpx
import pytest

from services.incentives.domain.bank_account import CLEARING_NUMBERS
from tests.scenarios.main_job import PERIOD, Story, approving, colliding, paying, refunding, releasing, winning
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_money_pages import portal_of, sent, shows

IBAN = "DE89370400440532013000"
FILE = "c" * 64
THRESHOLD = {"asks": "withholding", "jurisdiction": "US", "from_amount": "600", "currency": "EUR"}
RULES = {
    "gates": ["invoice", "tax_form"],
    "withholding": [{"jurisdiction": "US", "percent": "30"}],
    "thresholds": [THRESHOLD],
}


async def test_papers_invoices_and_corrections_are_settled_by_two_people_in_the_portal(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        story = Story()
        for chapter in (colliding, approving, winning, refunding, releasing):
            await chapter(it, story)
            await it.settle()
        await rules_hold(it)
        faye, finn, nora, ada = [await it.who(name) for name in ("faye", "finn", "northwind", "ada")]
        async with (
            portal_of(it, faye) as approver,
            portal_of(it, finn) as finance,
            portal_of(it, nora) as partner,
            portal_of(it, ada) as admin,
        ):
            page = f"/payees/{story.partner_id}"
            await bank_details(partner, approver, page)
            await tax_forms(partner, finance, page)
            assert (await admin.get(page)).status_code == 403
            assert '"bank":null' in (await ada.get("/v1/incentives/payees")).body.decode()
            await corrected(it, finance, approver)
            payment_id = await proposed(it, story)
            await invoiced(partner, f"/payments/{payment_id}")
            await shows(approver, f"/payments/{payment_id}", "Approve")
            assert 'aria-label="Waiting payments"' in await shows(approver, "/money", payment_id)
            assert ", you</a>" in (await partner.get("/payees")).text
            await batched(finance, approver, payment_id)
            said = await shows(approver, f"/payments/{payment_id}", "Bank details cool down")
            assert "until" in said
            await rates_and_months(finance, approver)


async def test_the_books_name_the_account_that_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTENTE_PAYER_IBAN", IBAN)
    async with running_system(tmp_path) as it:
        story = Story()
        for chapter in (colliding, approving, winning, refunding, releasing, paying):
            await chapter(it, story)
            await it.settle()
        async with portal_of(it, await it.who("finn")) as finance:
            board = await shows(finance, "/money", 'aria-label="Finished payments"')
            assert "Waiting payments" not in board
            said = await shows(finance, "/books", "Booked in")
            assert f"Cash: {IBAN}" in said


async def batched(finance: httpx.AsyncClient, approver: httpx.AsyncClient, payment_id: str) -> None:
    """One person prepares, another approves all at once; a payment whose gate is shut is blocked."""
    page = "/payment-batches"
    said = await sent(finance, page, page, payment_id=payment_id, day="2031-06-20")
    assert "You prepared it, so a second person approves it." in said.text
    found = re.findall(r'action="(/payment-batches/[0-9a-f-]+/approve)"', await shows(approver, page, "/approve"))
    said = await sent(approver, page, found[0])
    assert "The batch was approved." in said.text
    said = await sent(finance, page, f"{page}/reports", kind="csv", content="who,what", signature="0" * 64)
    assert "That is no report" in said.text


async def rates_and_months(finance: httpx.AsyncClient, approver: httpx.AsyncClient) -> None:
    """A month is closed by an approver, after the one before it, and never opens again."""
    rate = {"on": "2031-04-01", "pair": "EUR/USD", "rate": "1.0842", "source": "ecb"}
    said = await sent(finance, "/books", "/books/rates", **rate)
    assert "The rate was recorded." in said.text
    assert "1 EUR = 1.0842 USD" in said.text
    said = await sent(finance, "/books", "/books/rates", **{**rate, "rate": "0"})
    assert "That is no rate" in said.text
    found = await approver.get("/books")
    assert "balances" in found.text
    month = re.findall(r'action="/books/([0-9-]{7})/close"', found.text)
    said = await sent(approver, "/books", f"/books/{month[0]}/close")
    assert "The month is closed for ever." in said.text
    assert f'action="/books/{month[0]}/close"' not in said.text


async def rules_hold(it: System) -> None:
    faye, ada = await it.who("faye"), await it.who("ada")
    draft = {"rulebook_id": "payment", "kind": "payment", "body": RULES}
    made = done(await ada.post("/v1/incentives/rulebooks", draft, key="payment-rules"), 201)
    wish = {"version": made["version"]}
    done(await faye.post("/v1/incentives/rulebooks/payment/publish", wish, key="payment-published"))
    await it.settle()


async def bank_details(partner: httpx.AsyncClient, approver: httpx.AsyncClient, page: str) -> None:
    without = {"number": "0001 2345 6789", "clearing": "USABA", "holder": "Northwind Partners Inc"}
    said = await sent(partner, page, f"{page}/bank", **without, clearing_number="111000026")
    assert "no routing number: its check digit does not fit" in said.text
    assert 'value="0001 2345 6789"' in said.text
    assert set(re.findall(r'<option value="([A-Z]{5})"', said.text)) == set(CLEARING_NUMBERS)
    said = await sent(partner, page, f"{page}/bank", **without, clearing_number="111000025")
    assert "… 6789" in said.text
    said = await sent(partner, page, f"{page}/bank", iban=IBAN, holder="Northwind Partners GmbH")
    assert "… 3000" in said.text
    assert IBAN not in said.text
    assert "You entered them, so another person has to verify them." in said.text
    assert "Bank details cool down" in said.text
    said = await sent(approver, page, f"{page}/verify", method="second_person")
    assert "The bank details are verified." in said.text


async def tax_forms(partner: httpx.AsyncClient, finance: httpx.AsyncClient, page: str) -> None:
    form = {"form": "W-8BEN-E", "jurisdiction": "US", "tax_year": "2031", "payee_kind": "company", "form_sha256": FILE}
    assert "Tax form missing" in (await partner.get(page)).text
    said = await sent(partner, page, f"{page}/tax", **form)
    assert "finance decides" in said.text
    said = await sent(finance, page, f"{page}/decide", outcome="accepted", reason="")
    assert "30%" in said.text
    assert "Tax form missing" not in said.text
    assert "In 2031 so far" in said.text
    assert re.search(r"Tax is withheld</td>.*€600\.00.*€0\.00.*below", said.text)


async def corrected(it: System, finance: httpx.AsyncClient, approver: httpx.AsyncClient) -> None:
    """Of the 1,333.33 that stand, 50.00 are taken back by two people."""
    line_id = done(await (await it.who("northwind")).get("/v1/incentives/lines"))["items"][0]["line_id"]
    page = f"/lines/{line_id}"
    said = await sent(finance, page, f"{page}/adjust", amount="-2000.00", reason="too much")
    assert "A line cannot be adjusted below nothing" in said.text
    said = await sent(finance, page, f"{page}/adjust", amount="-50.00", reason="The price was agreed lower.")
    assert "You proposed it, so a second person has to confirm it." in said.text
    said = await sent(approver, page, f"{page}/adjust/confirm")
    assert "The line and the ledger are corrected." in said.text
    assert "€1,283.33" in said.text


async def proposed(it: System, story: Story) -> str:
    finn = await it.who("finn")
    period = {"partner_id": story.partner_id, "period": PERIOD, "currency": "EUR"}
    statement = done(await finn.post("/v1/incentives/statements", period, key="statement"), 201)
    wish = {"statement_id": statement["statement_id"]}
    made = done(await finn.post("/v1/incentives/payments", wish, key="propose"), 201)
    assert made["state"] == "pending_invoice"
    await it.settle()
    payment_id: str = made["payment_id"]
    return payment_id


async def invoiced(partner: httpx.AsyncClient, page: str) -> None:
    """Another amount is refused beside the form; the right one makes the payment ready to be approved."""
    fields = {"number": "2031-17", "tax": "104.50", "invoice_sha256": FILE}
    said = await sent(partner, page, f"{page}/invoice", net="500.00", **fields)
    assert "The invoice says another amount" in said.text
    assert 'value="500.00"' in said.text
    said = await sent(partner, page, f"{page}/invoice", net="1283.33", **fields)
    assert "The invoice was accepted." in said.text
    assert "Proposed by" not in said.text
