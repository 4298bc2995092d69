"""Everybody joins: more of the vendor's staff, a second plan and one in the shadow, and the partners with their owners."""

from services import first_run
from services.demo.office import Office, Told
from services.demo.story import Partner, Standing, Story
from services.first_run import TENANT, Colleague, FirstPartner, Rules

STAFF = (Colleague("dirk", "Dirk Desk", ("deal_desk",)),)
BONUS = Rules(
    "incentives",
    "plan",
    "growth-bonus",
    {
        "kind": "commission",
        "name": "Quarterly growth bonus",
        "component": "growth bonus",
        "currency": first_run.CURRENCY,
        "accumulate": "quarter",
        "schedule": {
            "semantics": "marginal",
            "bands": [{"up_to": "50000", "percent": "1"}, {"up_to": "150000", "percent": "2"}, {"percent": "3"}],
        },
        "hold_days": 7,
    },
)
"""Pays on top of the standard plan, more the more a partner has sold in the quarter, and a week after the sale."""

FLAT_RATE = Rules(
    "incentives",
    "plan",
    "flat-rate",
    {
        "kind": "commission",
        "name": "One rate for everybody",
        "currency": first_run.CURRENCY,
        "schedule": {"semantics": "marginal", "bands": [{"percent": "12"}]},
    },
    mode="shadow",
)
"""Pays nothing: it is watched beside the standard plan, whose place it would take."""


async def join(office: Office, story: Story, told: Told) -> None:
    """Staff, the plan and the partners, each once; `told` after each partner."""
    ada, faye = await office.who("ada"), await office.who("faye")
    for one in STAFF:
        await first_run.done(ada.post("/v1/staff", first_run.colleague(one), key=f"demo-{one.handle}"))
    await first_run.publish(ada, faye, BONUS, key="demo-growth-bonus")
    await first_run.publish(ada, faye, FLAT_RATE, key="demo-flat-rate")
    new = list(enumerate(story.partners))[len(first_run.PARTNERS) :]
    await office.side_by_side(_joins(office, partner, place, told) for place, partner in new)
    await office.quiet()
    await _decline(office, story)


async def _joins(office: Office, partner: Partner, place: int, told: Told) -> None:
    if partner.sells:
        known = FirstPartner(partner.name, partner.country.code, partner.domain, partner.owner, (partner.type,))
        await first_run.add_partner(await office.who("ada"), known, key=office.key(f"partner-{place}"))
    else:
        await _applies(office, partner, place)
    told()


async def _applies(office: Office, partner: Partner, place: int) -> None:
    """Asks from outside, without a sign-in, to become a partner."""
    body = {
        "legal_name": partner.name,
        "country": partner.country.code,
        "domains": [partner.domain],
        "types": [partner.type],
        "source": "web",
    }
    key = office.key(f"applies-{place}")
    await first_run.done(office.front.post("/v1/onboarding/applications", body, key=key, entente_tenant=TENANT))


async def _decline(office: Office, story: Story) -> None:
    """The channel manager says no to some who asked; the others wait."""
    unwanted = {partner.name for partner in story.partners if partner.standing is Standing.DECLINED}
    for row in await office.rows("cara", "/v1/onboarding/partners?status=review"):
        if row["profile"]["legal_name"] in unwanted:
            partner_id = row["partner_id"]
            path = f"/v1/onboarding/partners/{partner_id}/decline"
            await office.do("cara", path, {"reason_code": "no-fit"}, key=f"decline-{partner_id}")


async def suspend(office: Office, story: Story, ids: dict[str, str]) -> None:
    """Some partners may open no new business, or are paid nothing, until they are reinstated."""
    for place, partner in enumerate(story.partners):
        if partner.sells and partner.standing is not Standing.ACTIVE:
            path = f"/v1/onboarding/partners/{ids[partner.name]}/suspend"
            body = {"scopes": [partner.standing.value], "reason_code": "documents-missing"}
            await office.do("cara", path, body, key=f"suspend-{place}")
