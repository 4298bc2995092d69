"""Joint marketing: the fund's year is shared out, partners ask for money for an event, and claim it afterwards."""

from hashlib import sha256
from typing import Any

from services import first_run
from services.demo.calendar import THURSDAY, Quarter
from services.demo.story import Partner

FUNDS, REQUESTS, CLAIMS = (f"/v1/incentives/{name}" for name in ("funds", "fund-requests", "claims"))
FUND, POOL, SHARE = "marketing", "60000.00", "8000.00"
GIVEN_WEEK, EVENT_WEEK, CLAIMED_WEEK = 1, 3, 5
COSTS = (("Room and technology", "2400.00"), ("Catering", "1100.00"), ("Printed invitations", "600.00"))
TAKING_PART = 4


def _asking(quarter: Quarter) -> tuple[Partner, ...]:
    return quarter.story.sellers[:TAKING_PART]


async def funds_day(quarter: Quarter, week: int) -> None:
    """What happens with the fund on the Thursday of a week."""
    if week == GIVEN_WEEK:
        await _give(quarter)
    elif week == CLAIMED_WEEK:
        await _claim(quarter)


def _period(quarter: Quarter) -> str:
    return f"{quarter.day(EVENT_WEEK, THURSDAY):%Y}"


async def _give(quarter: Quarter) -> None:
    """The fund has a budget for the year; some partners get a share of it and ask for money for an event."""
    office, period = quarter.office, _period(quarter)
    pool = {"ref": "year", "amount": POOL, "currency": first_run.CURRENCY}
    await office.do("faye", f"/v1/incentives/budgets/{FUND}-{period}/allocate", pool, key="fund-year")
    for place, partner in enumerate(_asking(quarter)):
        partner_id = quarter.ids[partner.name]
        share = {"partner_id": partner_id, "period": period, "ref": "year", "amount": _money(SHARE)}
        await office.do("faye", f"{FUNDS}/{FUND}/allocate", share, key=f"share-{place}")
        await _ask(quarter, partner_id, place)


async def _ask(quarter: Quarter, partner_id: str, place: int) -> None:
    """One request is accepted as it is, one with a change, one waits, one is returned, and so on."""
    office, day = quarter.office, quarter.day(EVENT_WEEK, THURSDAY).isoformat()
    body = {
        "fund_id": FUND,
        "period": _period(quarter),
        "activity_type": "event",
        "starts_on": day,
        "ends_on": day,
        "items": [{"text": text, "amount": _money(amount)} for text, amount in COSTS],
        "expected_leads": 20 + place,
    }
    asked = await office.do(partner_id, REQUESTS, body, key=f"fund-ask-{place}")
    path = f"{REQUESTS}/{asked.json()['fund_request_id']}"
    await office.do(partner_id, f"{path}/submit", key=f"fund-submit-{place}")
    decision = DECISIONS[place % len(DECISIONS)]
    if decision:
        await office.do("faye", f"{path}/decide", {"items": decision}, key=f"fund-decide-{place}")


def _money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": first_run.CURRENCY}


AS_IS: dict[str, Any] = {"outcome": "accepted_as_is"}
LESS = {"outcome": "accepted_with_changes", "amount": _money("300.00"), "reason": "Half of them go out by mail."}
UNCLEAR = {"outcome": "returned", "reason": "Please name the caterer."}
DECISIONS: tuple[list[dict[str, Any]], ...] = ([AS_IS, AS_IS, AS_IS], [AS_IS, AS_IS, LESS], [], [AS_IS, UNCLEAR, AS_IS])


async def _claim(quarter: Quarter) -> None:
    """After the event it is claimed with its proofs. The first claim is approved, less what was not eligible."""
    for place, partner in enumerate(_asking(quarter)):
        partner_id = quarter.ids[partner.name]
        for request in await quarter.office.rows(partner_id, f"{REQUESTS}?state=accepted"):
            await _claim_of(quarter, partner_id, request, place)


async def _claim_of(quarter: Quarter, partner_id: str, request: dict[str, Any], place: int) -> None:
    office, accepted = quarter.office, request["accepted"]
    proofs = [
        {
            "kind": kind,
            "proof_sha256": sha256(f"{office.story}-{place}-{kind}".encode()).hexdigest(),
            "issuer": "Hall and Kitchen Ltd",
            "number": f"{place + 1}-{number}",
            "amount": accepted,
            "issued_on": request["details"]["ends_on"],
        }
        for number, kind in enumerate(request["proofs"])
    ]
    body = {
        "kind": "fund",
        "of_id": request["fund_request_id"],
        "items": [{"text": "The event, all costs", "amount": accepted}],
        "proofs": proofs,
    }
    claimed = await office.do(partner_id, CLAIMS, body, key=f"claim-{place}")
    path = f"{CLAIMS}/{claimed.json()['claim_id']}"
    await office.do(partner_id, f"{path}/submit", key=f"claim-submit-{place}")
    if place == 0:
        verdict = {"outcome": "approved", "eligible": _money("3900.00"), "reason": "Drinks are not eligible."}
        await office.do("faye", f"{path}/decide", verdict, key=f"claim-decide-{place}")
