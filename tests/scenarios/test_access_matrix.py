"""Who gets what from every route: one row a route, and a route without a row fails.

Each route is asked by everybody, for something of a partner's and for the same that never was. Who may gets it. Who has
the role but not the partner or the tenant gets, byte for byte, what is answered for what never was. Commands carry the
version of something else, so that those who may are let in and nothing is changed.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
import pytest
import pytest_asyncio

from chassis.asgi import Answer, Api
from contracts.catalogue import SERVICES
from tests.scenarios.browser import browser
from tests.scenarios.cast import PARTNER, VENDOR, cast, joined
from tests.scenarios.main_job import deal, main_job
from tests.scenarios.routes import Route, mounts_of, outside, routes_of
from tests.scenarios.system import System, done, running_system

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL_VENDOR, ALL_PARTNER = frozenset(VENDOR), frozenset(PARTNER)
EVERYBODY = ALL_VENDOR | ALL_PARTNER
SELLERS = frozenset({"owner", "seller"})
MONEY = frozenset({"owner", "partner_finance"})
MANAGERS = frozenset({"admin", "cm"})
FINANCE = frozenset({"finance", "approver"})
DEALS = frozenset({"admin", "cm", "desk", "finance", "approver", "analyst", "owner", "seller", "partner_finance"})
PLANS = frozenset({"admin", "approver"})
ARBITERS = frozenset({"admin", "finance"})
ASK_WHY = {"incentives": ALL_VENDOR | MONEY}
"""Who may ask why of the event that is asked about, where not everybody may: it is what a partner earned."""
NOBODY: frozenset[str] = frozenset()
OPERATOR = frozenset({"operator"})


@dataclass(frozen=True)
class Row:
    """Who may use a route. `$name` in path, query and body stands for an id of the partner's, or for one that never was.

    `open`: to anyone, signed in or not. `own`: the route speaks of whoever asks. `form`: a page's form, which needs the
    token of that page. `page`: HTML.
    """

    who: frozenset[str] = EVERYBODY
    ids: dict[str, str] = field(default_factory=dict)
    query: str = ""
    body: Any = None
    open: bool = False
    form: bool = False
    page: bool = False


def row(who: frozenset[str] = EVERYBODY, body: Any = None, query: str = "", **ids: str) -> Row:
    return Row(who, ids, query, body)


def page(who: frozenset[str] = EVERYBODY, **ids: str) -> Row:
    return Row(who, ids, page=True)


def of_every_service(service: str, drafts: frozenset[str], publishes: frozenset[str]) -> dict[Route, Row]:
    """The routes that every service has."""
    shadows = frozenset({"admin", "desk", "finance", "approver"})
    book = {"rulebook_id": f"{service}_book"}
    draft = {"rulebook_id": "drafted", "kind": "any", "body": {}}
    shadow = {"rulebook_id": f"${service}_book", "version": 1}
    rows = {
        "GET /kinds": row(),
        "GET /rulebooks": row(),
        "GET /rulebooks/{rulebook_id}": row(**book),
        "GET /rulebooks/{rulebook_id}/versions/{version}": row(**book, version="one"),
        "GET /rulebooks/{rulebook_id}/diff": row(query="before=1&after=1", **book),
        "POST /rulebooks": row(drafts, draft),
        "POST /rulebooks/{rulebook_id}/publish": row(publishes, {"version": 1}, **book),
        "POST /rulebooks/{rulebook_id}/end": row(publishes, {"version": 1}, **book),
        "POST /shadow-runs": row(shadows, shadow),
        "GET /shadow-runs": row(shadows),
        "GET /shadow-runs/{run_id}": row(shadows, run_id=f"{service}_run"),
        "GET /rulebooks/{rulebook_id}/shadow": row(shadows, rulebook_id=f"{service}_shadow"),
        **inspected(service),
    }
    return {(service, *name.split(" ", 1)): one for name, one in rows.items()} | probes(service)  # type: ignore[misc]


def inspected(service: str) -> dict[str, Row]:
    """The routes by which a service opens its log, and those of its operators."""
    place = {"group": "g", "topic": "t", "partition": 0, "offset": 0}
    prefix = "/v1/gateway" if service == "gateway" else ""
    readers = ALL_VENDOR if service == "gateway" else EVERYBODY
    return {
        f"GET {prefix}/why/{{event_id}}": row(ASK_WHY.get(service, readers), event_id=f"{service}_event"),
        f"GET {prefix}/events": row(frozenset({"admin", "analyst"})),
        f"GET {prefix}/feed": row(NOBODY),
        f"GET {prefix}/proofs/{{stream}}": row(readers, stream=f"{service}_stream"),
        f"GET {prefix}/access": row(),
        f"GET {prefix}/parked": row(OPERATOR),
        f"POST {prefix}/parked/replay": row(OPERATOR, {"subject": "nothing"}),
        f"POST {prefix}/parked/discard": row(OPERATOR, place),
    }


def probes(service: str) -> dict[Route, Row]:
    """What only the machine room asks; the door lets nobody through to it."""
    behind = Row(who=NOBODY)
    return {
        (service, "GET", "/openapi.json"): row(EVERYBODY | OPERATOR),
        **{(service, "GET", path): behind for path in ("/livez", "/readyz", "/metrics")},
    }


PROFILE = {"legal_name": "Northwind", "country": "DE", "domains": ["northwind.example"], "types": ["reseller"]}
MONEY_BODY = {"amount": "15000.00", "currency": "EUR"}
DESKS = frozenset({"admin", "cm", "desk"})
APPROVES = frozenset({"admin", "cm", "desk", "finance", "approver"})
"""Whom a programme may name in its chain of steps."""
EVIDENCE = {"kind": "mail", "dated_on": "2031-03-01", "sha256": "a" * 64}
NAMED = {"reason_code": "other"}
STATED = "We have worked on this customer before anybody else did."

ONBOARDING = {
    "POST /partners": row(MANAGERS, PROFILE),
    "POST /applications": Row(body=PROFILE, open=True),
    "POST /partners/{partner_id}/approve": row(MANAGERS, {}, partner_id="partner"),
    "POST /partners/{partner_id}/decline": row(MANAGERS, NAMED, partner_id="partner"),
    "POST /partners/{partner_id}/withdraw": row(MANAGERS | {"owner"}, partner_id="partner"),
    "POST /partners/{partner_id}/suspend": row(MANAGERS, {"scopes": ["content"], **NAMED}, partner_id="partner"),
    "POST /partners/{partner_id}/offboard": row(
        frozenset({"admin", "owner"}), {**NAMED, "last_business_day": "2099-01-31"}, partner_id="partner"
    ),
    "POST /partners/{partner_id}/settle": row(
        FINANCE, {"settled_on": "2031-01-31", "evidence_sha256": "0" * 64, "reason": "x"}, partner_id="partner"
    ),
    "POST /partners/{partner_id}/merge": row(
        frozenset({"admin"}), {"into": "$partner", "effective_on": "2031-01-31"}, partner_id="partner"
    ),
    "POST /partners/{partner_id}/unmerge": row(frozenset({"admin"}), {"into": "$partner"}, partner_id="partner"),
    "POST /partners/{partner_id}/stay": row(frozenset({"admin", "owner"}), partner_id="partner"),
    "POST /partners/{partner_id}/reinstate": row(MANAGERS, partner_id="partner"),
    "POST /partners/{partner_id}/change-profile": row(MANAGERS | {"owner"}, PROFILE, partner_id="partner"),
    "GET /partners": row(),
    "GET /partners/{partner_id}": row(partner_id="partner"),
    "GET /partners/{partner_id}/people": row(MANAGERS | {"owner"}, partner_id="partner"),
    "GET /payee-names": row(MANAGERS | FINANCE | MONEY, query="person_id=$person"),
    "POST /people": row(MANAGERS | {"owner"}, {"name": "New", "mail": "new@northwind.example"}),
    "POST /people/{person_id}/erase": row(frozenset({"admin", "owner"}), person_id="person"),
    "POST /people/find": row(frozenset({"admin"}), {"mail": "owner@northwind.example"}),
    "GET /people/{person_id}/everything": row(frozenset({"admin"}), person_id="person"),
    "GET /people/{person_id}": row(MANAGERS | {"owner"}, person_id="person"),
    "POST /memberships": row(
        MANAGERS | {"owner"}, {"person_id": "$person", "partner_id": "$partner", "roles": ["seller"]}
    ),
    "POST /memberships/{membership_id}/join": row(MANAGERS | {"learner"}, membership_id="membership"),
    "POST /memberships/{membership_id}/end": row(MANAGERS | {"owner"}, membership_id="membership"),
}
CERTIFIES = frozenset({"admin", "marketing"})
"""Who has the duty of a trainer (the admin of the first run), or the role."""
READS_CERTIFICATES = frozenset({"admin", "cm", "marketing", "analyst"})
ONBOARDING |= {
    "POST /certificates": row(
        CERTIFIES,
        {
            "person_id": "$person",
            "certification": "security",
            "earned_on": "2031-05-01",
            "proof": {"source": "trainer_sheet", "reference": "2031/5"},
        },
    ),
    "POST /certificates/{certificate_id}/revoke": row(CERTIFIES, NAMED, certificate_id="certificate"),
    "GET /certificates": row(READS_CERTIFICATES | ALL_PARTNER),
    "GET /certificates/{certificate_id}": row(READS_CERTIFICATES | {"owner", "learner"}, certificate_id="certificate"),
    "GET /rosters": row(READS_CERTIFICATES | ALL_PARTNER, query="partner_id=$partner"),
}
REGISTRATION = {
    "POST /deals": row(SELLERS | {"desk"}, deal("Fabrikam", "fabrikam.com", partner_id="$partner")),
    "POST /deals/preview": row(SELLERS | {"desk"}, deal("Fabrikam", "fabrikam.com", partner_id="$partner")),
    "POST /checks": row(SELLERS | {"desk", "cm"}, deal("Fabrikam", "fabrikam.com", partner_id="$partner")),
    "POST /deals/{registration_id}/resubmit": row(SELLERS, {"amount": MONEY_BODY}, registration_id="deal"),
    "POST /deals/{registration_id}/amend": row(SELLERS, {"amount": MONEY_BODY}, registration_id="deal"),
    "POST /deals/{registration_id}/withdraw": row(SELLERS | {"desk"}, {}, registration_id="deal"),
    "POST /deals/{registration_id}/replace": row(SELLERS | {"desk"}, {"scope": "site"}, registration_id="deal"),
    "GET /deals": row(DEALS, query="partner_id=$partner"),
    "GET /deals/export": row(DEALS, query="partner_id=$partner"),
    "GET /deals/{registration_id}": row(DEALS, registration_id="deal"),
    "GET /deals/{registration_id}/proof": row(DEALS, registration_id="deal"),
    "GET /deals/{registration_id}/conflicts": row(frozenset({"desk", "cm"}), registration_id="deal"),
    "POST /deals/{registration_id}/return": row(
        frozenset({"desk"}), {"fields": ["amount"], "message": "Less."}, registration_id="deal"
    ),
    "POST /deals/{registration_id}/decide-finding": row(
        frozenset({"desk"}),
        {"account_id": "$account", "verdict": "different", "reason": "Another."},
        registration_id="deal",
    ),
    "POST /deals/{registration_id}/approve": row(APPROVES, registration_id="deal"),
    "POST /deals/{registration_id}/request-extension": row(SELLERS, {"evidence": [EVIDENCE]}, registration_id="deal"),
    "POST /deals/{registration_id}/grant-extension": row(frozenset({"desk"}), registration_id="deal"),
    "POST /deals/{registration_id}/refuse-extension": row(frozenset({"desk"}), NAMED, registration_id="deal"),
    "POST /disputes": row(SELLERS, {"registration_id": "$deal", "kind": "incumbent", "statement": STATED}),
    "GET /disputes": row(DEALS),
    "GET /disputes/{dispute_id}": row(DEALS, dispute_id="disputed"),
    "POST /disputes/{dispute_id}/request-evidence": row(ARBITERS | {"desk"}, {"question": STATED}, dispute_id="deal"),
    "POST /disputes/{dispute_id}/show-evidence": row(SELLERS, {"evidence": [EVIDENCE]}, dispute_id="deal"),
    "POST /disputes/{dispute_id}/decide": row(ARBITERS, {"outcome": "upheld", "reason": STATED}, dispute_id="deal"),
    "POST /disputes/{dispute_id}/appeal": row(SELLERS, {"statement": STATED}, dispute_id="deal"),
    "POST /disputes/{dispute_id}/withdraw": row(SELLERS, dispute_id="deal"),
    "POST /invitations": row(
        SELLERS | {"desk"}, {"registration_id": "$deal", "partner_id": "$partner", "role": "distribute"}
    ),
    "GET /invitations": row(DEALS, query="registration_id=$deal"),
    "GET /invitations/{invitation_id}": row(DEALS, invitation_id="invitation"),
    "POST /invitations/{invitation_id}/accept": row(SELLERS, invitation_id="invitation"),
    "POST /invitations/{invitation_id}/decline": row(SELLERS, {}, invitation_id="invitation"),
    "POST /invitations/{invitation_id}/revoke": row(SELLERS | {"desk"}, {}, invitation_id="invitation"),
    "POST /invitations/{invitation_id}/leave": row(SELLERS | {"desk"}, invitation_id="invitation"),
    "POST /exclusions": row(DESKS, {"target": "family:cloud", "kind": "named", "from_on": "2031-03-01"}),
    "GET /exclusions": row(DESKS),
    "POST /exclusions/{exclusion_id}/end": row(DESKS, {"target": "family:cloud"}, exclusion_id="exclusion"),
    "POST /deals/{registration_id}/reject": row(frozenset({"desk"}), NAMED, registration_id="deal"),
    "POST /deals/{registration_id}/revoke": row(
        APPROVES, {"reason_code": "fraud", "evidence": [EVIDENCE]}, registration_id="deal"
    ),
    "POST /deals/{registration_id}/queue": row(frozenset({"desk"}), registration_id="deal"),
    "GET /deals/{registration_id}/attempts": row(DESKS | SELLERS, registration_id="deal"),
    "GET /deals/{registration_id}/notes": row(DESKS | SELLERS, registration_id="deal"),
    "POST /deals/{registration_id}/notes": row(
        frozenset({"desk", "cm"}) | SELLERS, {"text": "Hello."}, registration_id="deal"
    ),
    "POST /deals/{registration_id}/add-evidence": row(
        SELLERS | {"desk"}, {"evidence": [EVIDENCE]}, registration_id="deal"
    ),
    "POST /deals/{registration_id}/record-order": row(
        SELLERS | {"desk"},
        {"order_ref": "o", "amount": MONEY_BODY, "ordered_on": "2031-03-03"},
        registration_id="deal",
    ),
    "POST /deals/{registration_id}/merge": row(frozenset({"desk"}), {"into": "$deal"}, registration_id="deal"),
    "GET /drafts": row(SELLERS),
    "POST /drafts": row(SELLERS, {}),
    "GET /drafts/{registration_id}": row(SELLERS, registration_id="draft"),
    "GET /capacity": row(SELLERS | DESKS, query="partner_id=$partner"),
    "POST /intake/mail": row(SELLERS | {"desk"}, {"mail": "Hello", "partner_id": "$partner"}),
    "GET /intake/mail": row(SELLERS | {"admin", "desk"}),
    "GET /intake/mail/{mail_id}": row(SELLERS | {"admin", "desk"}, mail_id="mail"),
    "POST /intake/mail/{mail_id}/reparse": row(SELLERS | {"desk"}, mail_id="mail"),
    "POST /people/find": row(frozenset({"admin"}), {"email": "erika@example.com"}),
    "POST /people/forget": row(frozenset({"admin"}), {"email": "erika@example.com"}),
    "POST /deals/{registration_id}/forget": row(frozenset({"admin"}), registration_id="deal"),
    "POST /intake/mail/{mail_id}/forget": row(SELLERS | {"admin", "desk"}, mail_id="mail"),
    "PATCH /deals/{registration_id}": row(SELLERS, {}, registration_id="draft"),
    "POST /deals/{registration_id}/register": row(SELLERS, registration_id="draft"),
    "POST /batches": row(SELLERS | {"desk"}, [deal("Fabrikam", "fabrikam.com", partner_id="$partner")]),
    "GET /batches": row(SELLERS | {"desk"}),
    "GET /batches/columns": row(SELLERS | {"desk"}),
    "GET /batches/columns/csv": row(SELLERS | {"desk"}),
    "GET /batches/{batch_id}": row(SELLERS | {"desk"}, batch_id="import"),
    "GET /batches/{batch_id}/rows": row(SELLERS | {"desk"}, batch_id="import"),
    "GET /batches/{batch_id}/rows/csv": row(SELLERS | {"desk"}, batch_id="import"),
    "POST /batches/{batch_id}/apply": row(SELLERS | {"desk"}, batch_id="import"),
    "POST /batches/{batch_id}/undo": row(SELLERS | {"desk"}, batch_id="import"),
    "POST /batches/{batch_id}/discard": row(SELLERS | {"desk"}, batch_id="import"),
    "GET /accounts": row(frozenset({"admin", "cm", "desk"})),
    "GET /accounts/{account_id}": row(frozenset({"admin", "cm", "desk"}), account_id="account"),
    "POST /accounts": row(frozenset({"desk"}), {"name": "Fabrikam", "country": "DE", "website": "fabrikam-matrix.com"}),
    "POST /accounts/{account_id}/confirm": row(frozenset({"desk"}), account_id="account"),
    "GET /accounts/{account_id}/claims": row(frozenset({"admin", "cm", "desk"}), account_id="account"),
    "POST /accounts/{account_id}/add-key": row(
        frozenset({"desk"}), {"scheme": "duns", "value": "123456789"}, account_id="account"
    ),
    "POST /accounts/{account_id}/merge": row(
        frozenset({"desk"}), {"absorbed": "no-account", "reason": "One company."}, account_id="account"
    ),
    "POST /accounts/{account_id}/link-parent": row(
        frozenset({"desk"}), {"parent": "no-account", "reason": "A subsidiary."}, account_id="account"
    ),
    "POST /accounts/{account_id}/cut-parent": row(frozenset({"desk"}), {}, account_id="account"),
    "POST /accounts/{account_id}/split": row(frozenset({"desk"}), {"merge_id": "no-merge"}, account_id="account"),
}
LEAD_DESK = frozenset({"cm", "desk"})
LEADS = frozenset({"admin", "cm", "desk", "marketing", "analyst", "owner", "seller", "marketer"})
ENQUIRY = {"company": {"name": "Fabrikam", "country": "DE"}, "need": "We look for a new platform for our people."}
REGISTRATION |= {
    "POST /leads": row(SELLERS | LEAD_DESK, ENQUIRY),
    "GET /leads": row(LEADS),
    "GET /leads/export": row(LEADS),
    "GET /leads/{lead_id}": row(LEADS, lead_id="lead"),
    "GET /lead-figures": row(),
    "GET /attainment": row(),
    "GET /fairness": row(DEALS - ALL_PARTNER),
    "GET /machines/{name}": row(name="machine"),
    "GET /schemas/intake": row(),
    "GET /lead-shares": row(LEADS - ALL_PARTNER),
    "POST /leads/{lead_id}/appeal": row(SELLERS, {"statement": STATED}, lead_id="lead"),
    "POST /leads/{lead_id}/release": row(LEAD_DESK, lead_id="lead"),
    "POST /leads/{lead_id}/assign": row(LEAD_DESK, {}, lead_id="lead"),
    "POST /leads/{lead_id}/pool": row(LEAD_DESK, lead_id="lead"),
    "POST /leads/{lead_id}/claim": row(SELLERS, lead_id="lead"),
    "POST /leads/{lead_id}/accept": row(SELLERS | LEAD_DESK, lead_id="lead"),
    "POST /leads/{lead_id}/decline": row(SELLERS | LEAD_DESK, NAMED, lead_id="lead"),
    "POST /leads/{lead_id}/report": row(SELLERS | LEAD_DESK, {"step": "contacted"}, lead_id="lead"),
    "POST /leads/{lead_id}/return": row(SELLERS, NAMED, lead_id="lead"),
    "POST /leads/{lead_id}/convert": row(SELLERS | LEAD_DESK, {"registration_id": "$deal"}, lead_id="lead"),
    "POST /leads/{lead_id}/close": row(SELLERS | LEAD_DESK, {"reason_code": "lost"}, lead_id="lead"),
    "POST /leads/{lead_id}/forget": row(frozenset({"admin"}) | LEAD_DESK, lead_id="own_lead"),
    "GET /forms/{form_id}": Row(query="tenant=acme", open=True),
    "POST /forms/{form_id}/leads": Row(body=ENQUIRY, open=True),
}
"""A form's token tells the time, so both forms' routes are asked under a name that no form has."""
CONNECTION = {"base_url": "http://127.0.0.1:1", "credential_ref": "hubspot-simulator"}
TOUCH = {
    "touch_type": "demo",
    "partner_id": "$partner",
    "opportunity_id": "$opportunity",
    "touched_at": "2031-03-03T09:00:00Z",
    "source_key": "one",
}
INCUMBENT = {"account_id": "$account", "product_family": "platform", "partner_id": "$partner", "reason": "x"}
SHARE = {"partner_id": "$partner", "role": "resell", "percent": "100.00"}
ATTRIBUTION = {
    "POST /connections": row(frozenset({"admin"}), CONNECTION),
    "POST /connections/{connection_id}/activate": row(frozenset({"admin"}), connection_id="connection"),
    "POST /connections/{connection_id}/pause": row(frozenset({"admin"}), {"reason": "x"}, connection_id="connection"),
    "POST /connections/{connection_id}/map-stages": row(
        frozenset({"admin"}), {"stage_map": {"a": "won"}}, connection_id="connection"
    ),
    "POST /connections/{connection_id}/poll": row(MANAGERS | {"desk"}, connection_id="connection"),
    "POST /connections/{connection_id}/push": Row(ids={"connection_id": "connection"}, open=True),
    "GET /connections": row(ALL_VENDOR),
    "GET /connections/{connection_id}": row(ALL_VENDOR, connection_id="connection"),
    "GET /sync-records": row(ALL_VENDOR),
    "GET /quarantine": row(ALL_VENDOR),
    "POST /quarantine/{quarantine_id}/release": row(MANAGERS, quarantine_id="quarantined"),
    "GET /opportunities": row(query="registration_id=$deal"),
    "GET /opportunities/{opportunity_id}": row(opportunity_id="opportunity"),
    "GET /credit": row(),
    "GET /opportunities/{opportunity_id}/credit": row(opportunity_id="opportunity"),
    "GET /opportunities/{opportunity_id}/credit/{pool}": row(opportunity_id="opportunity", pool="pool"),
    "POST /opportunities/{opportunity_id}/credit/{pool}/revise": row(
        frozenset({"finance"}),
        {"shares": [SHARE], "reason_code": "correction", "reason": "x"},
        opportunity_id="opportunity",
        pool="pool",
    ),
    "POST /touches": row(MANAGERS | {"marketing"} | ALL_PARTNER, TOUCH),
    "GET /touches": row(query="opportunity_id=$opportunity"),
    "POST /incumbents": row(MANAGERS, INCUMBENT),
    "GET /incumbents": row(ALL_VENDOR, query="account_id=$account"),
}
EARNINGS = MANAGERS | FINANCE | MONEY
STATEMENT = {"partner_id": "$partner", "period": "2031-04", "currency": "EUR"}
APPROVER = frozenset({"approver"})
FACT = {"opportunity_id": "no-sale", "kind": "invoiced", "external_id": "i-1", "on": "2031-04-25"}
REVERSAL = {"reversal_id": "x", "amount": "1.00", "currency": "EUR", "reason_code": "refund", "on": "2031-04-25"}
MANAGERS_OF_RULES = frozenset({"admin", "desk", "finance", "approver"})
REPORT = {
    "reference": f"{'0' * 32}-01",
    "outcome": "paid",
    "provider_event_id": "x",
    "on": "2031-05-02",
    "signature": "0" * 64,
}
EURO = {"amount": "1.00", "currency": "EUR"}
ASKS = MONEY | {"marketer"}
MARKETS = frozenset({"marketing", "analyst"})
FUNDS = MANAGERS | FINANCE | MARKETS | ASKS
TIERS = MANAGERS | FINANCE | MARKETS | ASKS | {"desk", "seller"}
ACTIVITY = {
    "activity_type": "event",
    "starts_on": "2031-06-01",
    "ends_on": "2031-06-01",
    "items": [{"text": "hall", "amount": EURO}],
}
FUND_REQUEST = {"fund_id": "marketing", "period": "2031", **ACTIVITY}
CLAIM = {"kind": "fund", "of_id": "$fund_request", "items": [{"text": "hall", "amount": EURO}]}
SPECIAL_PRICE = {
    "partner_id": "$partner",
    "kind": "blanket",
    "products": [{"sku": "x", "cost": {"amount": "2.00", "currency": "EUR"}, "price": EURO, "units_max": 1}],
    "starts_on": "2031-06-01",
    "ends_on": "2031-06-30",
    "reason": "x",
}
INCENTIVES = {
    "GET /lines": row(EARNINGS | ALL_PARTNER, query="registration_id=$deal"),
    "GET /waiting-facts": row(EARNINGS, query="partner_id=$partner"),
    "GET /missed-awards": row(EARNINGS, query="partner_id=$partner"),
    "GET /lines/csv": row(EARNINGS, query="registration_id=$deal"),
    "GET /lines/{line_id}": row(EARNINGS, line_id="line"),
    "POST /lines/{line_id}/postpone": row(FINANCE, {"until": "2031-05-20", "reason": "x"}, line_id="line"),
    "GET /progress": row(EARNINGS, query="partner_id=$partner"),
    "POST /lines/{line_id}/adjust": row(FINANCE, {"amount": "1.00", "reason": "x"}, line_id="line"),
    "POST /lines/{line_id}/adjust/confirm": row(APPROVER, {"adjustment_id": "x"}, line_id="line"),
    "POST /sales-facts": row(FINANCE, {"facts": [FACT]}),
    "POST /sales/{opportunity_id}/resolve": row(FINANCE, {"plan_id": "x"}, opportunity_id="opportunity"),
    "POST /sales/{opportunity_id}/reverse": row(FINANCE, REVERSAL, opportunity_id="opportunity"),
    "GET /books": row(FINANCE),
    "GET /books/{month}": row(FINANCE, month="month"),
    "GET /write-offs": row(FINANCE),
    "POST /books/{month}/close": row(APPROVER, month="month"),
    "POST /rates": row(FINANCE, {"source": "ecb", "on": "2031-03-03", "pairs": {"EUR/USD": "1.1"}}),
    "GET /liability": row(FINANCE),
    "GET /forecast": row(FINANCE),
    "GET /budgets": row(FINANCE),
    "GET /withheld": row(FINANCE),
    "GET /tax-years": row(FINANCE, query="year=2031"),
    "POST /withheld/{jurisdiction}/remit": row(
        APPROVER, {"currency": "EUR", "reference": "x"}, jurisdiction="jurisdiction"
    ),
    "POST /budgets/{budget_id}/allocate": row(
        APPROVER, {"ref": "x", "amount": "1.00", "currency": "EUR"}, budget_id="budget"
    ),
    "POST /budgets/{budget_id}/expire": row(APPROVER, {"ref": "x"}, budget_id="budget"),
    "GET /sales": row(MANAGERS | FINANCE),
    "GET /sales/{opportunity_id}": row(MANAGERS | FINANCE, opportunity_id="opportunity"),
    "GET /ledger/export": row(FINANCE),
    "GET /ledger": row(FINANCE, query="payee_id=$partner"),
    "GET /ledger/balances": row(FINANCE, query="payee_id=$partner"),
    "GET /ledger/totals": row(FINANCE | MANAGERS | {"analyst"}),
    "GET /payees": row(EARNINGS | ALL_PARTNER, query="partner_id=$partner"),
    "GET /payees/{payee_id}": row(FINANCE | MONEY, payee_id="partner"),
    "GET /mergers/{partner_id}": row(
        frozenset({"admin", "cm", "finance", "approver", "owner", "partner_finance"}), partner_id="settlement"
    ),
    "GET /settlements/{partner_id}": row(
        frozenset({"admin", "cm", "finance", "approver", "owner", "partner_finance"}), partner_id="settlement"
    ),
    "POST /statements": row(FINANCE, STATEMENT),
    "GET /statements": row(EARNINGS | ALL_PARTNER, query="partner_id=$partner"),
    "GET /statements/next": row(EARNINGS | ALL_PARTNER, query="partner_id=$partner"),
    "GET /statements/live": row(EARNINGS | ALL_PARTNER, query="currency=EUR&partner_id=$partner"),
    "GET /statements/{statement_id}": row(EARNINGS, statement_id="statement"),
    "POST /payments": row(FINANCE, {"statement_id": "$statement"}),
    "POST /payments/{payment_id}/approve": row(APPROVER, payment_id="payment"),
    "POST /payments/{payment_id}/submit": row(FINANCE, payment_id="payment"),
    "POST /payments/{payment_id}/resume": row(FINANCE, payment_id="payment"),
    "POST /payments/{payment_id}/retry": row(FINANCE, payment_id="payment"),
    "POST /payments/{payment_id}/decline": row(APPROVER, {"category": "wrong"}, payment_id="payment"),
    "GET /payments": row(FINANCE | MONEY, query="partner_id=$partner"),
    "GET /payments/{payment_id}": row(FINANCE | MONEY, payment_id="payment"),
    "POST /backtests": row(
        MANAGERS_OF_RULES, {"rulebook_id": "standard", "version": 1, "since": "2031-01-01", "until": "2031-12-31"}
    ),
    "GET /backtests": row(MANAGERS_OF_RULES),
    "GET /backtests/{run_id}": row(MANAGERS_OF_RULES, run_id="backtest"),
    "GET /shadow": row(MANAGERS_OF_RULES),
    "GET /shadow/{plan_id}": row(MANAGERS_OF_RULES, plan_id="watched"),
    "POST /estimates": row(
        EARNINGS, {"partner_id": "$partner", "amount": "1.00", "currency": "EUR", "closes_on": "2031-06-01"}
    ),
    "POST /batches": row(FINANCE, {"currency": "EUR", "day": "2031-05-02", "payment_ids": ["$payment"]}),
    "GET /batches": row(FINANCE),
    "POST /batches/{batch_id}/approve": row(APPROVER, batch_id="batch"),
    "POST /batches/{batch_id}/send": row(FINANCE, batch_id="batch"),
    "POST /batches/{batch_id}/close": row(FINANCE, batch_id="batch"),
    "GET /batches/{batch_id}/pain001": row(FINANCE, batch_id="batch"),
    "GET /payments/{payment_id}/pain001": row(FINANCE, payment_id="payment"),
    "GET /batches/{batch_id}/csv": row(FINANCE, batch_id="batch"),
    "PUT /payees/{payee_id}/bank": row(MONEY, {"iban": "DE89370400440532013000", "holder": "N"}, payee_id="partner"),
    "POST /payees/{payee_id}/bank/verify": row(MONEY | APPROVER, {"bank_id": "x"}, payee_id="partner"),
    "PUT /payees/{payee_id}/tax": row(
        MONEY,
        {"form": "W-8", "jurisdiction": "US", "tax_year": 2031, "form_sha256": "a" * 64},
        payee_id="partner",
    ),
    "POST /payees/{payee_id}/tax/{form_id}/decide": row(
        FINANCE, {"outcome": "rejected"}, payee_id="partner", form_id="form"
    ),
    "PUT /payees/{payee_id}/currency": row(FINANCE | MONEY, {"currency": "EUR"}, payee_id="partner"),
    "POST /payees/{payee_id}/consent": row(frozenset({"owner"}), payee_id="partner"),
    "POST /payees/{payee_id}/block": row(FINANCE, {"reason": "x"}, payee_id="partner"),
    "POST /payees/{payee_id}/unblock": row(APPROVER, {"reason": "x"}, payee_id="partner"),
    "POST /payments/{payment_id}/invoice": row(
        FINANCE | MONEY, {"number": "1", "net": "1.00", "invoice_sha256": "a" * 64}, payment_id="payment"
    ),
    "POST /provider-reports/file": row(FINANCE | {"provider"}, {"kind": "csv", "content": "x", "signature": "0" * 64}),
    "POST /provider-reports": row(frozenset({"provider"}), REPORT),
    "GET /statements/{statement_id}/pdf": row(EARNINGS, statement_id="statement"),
    "GET /statements/{statement_id}/csv": row(EARNINGS, statement_id="statement"),
    "GET /statements/{statement_id}/proof": row(EARNINGS, statement_id="statement"),
    "POST /statements/verify": row(EARNINGS, {}),
    "POST /lines/{line_id}/dispute": row(MONEY, {"reason": "x"}, line_id="line"),
    "POST /statements/{statement_id}/dispute": row(MONEY, {"event_id": "x", "reason": "x"}, statement_id="statement"),
    "POST /statements/{statement_id}/dispute/request-evidence": row(
        FINANCE | ARBITERS, {"event_id": "x", "question": "x"}, statement_id="statement"
    ),
    "POST /statements/{statement_id}/dispute/show-evidence": row(
        MONEY, {"event_id": "x", "evidence": [{"sha256": "a" * 64, "text": "x"}]}, statement_id="statement"
    ),
    "POST /statements/{statement_id}/dispute/decide": row(
        APPROVER | ARBITERS, {"event_id": "x", "reason": "x", "outcome": "rejected"}, statement_id="statement"
    ),
    "POST /statements/{statement_id}/dispute/appeal": row(
        MONEY, {"event_id": "x", "statement": "x"}, statement_id="statement"
    ),
    "POST /statements/{statement_id}/dispute/withdraw": row(MONEY, {"event_id": "x"}, statement_id="statement"),
    "POST /statements/{statement_id}/dispute/corrected": row(
        FINANCE, {"event_id": "x", "reason": "x"}, statement_id="statement"
    ),
    "GET /disputes": row(EARNINGS | ALL_PARTNER, query="partner_id=$partner"),
    "POST /funds/{fund_id}/allocate": row(
        APPROVER,
        {"partner_id": "$partner", "period": "2031", "ref": "x", "amount": EURO},
        fund_id="fund",
    ),
    "GET /estimates": row(EARNINGS, query="partner_id=$partner"),
    "GET /funds": row(FUNDS, query="partner_id=$partner"),
    "GET /fund-accruals": row(FUNDS, query="partner_id=$partner"),
    "POST /fund-requests": row(ASKS, FUND_REQUEST),
    "PUT /fund-requests/{fund_request_id}": row(ASKS, FUND_REQUEST, fund_request_id="fund_request"),
    "GET /fund-requests": row(FUNDS, query="partner_id=$partner"),
    "GET /fund-requests/{fund_request_id}": row(FUNDS, fund_request_id="fund_request"),
    "POST /fund-requests/{fund_request_id}/submit": row(ASKS, fund_request_id="fund_request"),
    "POST /fund-requests/{fund_request_id}/recall": row(ASKS, fund_request_id="fund_request"),
    "POST /fund-requests/{fund_request_id}/amend": row(
        ASKS, {**ACTIVITY, "reason": "x"}, fund_request_id="fund_request"
    ),
    "POST /fund-requests/{fund_request_id}/decide": row(
        APPROVER, {"items": [{"outcome": "accepted_as_is"}]}, fund_request_id="fund_request"
    ),
    "POST /fund-requests/{fund_request_id}/extend": row(ASKS, {"reason": "x"}, fund_request_id="fund_request"),
    "POST /fund-requests/{fund_request_id}/complete": row(
        APPROVER | ASKS, {"reason": "x"}, fund_request_id="fund_request"
    ),
    "POST /fund-requests/{fund_request_id}/cancel": row(
        APPROVER | ASKS, {"reason": "x"}, fund_request_id="fund_request"
    ),
    "POST /claims": row(ASKS, CLAIM),
    "PUT /claims/{claim_id}": row(ASKS, CLAIM, claim_id="fund_claim"),
    "GET /claims": row(FUNDS | {"seller"}, query="partner_id=$partner"),
    "GET /claims/{claim_id}": row(FUNDS, claim_id="fund_claim"),
    "POST /claims/{claim_id}/submit": row(ASKS, claim_id="fund_claim"),
    "POST /claims/{claim_id}/decide": row(APPROVER, {"outcome": "denied", "reason": "x"}, claim_id="fund_claim"),
    "POST /claims/{claim_id}/credit": row(
        FINANCE, {"credit_note": "CN-1", "credited_on": "2031-04-25"}, claim_id="fund_claim"
    ),
    "POST /special-prices": row(APPROVER, SPECIAL_PRICE),
    "GET /special-prices": row(FUNDS, query="partner_id=$partner"),
    "GET /special-prices/{special_price_id}": row(FUNDS, special_price_id="special_price"),
    "POST /special-prices/{special_price_id}/end": row(
        APPROVER, {"on": "2031-06-01", "reason": "x"}, special_price_id="special_price"
    ),
    "GET /tiers": row(TIERS, query="partner_id=$partner"),
    "GET /tiers/{programme}/{partner_id}": row(TIERS, programme="programme", partner_id="partner"),
    "POST /imports": row(FINANCE, [{"kind": "invoiced"}]),
    "GET /imports": row(FINANCE),
    "GET /imports/columns": row(FINANCE),
    "GET /imports/columns/csv": row(FINANCE),
    "GET /imports/{batch_id}": row(FINANCE, batch_id="facts_import"),
    "GET /imports/{batch_id}/rows": row(FINANCE, batch_id="facts_import"),
    "GET /imports/{batch_id}/rows/csv": row(FINANCE, batch_id="facts_import"),
    "POST /imports/{batch_id}/apply": row(FINANCE, batch_id="facts_import"),
    "POST /imports/{batch_id}/undo": row(FINANCE, batch_id="facts_import"),
    "POST /imports/{batch_id}/discard": row(FINANCE, batch_id="facts_import"),
    "GET /cases": row(frozenset({"admin", "finance", "approver"}), query="partner_id=$partner"),
    "GET /cases/{case_id}": row(frozenset({"admin", "finance", "approver"}), case_id="case"),
    "POST /cases/{case_id}/close": row(
        frozenset({"admin", "approver"}), {"outcome": "false_alarm", "reason": "x"}, case_id="case"
    ),
    "POST /case-backtests": row(MANAGERS_OF_RULES, {"rulebook_id": "abuse", "version": 1}),
    "GET /recognition": row(EARNINGS | ALL_PARTNER, query="partner_id=$partner"),
    "GET /recognition/shared": row(EARNINGS | ALL_PARTNER),
    "POST /recognition/{partner_id}/{year}/share": row(
        frozenset({"owner"}), {"shared": False}, partner_id="partner", year="year"
    ),
    "POST /tiers/{programme}/{partner_id}/metrics": row(
        MANAGERS,
        {"metric": "revenue", "ref": "x", "value": "1", "on": "2031-05-02"},
        programme="programme",
        partner_id="partner",
    ),
    "POST /tiers/{programme}/{partner_id}/evaluate": row(MANAGERS, programme="programme", partner_id="partner"),
    "POST /tiers/{programme}/{partner_id}/review": row(
        MANAGERS, {"outcome": "waive", "reason": "x"}, programme="programme", partner_id="partner"
    ),
    "POST /tiers/{programme}/{partner_id}/override": row(
        MANAGERS,
        {"level": "silver", "until": "2031-12-31", "reason": "x"},
        programme="programme",
        partner_id="partner",
    ),
    "POST /tiers/{programme}/{partner_id}/appeal": row(
        frozenset({"owner"}), {"reason": "x"}, programme="programme", partner_id="partner"
    ),
    "POST /tiers/{programme}/{partner_id}/answer": row(
        MANAGERS, {"reason": "x"}, programme="programme", partner_id="partner"
    ),
    "POST /write-offs": row(FINANCE, {"payee_id": "$partner", "currency": "EUR", "reason": "x"}),
}
DRAFTERS, PUBLISHERS = frozenset({"admin", "desk", "finance", "approver"}), frozenset({"admin", "finance", "approver"})
REGISTRATION |= {
    "GET /programmes/{programme}/rules": row(programme="registration_book"),
    "PUT /programmes/{programme}/rules": row(DRAFTERS, {"body": {"zone": "nowhere"}}, programme="registration_book"),
    "POST /programmes/{programme}/rules/publish": row(PUBLISHERS, {"version": 1}, programme="registration_book"),
    "POST /programmes/{programme}/shadow-runs": row(DRAFTERS, {"version": 1}, programme="registration_book"),
}
OWNERS = frozenset({"admin", "owner"})
TENANT = {"slug": "gamma", "name": "Gamma", "zone": "UTC", "currency": "EUR"}
COLLEAGUE = {"handle": "new", "name": "New", "mail": "new@acme.example", "roles": ["analyst"]}
GATEWAY = {
    "GET /openapi.json": Row(open=True),
    "GET /v1/openapi.json": Row(open=True),
    "GET /v1/access-matrix": row(EVERYBODY | OPERATOR),
    "POST /v1/tenants": row(OPERATOR, TENANT),
    "POST /v1/staff": row(frozenset({"admin"}) | OPERATOR, COLLEAGUE),
    "POST /v1/staff/{staff_id}/change-roles": row(frozenset({"admin"}), {"roles": ["analyst"]}, staff_id="staff"),
    "POST /v1/staff/{staff_id}/end": row(frozenset({"admin"}), staff_id="staff"),
    "POST /v1/logins/{subject}/release": row(frozenset({"admin"}), subject="staff"),
    "GET /v1/staff": row(ALL_VENDOR),
    "POST /v1/clients": row(OWNERS, {"name": "x", "scopes": ["registration:read"]}),
    "POST /v1/clients/{client_id}/rotate": row(frozenset({"owner"}), {}, client_id="client"),
    "POST /v1/clients/{client_id}/revoke": row(frozenset({"owner"}), client_id="client"),
    "GET /v1/clients": row(OWNERS),
    "GET /v1/me": row(),
    "POST /v1/people/everything": row(frozenset({"admin"}), {"mail": "owner@northwind.example"}),
    "GET /v1/events": row(query="subject=$registration_stream"),
    "GET /v1/events/{event_id}": row(DEALS, event_id="registration_event"),
    "GET /v1/stream": row(),
    "GET /v1/deals": row(DEALS),
    "GET /v1/deals/{registration_id}": row(DEALS, registration_id="deal"),
    "GET /v1/timeline/{subject}": row(DEALS, subject="deal"),
    "GET /v1/search": row(DEALS, query="q=$number"),
    "GET /v1/worklist": row(),
    "GET /v1/why/{event_id}": row(DEALS, event_id="registration_event"),
    "POST /v1/shadow-runs": row(
        frozenset({"admin", "desk", "finance", "approver"}),
        {"kind": "plan", "rulebook_id": "$incentives_book", "version": 1},
    ),
    "GET /v1/shadow-runs/{run_id}": row(frozenset({"admin", "desk", "finance", "approver"}), run_id="incentives_run"),
    "POST /dev/token": Row(body={"tenant": "acme", "as": "nobody"}, open=True),
    "GET /dev/identities": Row(open=True),
    "POST /dev/clock": Row(body={"to": "2031-01-01T00:00:00Z"}, open=True),
    "GET /dev/clock": Row(open=True),
    "GET /dev/sign-in": Row(open=True),
    "POST /dev/sign-in": Row(open=True),
    "GET /sign-in": Row(open=True),
    "GET /sign-in/start": Row(open=True),
    "GET /callback": Row(open=True),
    "GET /forms/{form_id}": Row(query="tenant=acme", open=True),
    "POST /forms/{form_id}": Row(query="tenant=acme", open=True),
    "GET /livez": Row(open=True),
    "GET /readyz": Row(open=True),
    "GET /metrics": Row(open=True),
    "GET /": page(),
    "GET /deals": page(DEALS),
    "GET /deals/new": page(),
    "GET /drafts": page(SELLERS),
    "GET /drafts/{registration_id}": page(SELLERS, registration_id="draft"),
    "GET /mails": page(SELLERS | {"admin", "desk"}),
    "GET /mails/{mail_id}": page(SELLERS | {"admin", "desk"}, mail_id="mail"),
    "GET /batches": page(SELLERS | {"desk"}),
    "GET /batches/{batch_id}": page(SELLERS | {"desk"}, batch_id="import"),
    "GET /sales-facts": page(FINANCE),
    "GET /sales-facts/{batch_id}": page(FINANCE, batch_id="facts_import"),
    "GET /deals/{registration_id}": page(DEALS, registration_id="deal"),
    "GET /invitations": page(DEALS),
    "GET /disputes": page(DEALS),
    "GET /disputes/{dispute_id}": page(DEALS, dispute_id="disputed"),
    "GET /deals/{registration_id}/replace": page(SELLERS | {"desk"}, registration_id="deal"),
    "GET /leads": page(LEADS),
    "GET /fairness": page(),
    "GET /leads/new": page(SELLERS | LEAD_DESK),
    "GET /leads/{lead_id}": page(LEADS, lead_id="lead"),
    "GET /desk": page(frozenset({"desk", "cm"})),
    "GET /customers": page(frozenset({"desk", "cm"})),
    "GET /exclusions": page(DESKS),
    "GET /customers/{account_id}": page(frozenset({"desk", "cm"}), account_id="account"),
    "GET /desk/{registration_id}": page(frozenset({"desk", "cm"}), registration_id="deal"),
    "GET /why/{event_id}": page(DEALS, event_id="registration_event"),
    "GET /earnings": page(EARNINGS | ALL_PARTNER | {"analyst"}),
    "GET /lines/{line_id}": page(EARNINGS, line_id="line"),
    "GET /statements/live/{partner_id}": page(EARNINGS | ALL_PARTNER, partner_id="partner"),
    "GET /statements/{statement_id}": page(EARNINGS, statement_id="statement"),
    "GET /money": page(FINANCE),
    "GET /payments/{payment_id}": page(FINANCE | MONEY, payment_id="payment"),
    "GET /payees": page(FINANCE | MONEY | ALL_PARTNER),
    "GET /payees/{payee_id}": page(FINANCE | MONEY, payee_id="partner"),
    "GET /owed": page(FINANCE),
    "GET /forecast": page(FINANCE),
    "GET /payment-batches": page(FINANCE),
    "GET /books": page(FINANCE),
    "GET /estimate": page(EARNINGS),
    "GET /backtests": page(MANAGERS_OF_RULES),
    "GET /backtests/{run_id}": page(MANAGERS_OF_RULES, run_id="tried"),
    "GET /shadow/{plan_id}": page(MANAGERS_OF_RULES, plan_id="watched"),
    "GET /funds": page(FUNDS),
    "GET /special-prices": page(FUNDS),
    "GET /tiers": page(TIERS),
    "GET /training": page(READS_CERTIFICATES | ALL_PARTNER),
    "GET /cases": page(frozenset({"admin", "finance", "approver"})),
    "GET /recognition": page(EARNINGS | ALL_PARTNER),
    "GET /funds/{fund_request_id}": page(FUNDS, fund_request_id="fund_request"),
    "GET /claims/{claim_id}": page(FUNDS, claim_id="fund_claim"),
    "GET /funds/{fund_request_id}/rewrite": page(ASKS, fund_request_id="fund_request"),
    "GET /claims/{claim_id}/rewrite": page(ASKS, claim_id="fund_claim"),
    "GET /awards": page(FUNDS | {"seller"}),
    "GET /partners": page(),
    "GET /partners/{partner_id}": page(partner_id="partner"),
    "GET /people": page(frozenset({"admin"})),
    "GET /rules": page(),
    "GET /events": page(),
    "GET /worklist": page(),
    "GET /settings": page(),
    "GET /api": page(),
    "GET /api/{service}": page(service="service"),
    "GET /rules/{service}/{rulebook_id}": page(service="service", rulebook_id="registration_book"),
    "GET /rules/{service}/{rulebook_id}/shadow": page(DRAFTERS, service="service", rulebook_id="registration_shadow"),
    "GET /trials/{service}/{run_id}": page(DRAFTERS, service="service", run_id="registration_run"),
    **dict.fromkeys(
        (
            "POST /batches",
            "POST /batches/{batch_id}/{verb}",
            "POST /sales-facts",
            "POST /sales-facts/{batch_id}/{verb}",
            "POST /drafts",
            "POST /mails",
            "POST /mails/{mail_id}/{verb}",
            "POST /drafts/{registration_id}/check",
            "POST /drafts/{registration_id}/register",
            "POST /drafts/{registration_id}/discard",
            "POST /deals/check",
            "POST /deals/new",
            "POST /deals/{registration_id}/replace",
            "POST /deals/{registration_id}/replace/check",
            "POST /deals/{registration_id}/credit/{pool}",
            "POST /deals/{registration_id}/dispute/{step}",
            "POST /deals/{registration_id}/invitations/invite",
            "POST /deals/{registration_id}/invitations/{step}",
            "POST /invitations/{invitation_id}/dispute/{step}",
            "POST /disputes/{dispute_id}/{step}",
            "POST /invitations/{invitation_id}/record-order",
            "POST /invitations/{invitation_id}/{verb}",
            "POST /deals/{registration_id}/{verb}",
            "POST /leads/new",
            "POST /leads/{lead_id}/{verb}",
            "POST /people",
            "POST /people/file",
            "POST /people/forget",
            "POST /customers",
            "POST /exclusions",
            "POST /exclusions/{exclusion_id}/end",
            "POST /customers/{account_id}/{verb}",
            "POST /customers/{account_id}/incumbent",
            "POST /desk/{registration_id}/confirm-identity",
            "POST /desk/{registration_id}/{verb}",
            "POST /lines/{line_id}/postpone",
            "POST /earnings/resolve",
            "POST /owed/budgets",
            "POST /owed/budgets/end",
            "POST /owed/write-offs",
            "POST /payment-batches",
            "POST /payment-batches/reports",
            "POST /payment-batches/{batch_id}/{verb}",
            "POST /books/rates",
            "POST /books/{month}/close",
            "POST /estimate",
            "POST /backtests",
            "POST /statements/{statement_id}/dispute",
            "POST /statements/{statement_id}/dispute/{step}",
            "POST /special-prices",
            "POST /special-prices/claim",
            "POST /special-prices/{special_price_id}/end",
            "POST /funds/allocate",
            "POST /tiers/{programme}/{partner_id}/{verb}",
            "POST /recognition/{partner_id}/{year}/share",
            "POST /cases/{case_id}/close",
            "POST /cases/backtest",
            "POST /funds/requests",
            "POST /funds/{fund_request_id}/{verb}",
            "POST /funds/{fund_request_id}/rewrite",
            "POST /claims/{claim_id}/rewrite",
            "POST /lines/{line_id}/reverse",
            "POST /awards",
            "POST /claims/{claim_id}/decide",
            "POST /claims/{claim_id}/credit",
            "POST /payees/{payee_id}/{verb}",
            "POST /payments/{payment_id}/{verb}",
            "POST /lines/{line_id}/adjust",
            "POST /lines/{line_id}/adjust/confirm",
            "POST /money/statements",
            "POST /money/payments",
            "POST /money/withheld/{jurisdiction}",
            "POST /money/payments/{payment_id}/{verb}",
            "POST /partners",
            "POST /partners/{partner_id}/people",
            "POST /partners/{partner_id}/certificates",
            "POST /training/{certificate_id}/revoke",
            "POST /partners/{partner_id}/people/{membership_id}/end",
            "POST /partners/{partner_id}/{verb}",
            "POST /sign-out",
            "POST /settings/keys",
            "POST /settings/keys/{client_id}/revoke",
            "POST /settings/clock",
            "POST /rules/{service}/{rulebook_id}/{verb}",
        ),
        Row(form=True),
    ),
    **inspected("gateway"),
}


def _of(service: str, rows: dict[str, Row]) -> dict[Route, Row]:
    return {(service, *name.split(" ", 1)): one for name, one in rows.items()}  # type: ignore[misc]


ROWS: dict[Route, Row] = {
    **of_every_service("onboarding", DRAFTERS, PUBLISHERS),
    **of_every_service("registration", DRAFTERS, PUBLISHERS),
    **of_every_service("attribution", DRAFTERS, PUBLISHERS),
    **of_every_service("incentives", PLANS, PLANS),
    **_of("onboarding", ONBOARDING),
    **_of("registration", REGISTRATION),
    **_of("attribution", ATTRIBUTION),
    **_of("incentives", INCENTIVES),
    **_of("gateway", GATEWAY),
}


# The world that is asked


@dataclass
class Asked:
    """The system after the main job, everybody in it, and the ids of what is the partner's."""

    it: System
    cast: dict[str, Api]
    ids: dict[str, str]
    absent: dict[str, str]

    def rivals(self) -> dict[str, str]:
        """Who knocks from elsewhere, and whose role each has here."""
        return {"rival": "owner", "strange_partner": "owner"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="asked")
async def asked_fixture(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    async with running_system(tmp_path_factory.mktemp("matrix")) as it:
        story = await main_job(it)
        people = await cast(it)
        ids = await _ids(it, people, story)
        await it.settle()
        for service in it.services.values():
            assert service.witness is not None
            await service.witness.checkpoint()
        yield Asked(it, people, ids, {name: _never(name, text) for name, text in ids.items()})


UNKNOWN = {
    "one": "7",
    "year": "2031",
    "programme": "tiers",
    "month": "2031-05",
    "service": "registration",
    "pool": "absent",
    "jurisdiction": "ZZ",
}
"""What stands for words that are no ids."""


def _never(name: str, text: str) -> str:
    """An id that never was, of the same length; what is not an id stays."""
    if name in UNKNOWN:
        return UNKNOWN[name]
    if name.endswith("_stream"):
        kind, _, rest = text.partition("-")
        return f"{kind}-{'0' * len(rest)}"
    return "0" * len(text)


async def _ids(it: System, people: dict[str, Api], story: Any) -> dict[str, str]:
    """One of each of what a partner has, by the names that rows use."""
    ada, owner = people["admin"], people["owner"]
    lines = done(await owner.get("/v1/incentives/lines"))["items"]
    client = {"name": "Program", "scopes": ["registration:read"]}
    members = done(await owner.get(f"/v1/onboarding/partners/{story.partner_id}/people"))["items"]
    learner = next(one for one in members if one["roles"] == ["learner"])
    own = done(await owner.get(f"/v1/registration/deals/{story.deal_id}"))
    return {
        "deal": story.deal_id,
        "number": own["board"]["number"],
        "account": done(await people["desk"].get(f"/v1/registration/deals/{story.deal_id}"))["board"]["account_id"],
        "partner": story.partner_id,
        "person": learner["person_id"],
        "membership": learner["membership_id"],
        "certificate": await _certificate(people["marketing"], learner["person_id"]),
        "opportunity": lines[0]["opportunity_id"],
        "line": lines[0]["line_id"],
        "statement": story.seen["statement"]["statement_id"],
        "payment": story.payment_id,
        "pool": await _pool(owner, lines[0]["opportunity_id"]),
        "connection": it.connection_id,
        "quarantined": "0" * 36,
        "client": done(await owner.post("/v1/clients", client, key="matrix-client"), 201)["client_id"],
        "staff": done(await people["analyst"].get("/v1/me"))["subject"],
        "one": "1",
        "month": "2031-04",
        "jurisdiction": "US",
        "budget": "budget-1",
        "batch": "batch-1",
        "settlement": "settlement-1",
        "form": "form-1",
        "backtest": "backtest-1",
        "exclusion": "exclusion-1",
        "disputed": await _disputed(people),
        "invitation": "no-invitation",
        "case": "no-case",
        "service": "registration",
        "lead": await _lead(owner, "matrix-lead"),
        "own_lead": await _lead(owner, "matrix-own-lead"),
        "import": done(await owner.post("/v1/registration/batches", [{}], key="matrix-import"), 201)["batch_id"],
        "facts_import": await _facts_import(people["finance"]),
        "draft": done(await owner.post("/v1/registration/drafts", {}, key="matrix-draft"), 201)["registration_id"],
        "mail": await _mail(people["desk"], story.partner_id),
        "fund": "fund-1",
        "machine": "machine-1",
        "programme": "tiers",
        "year": "2031",
        **await _funds(people, story.partner_id),
        "tried": await _backtest(people["admin"]),
        "watched": await _in_shadow(people),
        **await _books_and_runs(people),
        **await _events(ada, story),
    }


async def _mail(desk: Api, partner_id: str) -> str:
    """A mail that the vendor handed in for the partner: both may read it."""
    said = {"mail": "Subject: A deal\n\nCustomer: Fabrikam\n", "partner_id": partner_id}
    answer = done(await desk.post("/v1/registration/intake/mail", said, key="matrix-mail"), 202)
    return str(answer["mail_id"])


async def _disputed(people: dict[str, Api]) -> str:
    """The owner waits behind a rival's deal, and disputes that."""
    wish, path = deal("Quarrel", "quarrel.com", close_on="2031-08-20"), "/v1/registration/deals"
    held = done(await people["rival"].post(path, wish, key="matrix-held"), 201)["registration_id"]
    done(await people["desk"].post(f"{path}/{held}/approve", key="matrix-held-approved"))
    waits = done(await people["owner"].post(path, wish, key="matrix-waits"), 201)["registration_id"]
    filed = {"registration_id": waits, "kind": "incumbent", "statement": STATED}
    made = done(await people["owner"].post("/v1/registration/disputes", filed, key="matrix-disputed"), 201)
    dispute_id: str = made["dispute_id"]
    return dispute_id


async def _funds(people: dict[str, Api], partner_id: str) -> dict[str, str]:
    """A drafted fund request with a claim, and a special price."""
    owner, prefix = people["owner"], "/v1/incentives"
    asked = done(await owner.post(f"{prefix}/fund-requests", FUND_REQUEST, key="matrix-fund"), 201)
    claim = {**CLAIM, "of_id": asked["fund_request_id"]}
    claimed = done(await owner.post(f"{prefix}/claims", claim, key="matrix-claim"), 201)
    price = {**SPECIAL_PRICE, "partner_id": partner_id}
    fact = {"metric": "revenue", "ref": "x", "value": "60000", "on": "2031-05-01"}
    done(await people["admin"].post(f"{prefix}/tiers/tiers/{partner_id}/metrics", fact, key="matrix-tier"), 201)
    granted = done(await people["approver"].post(f"{prefix}/special-prices", price, key="matrix-price"), 201)
    return {
        "fund_request": asked["fund_request_id"],
        "fund_claim": claimed["claim_id"],
        "special_price": granted["special_price_id"],
    }


async def _certificate(marketing: Api, person_id: str) -> str:
    """The learner is a security specialist."""
    proof = {"source": "trainer_sheet", "reference": "2031/4"}
    body = {"person_id": person_id, "certification": "security", "earned_on": "2031-05-01", "proof": proof}
    made = done(await marketing.post("/v1/onboarding/certificates", body, key="matrix-certificate"), 201)
    certificate_id: str = made["certificate_id"]
    return certificate_id


async def _facts_import(finance: Api) -> str:
    made = done(await finance.post("/v1/incentives/imports", [{}], key="matrix-facts"), 201)
    batch_id: str = made["batch_id"]
    return batch_id


async def _lead(owner: Api, name: str) -> str:
    wish = {**ENQUIRY, "company": {"name": name, "country": "DE"}, "need": f"{name} looks for a new platform."}
    lead_id: str = done(await owner.post("/v1/registration/leads", wish, key=name), 201)["lead_id"]
    return lead_id


async def _backtest(admin: Api) -> str:
    """A backtest of the standard plan over the year."""
    wish = {"rulebook_id": "standard", "version": 1, "since": "2031-01-01", "until": "2031-12-31"}
    begun = done(await admin.post("/v1/incentives/backtests", wish, key="matrix-backtest"), 202)
    run_id: str = begun["run_id"]
    return run_id


async def _in_shadow(people: dict[str, Api]) -> str:
    """A plan in the shadow of the standard one."""
    schedule = {"semantics": "marginal", "bands": [{"percent": "12"}]}
    plan = {"kind": "commission", "name": "Flat", "currency": "EUR", "schedule": schedule}
    draft = {"rulebook_id": "watched", "kind": "plan", "body": plan}
    path = "/v1/incentives/rulebooks"
    done(await people["admin"].post(path, draft, key="matrix-watched"), 201)
    wish = {"version": 1, "mode": "shadow"}
    done(await people["approver"].post(f"{path}/watched/publish", wish, key="matrix-watched-publish"))
    return "watched"


async def _pool(owner: Api, opportunity_id: str) -> str:
    pools = done(await owner.get(f"/v1/attribution/opportunities/{opportunity_id}/credit"))["pools"]
    pool: str = pools[0]["pool"]
    return pool


BOOKS = {
    "onboarding": ("screening", {"blocked_countries": ["KP"]}),
    "registration": ("default", None),
    "attribution": ("other", {"pools": [{"name": "sourced", "roles": ["source"], "model": "priority"}]}),
    "incentives": ("standard", None),
}


async def _books_and_runs(people: dict[str, Api]) -> dict[str, str]:
    """A published rulebook in each service, a shadow run of it, and one that is in the shadow."""
    found = {}
    for service, (book, body) in BOOKS.items():
        path = f"/v1/{service}/rulebooks"
        if body is not None:
            kind = done(await people["admin"].get(f"/v1/{service}/kinds"))["items"][0]["kind"]
            draft = {"rulebook_id": book, "kind": kind, "body": body}
            version = done(await people["admin"].post(path, draft, key=f"{service}-draft"), 201)["version"]
            wish = {"version": version}
            done(await people["finance"].post(f"{path}/{book}/publish", wish, key=f"{service}-publish"))
        run = {"rulebook_id": book, "version": 1}
        answer = done(await people["admin"].post(f"/v1/{service}/shadow-runs", run, key=f"{service}-run"), 202)
        found |= {f"{service}_book": book, f"{service}_run": answer["run_id"]}
        rules = body or await _body(people, path, book)
        found[f"{service}_shadow"] = await _in_the_shadow(people, service, answer["kind"], rules)
    return found


async def _body(people: dict[str, Api], path: str, book: str) -> dict[str, Any]:
    body: dict[str, Any] = done(await people["admin"].get(f"{path}/{book}/versions/1"))["body"]
    return body


async def _in_the_shadow(people: dict[str, Api], service: str, kind: str, body: dict[str, Any]) -> str:
    """Rules in the shadow, of a rulebook of their own."""
    path, name = f"/v1/{service}/rulebooks", f"{service}-beside"
    draft = {"rulebook_id": name, "kind": kind, "body": body}
    done(await people["admin"].post(path, draft, key=f"{service}-beside"), 201)
    wish = {"version": 1, "mode": "shadow"}
    publisher = "approver" if service == "incentives" else "finance"
    done(await people[publisher].post(f"{path}/{name}/publish", wish, key=f"{service}-beside-publish"))
    return name


EVENTS = {
    "onboarding": "onboarding.PartnerActivated",
    "registration": "registration.DealApproved",
    "attribution": "attribution.CreditAllocated",
    "incentives": "incentives.PayoutCalculated",
    "gateway": "gateway.TenantOpened",
}


async def _events(ada: Api, story: Any) -> dict[str, str]:
    """An event of each service that is about the partner, and its stream."""
    found = {}
    for service, kind in EVENTS.items():
        read = await ada.get(f"/v1/events?limit=1000&type=entente.{kind}.v1")
        items = [orjson.loads(line) for line in read.body.splitlines()]
        own = next(one for one in items if service == "gateway" or story.partner_id in str(one["data"]))
        found |= {f"{service}_event": own["event_id"], f"{service}_stream": own["subject"].partition(":")[2]}
    return found


# Asking

EMPTY = frozenset(
    {
        *(
            "invitation",
            "jurisdiction",
            "quarantined",
            "month",
            "budget",
            "fund",
            "batch",
            "settlement",
            "form",
            "backtest",
            "exclusion",
            "machine",
        ),
        "case",
    }
)
"""Nothing of that kind is there: nobody can tell it from what never was."""
KEYS = count(1)
LONG = 8
"""What is shorter than this is a word, not an id."""
WANTED = re.compile(r"\$(\w+)")


async def ask(asked: Asked, who: str, route: Route, it_is: Row, ids: dict[str, str]) -> Answer:
    """The route as somebody asks it, at the door."""
    method, path = outside(route)
    for name, value in it_is.ids.items():
        path = path.replace(f"{{{name}}}", ids[value])
    if it_is.query:
        path = f"{path}?{_filled(it_is.query, ids)}"
    api = asked.cast[who]
    if method == "GET":
        return await api.get(path)
    body = orjson.dumps(_filled(it_is.body, ids)) if it_is.body is not None else b""
    headers = {"idempotency-key": f"matrix-{next(KEYS)}", "if-match": '"999999"', "entente-tenant": "acme"}
    return await api.send(method, path, body, headers)


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part, ids) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, ids) for part in value]
    if not isinstance(value, str) or "$" not in value:
        return value
    before, _, name = value.partition("$")
    return before + ids[name]


def blotted(answer: Answer, asked: Asked, it_is: Row) -> tuple[int, bytes, dict[str, str]]:
    """What an answer gives away: status, body and headers, with the ids that the asker named itself made alike."""
    body = alike(answer.body.decode(), asked, it_is).encode()
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status, body, headers


def alike(text: str, asked: Asked, it_is: Row) -> str:
    """The text as if it had been asked for what never was."""
    told = {*it_is.ids.values(), *WANTED.findall(it_is.query), *WANTED.findall(orjson.dumps(it_is.body).decode())}
    for name, known in asked.ids.items():
        text = text.replace(known, asked.absent[name]) if name in told or len(known) >= LONG else text
    return text


def named(it_is: Row) -> bool:
    """Whether the row asks for something by an id."""
    return bool(it_is.ids) or "$" in it_is.query or "$" in orjson.dumps(it_is.body).decode()


# The rows


async def test_every_route_has_a_row_and_every_row_a_route(asked: Asked) -> None:
    routes = {route for service in asked.it.services.values() for route in routes_of(service)}
    assert (sorted(routes - ROWS.keys()), sorted(ROWS.keys() - routes)) == ([], [])


async def test_nothing_else_is_mounted(asked: Asked) -> None:
    mounted = {name: mounts_of(service) for name, service in asked.it.services.items()}
    assert mounted == {**{name: set() for name in SERVICES}, "gateway": {"/static"}}


STREAM = "/v1/stream"
"""It has no end: tests/gateway/test_stream.py opens and reads it."""


def rows(*, forms: bool = False, pages: bool = False, opened: bool = False) -> list[Any]:
    return [
        pytest.param(route, it_is, id=" ".join(route))
        for route, it_is in ROWS.items()
        if (it_is.form, it_is.page, it_is.open) == (forms, pages, opened) and route[2] != STREAM
    ]


def is_probe(it_is: Row) -> bool:
    return it_is.who == NOBODY


@pytest.mark.parametrize(("route", "it_is"), rows())
async def test_who_may_and_who_may_not(asked: Asked, route: Route, it_is: Row) -> None:
    for who in sorted(EVERYBODY | OPERATOR):
        found, never = [await ask(asked, who, route, it_is, ids) for ids in (asked.ids, asked.absent)]
        if is_probe(it_is):
            assert found.status == 404, (who, found.body)
        elif who in it_is.who:
            assert found.status not in (401, 403), (who, found.body)
            if it_is.ids and not EMPTY & {*it_is.ids.values()}:
                assert found.status != 404, (who, found.body)
                assert blotted(found, asked, it_is) != blotted(never, asked, it_is), (who, found.body)
        else:
            assert found.status in (403, 404), (who, found.status, found.body)
            assert blotted(found, asked, it_is) == blotted(never, asked, it_is), who


@pytest.mark.parametrize(("route", "it_is"), rows())
async def test_nobody_is_let_in(asked: Asked, route: Route, it_is: Row) -> None:
    found, never = [await ask(asked, "nobody", route, it_is, ids) for ids in (asked.ids, asked.absent)]
    assert found.status == 401, found.body
    assert blotted(found, asked, it_is) == blotted(never, asked, it_is)


@pytest.mark.parametrize("who", ["rival", "strange_partner", "stranger"])
@pytest.mark.parametrize(("route", "it_is"), [p for p in rows() if named(p.values[1])])
async def test_what_is_another_s_is_answered_as_what_never_was(
    asked: Asked, route: Route, it_is: Row, who: str
) -> None:
    shared = {f"{service}_{what}" for service in SERVICES for what in ("book", "run", "shadow")}
    if who == "rival" and shared & {*it_is.ids.values()}:
        return  # published rules are for every partner of the tenant; runs are the vendor's, who are asked above
    found, never = [await ask(asked, who, route, it_is, ids) for ids in (asked.ids, asked.absent)]
    assert blotted(found, asked, it_is) == blotted(never, asked, it_is)
    assert found.status < 500
    if it_is.ids and route[1] == "GET" and not EMPTY & {*it_is.ids.values()}:
        assert found.status in (403, 404), found.body


@pytest.mark.parametrize("who", ["rival", "strange_partner", "stranger"])
@pytest.mark.parametrize(("route", "it_is"), [p for p in rows() if p.values[0][1] == "GET" and not p.values[1].ids])
async def test_no_list_holds_anything_of_another_s(asked: Asked, route: Route, it_is: Row, who: str) -> None:
    _, path = outside(route)
    assert await _held(asked, asked.cast[who], path) == []


HELD = ("deal", "number", "partner", "person", "membership", "opportunity", "line", "statement", "payment", "client")


async def _held(asked: Asked, who: Api, path: str) -> list[str]:
    """What of the partner's an answer holds."""
    answer = await who.get(path)
    if answer.status == 422:  # a search asks for something
        answer = await who.get(f"{path}?q=co")
    return [name for name in HELD if asked.ids[name].encode() in answer.body]


# Pages and forms


SHARED_BOOK = "registration_book"
"""Published rules are for every partner of the tenant."""
OF_NOBODY = {"service"}
"""What a page can be about that is the same for everybody."""


def as_browser(asked: Asked, who: str) -> Any:
    token = asked.cast[who]._token
    return browser(asked.it.front._app, cookies={"entente": token} if token else {})


@pytest.mark.parametrize(("route", "it_is"), rows(pages=True))
async def test_pages(asked: Asked, route: Route, it_is: Row) -> None:
    for who in sorted(EVERYBODY | {"rival", "stranger", "strange_partner", "nobody"}):
        async with as_browser(asked, who) as client:
            found, never = [await client.get(_page(route, it_is, ids)) for ids in (asked.ids, asked.absent)]
        if who == "nobody":
            assert (found.status_code, found.headers["location"].partition("?")[0]) == (303, "/sign-in")
        elif who in it_is.who:
            assert found.status_code == 200, (who, found.status_code)
        elif who not in EVERYBODY and _open_to_rivals(it_is, who):
            assert found.status_code in (200, 403)
            assert asked.ids["deal"] not in found.text
        else:
            assert found.status_code in (403, 404), (who, found.status_code)
            assert (found.status_code, _same(found.text, asked, it_is)) == (
                never.status_code,
                _same(never.text, asked, it_is),
            ), who


def _open_to_rivals(it_is: Row, who: str) -> bool:
    """Whether somebody of another partner or vendor may be shown such a page, without a word of this one."""
    return set(it_is.ids.values()) <= OF_NOBODY or (who == "rival" and SHARED_BOOK in it_is.ids.values())


def _page(route: Route, it_is: Row, ids: dict[str, str]) -> str:
    path = route[2]
    for name, value in it_is.ids.items():
        path = path.replace(f"{{{name}}}", ids[value])
    return path


def _same(text: str, asked: Asked, it_is: Row) -> str:
    """A page without the ids that were asked for, what tells the time, and the keys of its forms."""
    passing = ("entente-now", 'name="key"', "<time", "<footer>", 'role="status"')
    return "\n".join(line for line in alike(text, asked, it_is).splitlines() if not any(one in line for one in passing))


@pytest.mark.parametrize(("route", "it_is"), rows(forms=True))
async def test_forms_are_taken_from_their_own_page_alone(asked: Asked, route: Route, it_is: Row) -> None:
    path = route[2].replace("{", "").replace("}", "")
    for who in ("admin", "owner", "rival", "stranger"):
        async with as_browser(asked, who) as client:
            answer = await client.post(path, data={"token": "guess"}, headers={"origin": "http://127.0.0.1:8080"})
            assert answer.status_code == 403
    async with as_browser(asked, "nobody") as client:
        answer = await client.post(path, data={})
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize(("route", "it_is"), rows(opened=True))
async def test_what_is_open_to_all_tells_nothing_of_anyone(asked: Asked, route: Route, it_is: Row) -> None:
    found, never = [await ask(asked, "nobody", route, it_is, ids) for ids in (asked.ids, asked.absent)]
    assert found.status not in (403, 404)
    if named(it_is):
        assert blotted(found, asked, it_is) == blotted(never, asked, it_is)
    if route[1:] != ("GET", "/dev/identities") and route[1:] != ("GET", "/dev/sign-in"):
        assert asked.ids["deal"].encode() not in found.body
        assert asked.ids["partner"].encode() not in found.body


# Partners that became one


SHARED = {f"{service}_{what}" for service in SERVICES for what in ("book", "run", "shadow")}
OWNER_ROWS = {
    route: it_is
    for route, it_is in ROWS.items()
    if "owner" in it_is.who
    and named(it_is)
    and not (it_is.open or it_is.form or it_is.page or SHARED & {*it_is.ids.values()})
}
"""What a partner's owner may do with what is named by an id."""


async def test_who_absorbed_a_partner_may_what_its_owner_may_and_a_rival_nothing_until_they_are_two_again(
    asked: Asked,
) -> None:
    owner, mine = asked.cast["owner"], asked.ids["partner"]
    survivor_id, survivor = await _another_partner(asked)
    people = asked.cast | {"survivor": survivor}
    assert (await _opened(asked, people, "survivor"), await _opened(asked, people, "rival")) == ([], [])
    before = await _opened(asked, people, "owner")

    await _merging(asked, f"{mine}/merge", {"into": survivor_id, "effective_on": "2031-05-02"})

    assert [done(await one.get("/v1/me"))["partner_id"] for one in (survivor, owner)] == [survivor_id, survivor_id]
    assert await _opened(asked, people, "survivor") == before
    assert await _opened(asked, people, "owner") == before
    assert await _opened(asked, people, "rival") == []
    lists = [await _holding(asked, who) for who in (survivor, owner, asked.cast["rival"])]
    assert lists == [LISTED, LISTED, []]
    feed = "/v1/events?limit=1000"
    told = [name for name in HELD if name != "client"]
    assert await _held(asked, survivor, feed) == await _held(asked, owner, feed) == told
    assert [await _shown(asked, people, who) for who in ("survivor", "owner", "rival")] == [{200}, {200}, {404}]
    wish = deal("Fabrikam", "fabrikam.com", partner_id=mine, close_on="2031-08-20")
    made = done(await owner.post("/v1/registration/deals", wish, key="matrix-as-survivor"), 201)
    assert made["partner_id"] == survivor_id

    await _merging(asked, f"{mine}/unmerge", {"into": survivor_id}, proposals=1)

    assert [done(await one.get("/v1/me"))["partner_id"] for one in (survivor, owner)] == [survivor_id, mine]
    assert await _opened(asked, people, "owner") == before
    assert await _opened(asked, people, "survivor") == []
    assert [await _shown(asked, people, who) for who in ("survivor", "owner")] == [{404}, {200}]
    assert [await _holding(asked, who) for who in (survivor, owner)] == [[], LISTED]
    assert await _held(asked, survivor, feed) == ["partner"]  # the merger itself stays told
    assert (await owner.get(f"/v1/registration/deals/{made['registration_id']}")).status == 404


async def _another_partner(asked: Asked) -> tuple[str, Api]:
    """A partner with one owner, and a second administrator of the vendor."""
    admin = asked.cast["admin"]
    colleague = {"handle": "abe", "name": "Abe", "mail": "abe@acme.example", "roles": ["admin"]}
    done(await admin.post("/v1/staff", colleague, key="matrix-abe"), 201)
    profile = {"legal_name": "Eastgate", "country": "DE", "domains": ["eastgate.example"], "types": ["reseller"]}
    partner_id: str = done(await admin.post("/v1/onboarding/partners", profile, key="matrix-eastgate"), 201)[
        "partner_id"
    ]
    done(await admin.post(f"/v1/onboarding/partners/{partner_id}/approve", {}, key="matrix-eastgate-approve"))
    person_id = await joined(admin, partner_id, "erin", ["owner"])
    await asked.it.settle()
    return partner_id, await asked.it.who(person_id)


async def _merging(asked: Asked, step: str, body: dict[str, str], proposals: int = 2) -> None:
    admins = (asked.cast["admin"], await asked.it.who("abe"))
    for number, admin in enumerate(admins[:proposals]):
        done(await admin.post(f"/v1/onboarding/partners/{step}", body, key=f"matrix-{step[-8:]}-{number}"))
    await asked.it.settle()


async def _opened(asked: Asked, people: dict[str, Api], who: str) -> list[Route]:
    """The rows of which somebody is answered otherwise for what is the partner's than for what never was."""
    here = Asked(asked.it, people, asked.ids, asked.absent)
    return [
        route
        for route, it_is in OWNER_ROWS.items()
        if blotted(await ask(here, who, route, it_is, asked.ids), asked, it_is)
        != blotted(await ask(here, who, route, it_is, asked.absent), asked, it_is)
    ]


OWNER_PAGES = {
    route: it_is
    for route, it_is in ROWS.items()
    if it_is.page and "owner" in it_is.who and it_is.ids and not (SHARED | OF_NOBODY) & {*it_is.ids.values()}
}


async def _shown(asked: Asked, people: dict[str, Api], who: str) -> set[int]:
    """How the portal answers somebody who opens the pages of what is the partner's."""
    async with as_browser(Asked(asked.it, people, asked.ids, asked.absent), who) as client:
        return {(await client.get(_page(route, it_is, asked.ids))).status_code for route, it_is in OWNER_PAGES.items()}


LISTED = [name for name in HELD if name != "membership"]
"""What stands in lists: a membership is told by the feed alone."""


async def _holding(asked: Asked, who: Api) -> list[str]:
    """What of the partner's stands in all lists together but the feed."""
    lists = [
        route for route, it_is in ROWS.items() if route[1] == "GET" and not (it_is.ids or it_is.open or it_is.page)
    ]
    found = {
        name
        for route in lists
        if route[2] not in (STREAM, "/v1/events")
        for name in await _held(asked, who, outside(route)[1])
    }
    return [name for name in HELD if name in found]
