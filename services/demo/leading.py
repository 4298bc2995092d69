"""Tuesdays: leads come in, and partners take them or not. Thursdays they say how far they have come."""

from datetime import datetime
from random import Random
from typing import Any

from services.demo.calendar import Quarter
from services.demo.names import COUNTRIES, Company, Names
from services.demo.office import until
from services.demo.story import WEEKS, WEEKS_AFTER

LEADS = "/v1/registration/leads"
A_WEEK = 2
NEEDS = (
    "We grow, and look for one platform for all of our sites.",
    "Our contract ends this year: we compare what there is.",
    "An audit asked for better security; we need help with it.",
)
SIZES = ("10-49", "50-249", "250-999")
DECLINED_EACH, LOST_EACH, DAYS_OF_A_WEEK = 4, 3, 7
STEPS = ("contacted", "meeting", "qualified", "negotiation")


async def leads_day(quarter: Quarter, week: int) -> None:
    """New leads are routed, and whoever has one on offer answers."""
    office = quarter.office
    await quarter.office.side_by_side(
        _bring(quarter, week, place, company) for place, company in enumerate(_companies(quarter, week))
    )
    await until(lambda: leads_settled(quarter))
    offered = await office.rows("dora", f"{LEADS}?status=offered&sort=submitted_at")
    await quarter.office.side_by_side(_answer(quarter, row) for row in offered)


async def leads_settled(quarter: Quarter) -> bool:
    """Whether every lead is where it stays for now: none looks for a partner, and no time is over."""
    now = await quarter.office.now()
    rows = await quarter.office.rows("dora", LEADS)
    over = [row for row in rows if row["due_at"] and datetime.fromisoformat(row["due_at"]) <= now]
    return not over and not any(row["status"] == "open" for row in rows)


async def words_day(quarter: Quarter, week: int) -> None:
    """Whoever has a lead tells of it, or that it came to nothing."""
    known = await quarter.office.rows("dora", f"{LEADS}?status=accepted&sort=submitted_at")
    await quarter.office.side_by_side(_pursue(quarter, week, row) for row in known)


def _companies(quarter: Quarter, week: int) -> list[Company]:
    """Who asks in this week: the same for a story, and nobody whom a deal of it is about."""
    draw = Random(f"leads {quarter.office.story}")  # noqa: S311
    names, deals = Names(draw), {deal.customer.word for deal in quarter.story.deals}
    asking: list[Company] = []
    while len(asking) < A_WEEK * (WEEKS + WEEKS_AFTER):
        company = names.company(draw.choice(COUNTRIES))
        asking += [] if company.word in deals else [company]
    return asking[A_WEEK * (week - 1) : A_WEEK * week]


async def _bring(quarter: Quarter, week: int, place: int, company: Company) -> None:
    number = A_WEEK * week + place
    person = {"name": f"Alex {company.word.capitalize()}", "email": f"alex@{company.domain}", "consent": True}
    body = {
        "company": {
            "name": company.name,
            "country": company.country.code,
            "region": company.country.region,
            "website": f"www.{company.domain}",
            "size": SIZES[number % len(SIZES)],
        },
        "contact": person,
        "need": NEEDS[number % len(NEEDS)],
        "source": "event" if place else "website",
    }
    await quarter.office.do("cara", LEADS, body, key=f"lead-{number}")


async def _answer(quarter: Quarter, row: dict[str, Any]) -> None:
    """Most are accepted at once; one in a few is declined, and goes on to the next."""
    number, round_ = _place(quarter, row), row["round"]
    partner_id, path = row["offers"][-1]["partner_id"], f"{LEADS}/{row['lead_id']}"
    if (number + round_) % DECLINED_EACH == 0:
        body = {"reason_code": "no-capacity"}
        await quarter.office.do(partner_id, f"{path}/decline", body, key=f"no-{number}-{round_}")
    else:
        await quarter.office.do(partner_id, f"{path}/accept", key=f"yes-{number}-{round_}")


async def _pursue(quarter: Quarter, week: int, row: dict[str, Any]) -> None:
    """A word a week, until it is at the table or came to nothing."""
    number, path, partner_id = _place(quarter, row), f"{LEADS}/{row['lead_id']}", row["partner_id"]
    step = STEPS[min(week - number // A_WEEK, len(STEPS) - 1)]
    if step == STEPS[-1] and number % LOST_EACH == 0:
        await quarter.office.do(partner_id, f"{path}/close", {"reason_code": "lost"}, key=f"lost-{number}")
    else:
        await quarter.office.do(partner_id, f"{path}/report", {"step": step}, key=f"word-{number}-{week}")


def _place(quarter: Quarter, row: dict[str, Any]) -> int:
    """The number of a lead in the story: by the week in which it came, and its source."""
    came = datetime.fromisoformat(row["submitted_at"]).date()
    week = 1 + (came - quarter.begins).days // DAYS_OF_A_WEEK
    return A_WEEK * week + int(row["source"] == "event")
