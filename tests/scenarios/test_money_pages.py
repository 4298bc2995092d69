"""Money pages as a browser without JavaScript uses them: a disputed line, what is owed, a budget, a tier under review."""

import asyncio
import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from chassis.asgi import Api
from contracts.values import money
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_events import ReversalRecorded
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.browser import browser
from tests.scenarios.main_job import Story, approving, colliding, main_job
from tests.scenarios.system import System, done, running_system, until


def portal_of(it: System, who: Api, **headers: str) -> httpx.AsyncClient:
    return browser(
        it.front._app,
        cookies={"entente": who._token},
        follow_redirects=True,
        headers={"origin": it.address, **headers},
    )


async def sent(client: httpx.AsyncClient, page: str, action: str, trigger: str = "", **fields: str) -> httpx.Response:
    """Sends the form of a page with that action, filled in; the page that it leads to.

    With a `trigger` it is the form of that action, sent by the button that goes elsewhere.
    """
    head = f'<form method="post" action="{trigger or action}"'
    text = await shows(client, page, head)
    form = text[text.index(head) :].partition("</form>")[0]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while _is_busy(answer := await client.post(action, data={**hidden, **fields})):
            await asyncio.sleep(float(answer.headers.get("retry-after", 1)))
    return await up_to_date(client, answer)


def _is_busy(answer: httpx.Response) -> bool:
    """Whether the form was not taken for now, and the page says to send it again."""
    return answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and not answer.history


async def shows(client: httpx.AsyncClient, page: str, said: str) -> str:
    """The page, once it has that: what somebody else did shows within moments."""

    async def text() -> str:
        found = (await client.get(page)).text
        return found if said in found else ""

    found: str = await until(text)
    return found


async def up_to_date(client: httpx.AsyncClient, answer: httpx.Response) -> httpx.Response:
    """The page, once it is there and as new as what was done: until then it asks again by itself, or says to."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE or 'name="entente-late"' in answer.text:
            answer = await client.get(str(answer.url))
    return answer


async def test_people_dispute_fill_budgets_and_keep_tiers_in_the_portal(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        story = await main_job(it)
        path = f"/statements/{story.seen['statement']['statement_id']}"
        ada, faye, nora = [await it.who(name) for name in ("ada", "faye", "northwind")]
        async with portal_of(it, nora) as partner, portal_of(it, faye) as approver, portal_of(it, ada) as admin:
            told = {"reason": "A refund was counted twice.", "sha256": "", "shows": ""}
            said = await sent(partner, path, f"{path}/dispute", **told)
            assert "It is not paid until the dispute is final." in said.text
            assert "A refund was counted twice." in said.text
            assert "b" * 64 in (await disputed_to_the_end(partner, approver, admin, path)).text
            filled = await sent(
                approver, "/owed", "/owed/budgets", budget_id="marketing-2031", amount="900", currency="EUR"
            )
            assert "The money is in the budget." in filled.text
            assert "€900.00" in filled.text
            await units_are_put_in(approver)
            assert "Nothing new." in filled.text
            past = await approver.get("/owed?as_of=2020-01-01")
            assert "Nothing was owed" in past.text
            figure = {"partner_id": story.partner_id, "metric": "revenue", "value": "60000", "on": "2031-04-01"}
            risen = await sent(admin, "/tiers", "/tiers/tiers/new/metrics", **figure)
            assert "The figure was recorded." in risen.text
            await asked_for_money(partner, nora)
            await estimated(partner)
            await backtested(approver)
            await put_in_the_shadow(admin, approver, story.deal_id)
            own = await shows(partner, "/tiers", "Silver")
            assert "To Gold: 2 more certified, €" in own
        await it.settle()
        found = done(await nora.get("/v1/incentives/disputes"))["items"]
        assert [(one["state"], one["decision"]) for one in found] == [("rejected", "Nothing new.")]


async def test_a_partner_sees_how_its_dispute_was_decided_and_finance_says_how_the_line_of_who_was_right_is_corrected(
    tmp_path: Path,
) -> None:
    async with running_system(tmp_path) as it:
        story = await main_job(it)
        path = f"/statements/{story.seen['statement']['statement_id']}"
        ada, faye, finn, nora = [await it.who(name) for name in ("ada", "faye", "finn", "northwind")]
        async with portal_of(it, nora) as partner, portal_of(it, faye) as approver, portal_of(it, ada) as admin:
            await sent(partner, path, f"{path}/dispute", reason="It was two.", sha256="", shows="")
            await sent(approver, path, f"{path}/dispute/decide", outcome="rejected", reason="It was one.")
            await it.settle()
            mine = (await partner.get("/earnings")).text
            assert "Disputed lines" in mine
            assert "may be appealed until" in mine
            await sent(partner, path, f"{path}/dispute/appeal", statement="Look again.")
            await it.settle()
            upheld = await sent(admin, path, f"{path}/dispute/decide", outcome="upheld", reason="It was two.")
            assert "The line is to be corrected by" in upheld.text
            await it.settle()
            assert f"{path}/dispute/corrected" not in (await partner.get(path)).text
        async with portal_of(it, finn) as finance:
            noted = await sent(finance, path, f"{path}/dispute/corrected", reason="credit note 7")
            assert "It is noted how the line was corrected." in noted.text
            assert "Corrected: credit note 7." in noted.text


async def test_a_partner_reads_what_its_next_statement_would_say_so_far(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        await main_job(it)
        finn = await it.who("finn")
        [statement] = done(await finn.get("/v1/incentives/statements"))["items"]
        whose = statement["partner_id"]
        page = f"/statements/live/{whose}"
        live = done(await finn.get(f"/v1/incentives/statements/live?partner_id={whose}&currency=EUR"))
        for name in ("northwind", "finn"):
            async with portal_of(it, await it.who(name)) as reader:
                text = (await reader.get(page)).text
                assert "The next statement so far" in text
                assert live["closing"]["amount"] in text.replace(",", "")
                assert [f"/why/{line['event_id']}" in text for line in live["lines"]] == [True] * len(live["lines"])
        async with portal_of(it, await it.who("southbridge")) as other:
            assert (await other.get(page)).status_code == 404


async def test_an_analyst_reads_what_all_partners_together_are_owed_and_no_line(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        await main_job(it)
        ana = {"handle": "ana", "name": "Ana", "mail": "ana@acme.example", "roles": ["analyst"]}
        done(await (await it.who("ada")).post("/v1/staff", ana, key="ana"), 201)
        who = await it.who("ana")
        async with portal_of(it, who) as analyst:
            text = (await analyst.get("/earnings")).text
            assert "What all partners together are owed" in text
            assert re.search(r"<li><div><strong>[^<]+</strong><span>Cost so far</span></div></li>", text)
            assert "/lines/" not in text
        [row] = done(await who.get("/v1/incentives/ledger/totals"))["items"]
        trial = done(await (await it.who("finn")).get("/v1/incentives/ledger/balances"))["trial_balance"][0]
        assert (row["currency"], row["expense"], row["paid"]) == ("EUR", trial["expense"], trial["cash"].lstrip("-"))
        assert (await who.get("/v1/incentives/lines")).status == 403


async def test_finance_enters_a_credit_note_of_a_sale_on_the_page_of_its_line(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        await main_job(it)
        finn = await it.who("finn")
        line = done(await finn.get("/v1/incentives/lines"))["items"][0]
        page = f"/lines/{line['line_id']}"
        note = {"reversal_id": "CN-7", "reason_code": "refund", "on": "2031-04-25"}
        async with portal_of(it, finn) as finance:
            refused = await sent(finance, page, f"{page}/reverse", **note, amount="1.23456")
            assert "Some fields do not fit" in refused.text
            assert 'value="CN-7"' in refused.text
            entered = await sent(finance, page, f"{page}/reverse", **note, amount="150.00")
            assert "The credit note was kept, and no line changes" in entered.text, "its plan hears the CRM"
        async with portal_of(it, await it.who("northwind")) as partner:
            assert f"{page}/reverse" not in (await partner.get(page)).text
        store = it.services["incentives"].application.executor.store
        seen = [one.event for one in await store.load(Sales.at(line["opportunity_id"]).name("acme"))]
        told = [
            (one.asked.reversal_id, one.asked.amount, one.source) for one in seen if isinstance(one, ReversalRecorded)
        ]
        assert told[-1] == ("CN-7", money("150.00", "EUR"), "billing")


async def disputed_to_the_end(
    partner: httpx.AsyncClient, approver: httpx.AsyncClient, arbiter: httpx.AsyncClient, path: str
) -> httpx.Response:
    """More is asked for and shown; it is decided, appealed, and decided by a third person."""
    asked = await sent(approver, path, f"{path}/dispute/request-evidence", question="Which refund?")
    assert "The partner was asked." in asked.text
    shown = await sent(partner, path, f"{path}/dispute/show-evidence", sha256="B" * 64, shows="the credit note")
    assert "Under review" in shown.text
    first = {"outcome": "rejected", "reason": "It was one refund."}
    decided = await sent(approver, path, f"{path}/dispute/decide", **first)
    assert "It may be appealed until" in decided.text
    appealed = await sent(partner, path, f"{path}/dispute/appeal", statement="It was two.")
    assert "To be decided again" in appealed.text
    offered = f'action="{path}/dispute/decide"'
    assert offered not in await shows(approver, path, "Somebody else decides it")
    assert offered in await shows(arbiter, path, "To be decided again")
    return await sent(arbiter, path, f"{path}/dispute/decide", outcome="rejected", reason="Nothing new.")


async def asked_for_money(partner: httpx.AsyncClient, nora: Api) -> None:
    """What was drafted and could not be submitted is written anew by the same form: no draft is left over."""
    plan = {"fund_id": "marketing", "period": "2031", "starts_on": "2031-05-01", "ends_on": "2031-05-02"}
    asked = {**plan, "text_1": "Hall", "amount_1": "100"}
    wrong = await sent(partner, "/funds", "/funds/requests", activity_type="party", **asked)
    assert wrong.status_code == 422
    form = wrong.text[wrong.text.index('action="/funds/requests"') :].partition("</form>")[0]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    assert hidden["drafted"]
    wish = {**hidden, **asked, "activity_type": "event"}
    made = await up_to_date(partner, await partner.post("/funds/requests", data=wish))
    assert "Your request was sent." in made.text
    requests = done(await nora.get("/v1/incentives/fund-requests"))["items"]
    assert [(one["state"], one["details"]["activity_type"]) for one in requests] == [("submitted", "event")]


async def units_are_put_in(approver: httpx.AsyncClient) -> None:
    counted = await sent(approver, "/owed", "/owed/budgets", budget_id="spiff-2031", units="1200.5")
    assert "1,200.5 units" in counted.text
    mixed = await sent(approver, "/owed", "/owed/budgets", budget_id="spiff-2031", amount="900", currency="EUR")
    assert "A budget has one currency, or units" in mixed.text
    ended = await sent(approver, "/owed", "/owed/budgets/end")
    assert "What was left in the budget is gone." in ended.text


async def test_an_open_sale_is_forecast_by_the_engine_and_marked_as_an_estimate(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        story = Story()
        for chapter in (colliding, approving):
            await chapter(it, story)
            await it.settle()
        finn = await it.who("finn")

        async def sales() -> Any:
            return done(await finn.get("/v1/incentives/forecast"))["items"]

        [sale] = await until(sales)
        assert (sale["registration_id"], sale["stage"]) == (story.deal_id, "prospect")
        assert [(line["if_won"], line["expected"]) for line in sale["lines"]] == [("2000.00", "200.00")]
        async with portal_of(it, finn) as finance:
            shown = (await finance.get("/forecast")).text
            assert "An estimate." in shown
            assert shown.index("€2,000.00") < shown.index("€200.00")
            assert 'href="/forecast"' in (await finance.get("/owed")).text
        async with portal_of(it, await it.who("northwind")) as partner:
            ahead = (await partner.get("/estimate")).text.partition("What your open deals would pay")[2]
            assert f'href="/deals/{story.deal_id}"' in ahead
            assert "€2,000.00" in ahead
            assert "€200.00" not in ahead


async def estimated(partner: httpx.AsyncClient) -> None:
    """10 % of 10,000 and 20 % of another 10,000: 3,000."""
    said = await sent(partner, "/estimate", "/estimate", amount="20000", closes_on="2031-05-20", currency="EUR")
    assert "€3,000.00" in said.text
    assert "Band 2:" in said.text


async def put_in_the_shadow(admin: httpx.AsyncClient, approver: httpx.AsyncClient, deal_id: str) -> None:
    """The next version of the standard plan is tried as a draft, published in the shadow, and looked at."""
    page = "/rules/incentives/standard"
    schedule = {"semantics": "marginal", "bands": [{"percent": "25"}]}
    body = {"kind": "commission", "name": "A quarter of all", "currency": "EUR", "schedule": schedule}
    kept = await sent(admin, page, f"{page}/draft", trigger=f"{page}/try", kind="plan", body=json.dumps(body))
    assert "Draft of version 2" in kept.text
    assert 'href="/backtests?plan=standard%202"' in kept.text
    offered = await approver.get("/backtests?plan=standard%202")
    assert re.search(r'"standard 2" selected>\s*Standard, draft of version 2\s*</option>', offered.text)
    span = {"since": "2031-01-01", "until": "2031-12-31"}
    tried = await finished(approver, await sent(approver, "/backtests", "/backtests", plan="standard 2", **span))
    assert f'href="/deals/{deal_id}"' in tried.text.partition("Sales that change")[2]
    published = await sent(approver, page, f"{page}/publish", mode="shadow")
    assert "In the shadow" in published.text
    found = await finished(approver, await approver.get("/shadow/standard"))
    assert "“A quarter of all” would have paid" in found.text
    assert "it pays nothing" in found.text
    assert "No sale is covered yet" in found.text
    listed = await approver.get("/backtests")
    assert 'href="/shadow/standard"' in listed.text


async def finished(client: httpx.AsyncClient, answer: httpx.Response) -> httpx.Response:
    """The page once it no longer asks again by itself."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "asks again by itself" in answer.text:
            await asyncio.sleep(0.05)
            answer = await client.get(str(answer.url))
    return answer


async def backtested(approver: httpx.AsyncClient) -> None:
    span = {"since": "2031-01-01", "until": "2031-12-31"}
    tried = await finished(approver, await sent(approver, "/backtests", "/backtests", plan="standard 1", **span))
    assert "The same backtest gives the same digest" in tried.text
    assert "Northwind Partners" in tried.text
