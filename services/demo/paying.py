"""Once a month, on a Thursday: finance states the month before, pays it with four eyes, and closes it.

Some payees hand in their papers before; one changes its bank details in the last week, and waits.
"""

from datetime import date, timedelta
from http import HTTPStatus
from typing import Any

from chassis.event import sha256
from services import first_run
from services.demo.calendar import THURSDAY, Quarter
from services.demo.office import until
from services.demo.story import WEEKS, WEEKS_AFTER

STATEMENTS, PAYMENTS = "/v1/incentives/statements", "/v1/incentives/payments"
LINES, BOOKS, PAYEES = "/v1/incentives/lines", "/v1/incentives/books", "/v1/incentives/payees"
PAPERS_WEEK, PAPERS_MAX = 2, 3
FIRST_ACCOUNT, COUNTRY_DIGITS = 500_105_170_000_010_000, "1314"
"""Account numbers of nobody, and the letters DE in the digits that the check of an IBAN takes them for."""
FIRST_DAY, LAST_DAY = 2, 8
"""The days of a month on one of which there is the Thursday that closes the month before."""
UNAPPROVED_EVERY, UNSENT_EVERY = 4, 5
POSTPONED_MAX, POSTPONED_DAYS = 3, 60


def month_to_close(quarter: Quarter, today: date) -> str | None:
    """The month before, on the first Thursday after its last day; None on other days and for months before the story."""
    last = today.replace(day=1) - timedelta(days=1)
    due = FIRST_DAY <= today.day <= LAST_DAY and last > quarter.begins
    return f"{last:%Y-%m}" if due else None


async def finance_day(quarter: Quarter, period: str) -> None:
    """States the month of every partner that earns, and pays it with four eyes. The last month is still under way."""
    office = quarter.office
    await until(lambda: _released(quarter))
    await _postpone(quarter, period)
    owed = await _owed(quarter, period)
    payees = [(place, quarter.ids[partner.name]) for place, partner in enumerate(quarter.story.sellers)]
    last = period == quarter.last_period
    await quarter.office.side_by_side(
        _pay(quarter, payee, period, place if last else 0) for place, payee in payees if payee in owed
    )
    await office.do("faye", f"{BOOKS}/{period}/close", key=f"close-{period}")
    await office.quiet()


async def papers_day(quarter: Quarter, week: int) -> None:
    """In the second week some payees enter bank details and tax forms, which finance settles; in the last one changes."""
    payees = [quarter.ids[partner.name] for partner in quarter.story.sellers]
    if week == PAPERS_WEEK:
        for place, payee in enumerate(payees[:PAPERS_MAX]):
            await _bank(quarter, payee, place, verified=True)
            await _tax(quarter, payee, place)
    if week == WEEKS + WEEKS_AFTER:
        await _bank(quarter, payees[1], PAPERS_MAX, verified=False)


async def _bank(quarter: Quarter, payee: str, place: int, *, verified: bool) -> None:
    office, path = quarter.office, f"{PAYEES}/{payee}/bank"
    number = f"{FIRST_ACCOUNT + place:018}"
    check = 98 - int(f"{number}{COUNTRY_DIGITS}00") % 97
    body = {"iban": f"DE{check:02}{number}", "holder": "Accounts department"}
    await office.do(payee, path, body, key=f"bank-{place}", method="PUT")
    if verified:
        bank = (await office.read("finn", f"{PAYEES}/{payee}"))["bank"]["bank_id"]
        await office.do("faye", f"{path}/verify", {"bank_id": bank}, key=f"bank-yes-{place}")


async def _tax(quarter: Quarter, payee: str, place: int) -> None:
    """The last of the forms still waits for finance."""
    office, path = quarter.office, f"{PAYEES}/{payee}/tax"
    year = quarter.day(WEEKS, THURSDAY).year
    body = {"form": "W-8BEN-E", "jurisdiction": "US", "tax_year": year, "form_sha256": sha256(payee.encode())}
    await office.do(payee, path, body, key=f"tax-{place}", method="PUT")
    forms = (await office.read("finn", f"{PAYEES}/{payee}"))["tax_forms"]
    if place + 1 < PAPERS_MAX:
        await office.do("finn", f"{path}/{forms[0]['form_id']}/decide", {"outcome": "accepted"}, key=f"tax-yes-{place}")


async def _owed(quarter: Quarter, period: str) -> set[str]:
    """Whom something became payable by the end of the month: the others have nothing to be stated."""
    lines = await quarter.office.rows("finn", f"{LINES}?state=payable")
    return {line["payee_id"] for line in lines if line["payable_on"][: len(period)] <= period}


async def _released(quarter: Quarter) -> bool:
    """Whether every line whose hold is over has become payable."""
    today = (await quarter.office.now()).date().isoformat()
    held = await quarter.office.rows("finn", f"{LINES}?state=held")
    return all(line["payable_on"] > today for line in held)


async def _postpone(quarter: Quarter, period: str) -> None:
    """Holds the lines of a few deals longer."""
    until_day = (await quarter.office.now()).date() + timedelta(days=POSTPONED_DAYS)
    body = {"until": until_day.isoformat(), "reason": "The customer has not confirmed the delivery yet."}
    held = await quarter.office.rows("finn", f"{LINES}?state=held")
    known = [line for line in held if line["registration_id"] in quarter.known]
    for place, line in enumerate(sorted(known, key=lambda line: _order(quarter, line))[:POSTPONED_MAX]):
        await quarter.office.do("finn", f"{LINES}/{line['line_id']}/postpone", body, key=f"later-{period}-{place}")


def _order(quarter: Quarter, line: dict[str, Any]) -> tuple[Any, ...]:
    """Ids differ from installation to installation; so that a seed is one story, lines go by what they say."""
    return quarter.known[line["registration_id"]].number, line["component"], line["amount"]["amount"]


async def _pay(quarter: Quarter, payee: str, period: str, place: int) -> None:
    """`place` 0 is paid at once; of the others some payments still wait for approval, some for being sent."""
    office = quarter.office
    month = {"partner_id": payee, "period": period, "currency": first_run.CURRENCY}
    issued = await office.do("finn", STATEMENTS, month, key=f"{period}-{payee}")
    statement_id = issued.json()["statement_id"]
    wish = {"statement_id": statement_id}
    proposed = await office.do("finn", PAYMENTS, wish, key=f"pay-{statement_id}", also=(HTTPStatus.CONFLICT,))
    if not proposed.ok or place % UNAPPROVED_EVERY == 1:
        return
    payment_id = proposed.json()["payment_id"]
    approved = await office.do("faye", f"{PAYMENTS}/{payment_id}/approve", key=f"yes-{payment_id}")
    if approved.json()["state"] == "approved" and place % UNSENT_EVERY != 1:
        await _send(quarter, payment_id)


async def _send(quarter: Quarter, payment_id: str) -> None:
    await quarter.office.do("finn", f"{PAYMENTS}/{payment_id}/submit", key=f"send-{payment_id}")

    async def paid() -> bool:
        return bool((await quarter.office.read("finn", f"{PAYMENTS}/{payment_id}"))["state"] == "paid")

    await until(paid)
