"""A believable state of one vendor, made through the public API: deals at every point of their way, money in every state."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from tests.browser.running import Running, until

DEALS, LEADS = "/v1/registration/deals", "/v1/registration/leads"
MONEY = "/v1/incentives"
NORTH, SOUTH = "northwind", "southbridge"


@dataclass(frozen=True)
class Customer:
    """A customer whom a partner registers."""

    name: str
    country: str
    website: str
    amount: str
    families: tuple[str, ...] = ("platform",)


HALDEN = Customer("Halden Logistics AS", "NO", "halden-logistics.no", "84000.00", ("platform", "analytics"))
BRUNNER = Customer("Brunner Pumpen GmbH", "DE", "brunner-pumpen.de", "36500.00")
MARCHETTI = Customer("Marchetti Ceramiche SpA", "IT", "marchetti-ceramiche.it", "52000.00", ("platform", "security"))
KESTREL = Customer("Kestrel Foods Ltd", "GB", "kestrelfoods.co.uk", "18200.00", ("analytics",))
OSTSEE = Customer("Ostsee Werften AG", "DE", "ostsee-werften.de", "127000.00", ("platform", "security"))
LUMIERE = Customer("Lumière Optique SARL", "FR", "lumiere-optique.fr", "24900.00", ("security",))
VANTAGE = Customer("Vantage Rail plc", "GB", "vantagerail.co.uk", "61000.00")
ALMENDRO = Customer("Grupo Almendro SA", "ES", "grupoalmendro.es", "43300.00", ("analytics",))
NORDLICHT = Customer("Nordlicht Energie GmbH", "DE", "nordlicht-energie.de", "95000.00")
NORDLICHT_TWIN = Customer("Nordlicht Energie GmbH", "DE", "nordlicht-service.de", "30500.00")
TERRAZZO = Customer("Terrazzo Studio BV", "NL", "terrazzostudio.nl", "9800.00", ("analytics",))


@dataclass
class State:
    """The ids of what was made, by the name of the customer."""

    deals: dict[str, str] = field(default_factory=dict)
    leads: dict[str, str] = field(default_factory=dict)


def believable(it: Running) -> State:
    """A month and a half of two partners: won, refunded, paid, protected, in conflict, waiting, returned, rejected."""
    state = State()
    _first_month(it, state)
    _paid(it, state)
    _second_month(it, state)
    _leads(it, state)
    _to_be_read(it, state)
    return state


def _to_be_read(it: Running, state: State) -> None:
    """Waits until every deal can be read as it was left."""
    dora, rejected = it.who("dora"), state.deals[TERRAZZO.website]

    def standing() -> bool:
        found = {one: dora.look(f"{DEALS}/{one}") for one in state.deals.values()}
        return all(found.values()) and found[rejected]["board"]["status"] == "rejected"

    until(standing)


def register(it: Running, partner: str, wanted: Customer, close_days: int = 60, **more: Any) -> str:
    """Registers a deal; its id."""
    now = date.fromisoformat(it.anyone.get("/dev/clock")["now"][:10])
    body = {
        "customer": {"name": wanted.name, "country": wanted.country, "website": wanted.website},
        "products": [{"family": family} for family in wanted.families],
        "amount": {"amount": wanted.amount, "currency": "EUR"},
        "close_on": (now + timedelta(days=close_days)).isoformat(),
        **more,
    }
    said = it.who(partner).post(DEALS, body)
    registration_id: str = said["registration_id"]
    return registration_id


def approve(it: Running, registration_id: str) -> None:
    it.who("dora").post(f"{DEALS}/{registration_id}/approve")


def in_crm(it: Running, registration_id: str) -> str:
    """The id that the CRM gave the deal, once it stands there."""

    def found() -> Any:
        rows = it.crm.get("/sim/deals")["results"]
        ids = [one["id"] for one in rows if one["properties"].get("entente_registration_id") == registration_id]
        return ids[0] if ids else ""

    identity: str = until(found)
    return identity


def win(it: Running, registration_id: str) -> None:
    """Wins the deal in the CRM, and returns once it was earned."""
    it.crm.post(f"/sim/deals/{in_crm(it, registration_id)}/win")
    finn = it.who("finn")
    until(lambda: finn.get(f"{MONEY}/lines?registration_id={registration_id}")["items"])


def refund(it: Running, registration_id: str, amount: str) -> None:
    """Gives the customer money back in the CRM, and returns once the earning was reversed."""
    it.crm.post(f"/sim/deals/{in_crm(it, registration_id)}/refund", {"amount": amount})
    finn = it.who("finn")

    def reversed_() -> bool:
        lines = finn.get(f"{MONEY}/lines?registration_id={registration_id}")["items"]
        return any(float(line["reversed"]["amount"]) for line in lines)

    until(reversed_)


def move(it: Running, registration_id: str, stage: str) -> None:
    it.crm.post(f"/sim/deals/{in_crm(it, registration_id)}/move", {"stage": stage})


def _first_month(it: Running, state: State) -> None:
    made = state.deals
    for partner, customer in ((NORTH, BRUNNER), (SOUTH, LUMIERE), (NORTH, KESTREL)):
        made[customer.name] = register(it, partner, customer)
        it.forward(hours=5)
    for customer in (BRUNNER, LUMIERE, KESTREL):
        approve(it, made[customer.name])
    it.forward(days=3)
    win(it, made[BRUNNER.name])
    win(it, made[LUMIERE.name])
    it.forward(days=1)
    refund(it, made[BRUNNER.name], "6500.00")
    it.crm.post(f"/sim/deals/{in_crm(it, made[KESTREL.name])}/lose")


def _paid(it: Running, state: State) -> None:
    """The hold ends, and when that month is over, Northwind gets its statement and its money."""
    it.forward(days=34)
    period = it.anyone.get("/dev/clock")["now"][:7]
    line = payable(it, state.deals[BRUNNER.name])
    it.forward(days=31)
    finn = it.who("finn")
    wish = {"partner_id": line["partner_id"], "period": period, "currency": "EUR"}
    statement = finn.post(f"{MONEY}/statements", wish)
    payment = finn.post(f"{MONEY}/payments", {"statement_id": statement["statement_id"]})["payment_id"]
    it.who("faye").post(f"{MONEY}/payments/{payment}/approve")
    finn.post(f"{MONEY}/payments/{payment}/submit")
    until(lambda: (finn.look(f"{MONEY}/payments/{payment}") or {}).get("state") == "paid")


def payable(it: Running, registration_id: str) -> Any:
    """The line that the deal earned, once it is payable."""
    finn = it.who("finn")

    def released() -> Any:
        line = finn.get(f"{MONEY}/lines?registration_id={registration_id}")["items"][0]
        return line if line["state"] == "payable" else None

    return until(released)


def _second_month(it: Running, state: State) -> None:
    made = state.deals
    for partner, customer in ((NORTH, HALDEN), (SOUTH, MARCHETTI), (NORTH, OSTSEE), (SOUTH, VANTAGE)):
        made[customer.name] = register(it, partner, customer)
        it.forward(hours=7)
    for customer in (HALDEN, MARCHETTI, OSTSEE):
        approve(it, made[customer.name])
    it.who("dora").post(f"{DEALS}/{made[VANTAGE.name]}/return", RETURN)
    made["Halden, rival"] = register(it, SOUTH, HALDEN)
    it.forward(days=2)
    move(it, made[OSTSEE.name], "decisionmakerboughtin")
    move(it, made[MARCHETTI.name], "qualifiedtobuy")
    win(it, made[HALDEN.name])
    for partner, customer in ((NORTH, NORDLICHT), (SOUTH, NORDLICHT_TWIN), (NORTH, ALMENDRO), (SOUTH, TERRAZZO)):
        made[customer.website] = register(it, partner, customer)
        it.forward(hours=3)
    it.who("dora").post(f"{DEALS}/{made[TERRAZZO.website]}/reject", REJECT)
    made["Ostsee, rival"] = register(it, SOUTH, OSTSEE)


def _leads(it: Running, state: State) -> None:
    """One that a partner has accepted, one that the other has on offer, one held back, one that a partner brought."""
    first = offered(it, state, "Falkenberg Textil", "DE")
    it.who(first).post(f"{LEADS}/{state.leads['Falkenberg Textil']}/accept")
    offered(it, state, "Calanque Marine", "FR")
    state.leads["Held"] = _lead(it, SOUTH, "Blanca Ortiz", "ES", "blanca.ortiz@gmail.com")
    state.leads["Brought"] = _lead(it, NORTH, "Moorland Dairy", "GB")


def offered(it: Running, state: State, name: str, country: str) -> str:
    """Brings a lead for partners; who has it on offer."""
    lead_id = state.leads[name] = _lead(it, "dora", name, country)

    def whom() -> Any:
        rows = it.who("dora").get(f"{LEADS}?status=offered&limit=200")["items"]
        return next((row["offers"][0]["partner_id"] for row in rows if row["lead_id"] == lead_id), "")

    partner_id = until(whom)
    return next(who for who in (NORTH, SOUTH) if it.who(who).get("/v1/me")["partner_id"] == partner_id)


def _lead(it: Running, who: str, name: str, country: str, email: str = "") -> str:
    """Brings a lead; its id."""
    word = name.split(maxsplit=1)[0].lower()
    contact = {
        "name": f"Alex {name.rsplit(maxsplit=1)[-1]}",
        "email": email or f"alex@{word}.{country.lower()}",
        "consent": True,
    }
    body = {
        "company": {"name": name, "country": country, "website": f"www.{word}.{country.lower()}", "size": "50-249"},
        "contact": contact,
        "need": f"{name} wants to see analytics for its two sites; call alex@{word}.{country.lower()}.",
        "families": ["analytics"],
        "source": "event",
    }
    lead_id: str = it.who(who).post(LEADS, body)["lead_id"]
    return lead_id


RETURN = {"fields": ["amount", "close_on"], "message": "Does the amount include the two depots in Leeds?"}
REJECT = {"reason_code": "existing-customer", "message": "Terrazzo Studio has been our direct customer since 2024."}
