"""Tuesdays and Thursdays: partners register, correct and take back; the deal desk decides, mostly on the same day.

Nobody remembers anything: each day begins with what the API says, so a day that was cut off can be done again.
"""

from collections.abc import Callable
from datetime import date
from http import HTTPStatus
from typing import Any

from services import first_run
from services.demo.calendar import DEALS, FRIDAY, Quarter
from services.demo.office import Office, Told
from services.demo.story import WEEKS, WEEKS_AFTER, Deal, Fate, Tie

APPROVALS_MAX = 4
LATER_EACH = 3
"""Every third deal waits for the desk until Thursday."""
CORRECTED_PERCENT = 110
VERDICTS = ("different", "related")
CONFLICT, STALE = HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED

# Partners


async def partners_day(quarter: Quarter, week: int, told: Told) -> None:
    """Partners register, correct what the desk returned, and take back what came to nothing."""
    office = quarter.office
    await quarter.office.side_by_side(_register(quarter, deal, told) for deal in quarter.story.of_week(week))
    for row in await office.rows("ada", f"{DEALS}?status=action_required"):
        deal = quarter.known.get(row["registration_id"])
        if deal and deal.fate is Fate.CORRECTED:
            await _correct(quarter, row, deal)
    for row in await office.rows("ada", f"{DEALS}?status=in_review"):
        deal = quarter.known.get(row["registration_id"])
        if deal and deal.fate is Fate.WITHDRAWN:
            path = f"{DEALS}/{row['registration_id']}/withdraw"
            await office.do(row["partner_id"], path, {"reason_code": "customer-postponed"}, key=f"back-{deal.number}")
    await office.quiet()


async def _register(quarter: Quarter, deal: Deal, told: Told) -> None:
    partner_id = quarter.ids[deal.partner.name]
    body = _wish(deal, quarter.day(deal.closes, FRIDAY))
    answer = await quarter.office.do(partner_id, DEALS, body, key=f"deal-{deal.number}")
    quarter.known[answer.json()["registration_id"]] = deal
    told()


def _wish(deal: Deal, close_on: date) -> dict[str, Any]:
    customer = deal.customer
    return {
        "customer": {
            "name": customer.name,
            "country": customer.country.code,
            "region": customer.country.region,
            "website": f"www.{customer.domain}",
            "street": customer.street,
            "postcode": customer.postcode,
        },
        "products": [{"family": deal.family, "quantity": deal.units}],
        "amount": _money(deal.amount),
        "role": deal.role,
        "close_on": close_on.isoformat(),
    }


def _money(amount: int) -> dict[str, str]:
    return {"amount": f"{amount}.00", "currency": first_run.CURRENCY}


async def _correct(quarter: Quarter, row: dict[str, Any], deal: Deal) -> None:
    body = {"amount": _money(deal.amount * CORRECTED_PERCENT // 100)}
    path = f"{DEALS}/{row['registration_id']}/resubmit"
    await quarter.office.do(row["partner_id"], path, body, key=f"again-{deal.number}")


# The deal desk


async def desk_afternoon(quarter: Quarter, week: int) -> None:
    """The desk decides two of three of what came in the morning."""
    await _decide(quarter, week, lambda deal: deal.week == week and deal.number % LATER_EACH != 0)


async def desk_day(quarter: Quarter, week: int) -> None:
    """The desk decides what is in review; in the quarter's last week it does not get to all of it."""
    await _decide(quarter, week, lambda _: True)


async def _decide(quarter: Quarter, week: int, due: Callable[[Deal], bool]) -> None:
    rows = await quarter.office.rows("dora", f"{DEALS}?status=in_review&sort=submitted_at")
    known = [(row["registration_id"], quarter.known.get(row["registration_id"])) for row in rows]
    await quarter.office.side_by_side(_review(quarter, week, one, deal) for one, deal in known if deal and due(deal))


async def _review(quarter: Quarter, week: int, registration_id: str, deal: Deal) -> None:
    desk = "dora" if deal.number % 2 else "dirk"
    mine, office = f"{DEALS}/{registration_id}", quarter.office
    match deal.fate:
        case Fate.FRESH | Fate.WITHDRAWN:
            return
        case Fate.RETURNED if week < WEEKS + WEEKS_AFTER:
            return  # so late that the partner's time to correct is not over when the story ends
        case Fate.REJECTED:
            code = "already-bought" if deal.tie is Tie.SAME else "no-fit"
            body = {"reason_code": code, "message": "Thank you for the registration; we cannot protect this one."}
            await office.do(desk, f"{mine}/reject", body, key=f"reject-{deal.number}")
        case Fate.RETURNED:
            await _return(office, desk, mine, deal)
        case Fate.CORRECTED if deal.week == week:
            await _return(office, desk, mine, deal)
        case _:
            await _approve(office, desk, mine, f"{deal.number}-{week}")


async def _return(office: Office, desk: str, mine: str, deal: Deal) -> None:
    body = {"fields": ["amount"], "message": "Please name the amount of the first year only."}
    await office.do(desk, f"{mine}/return", body, key=f"return-{deal.number}")


async def _approve(office: Office, desk: str, mine: str, name: str) -> None:
    """Approves; first decides on customers that resemble this one, and looks again at what is new."""
    for attempt in range(APPROVALS_MAX):
        key = f"approve-{name}-{attempt}"
        answer = await office.do(desk, f"{mine}/approve", key=key, also=(CONFLICT, STALE))
        if answer.ok:
            return
        for place, account_id in enumerate(answer.json().get("accounts", ())):
            verdict = VERDICTS[place % len(VERDICTS)]
            body = {"account_id": account_id, "verdict": verdict, "reason": "The partner has confirmed it by phone."}
            key = f"finding-{name}-{attempt}-{place}"
            await office.do(desk, f"{mine}/decide-finding", body, key=key)
