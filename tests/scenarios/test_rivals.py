"""Two partners want one customer: whatever either may ask, at any door, no byte of the answer is the other's.

Asked twice: while the dispute between them is appealed, and when it is final and who held the customer has lost it.

Each side says things that nobody else says, and everything it is ever answered is searched for what the other said. The
routes are those of the access matrix, where one without a row fails: a route added later is asked here by itself.
What a loser may know is not among the words looked for: reasons, its place, when the customer is free, the day on which
the rival asked, until when it may appeal, and the id of the customer, which is the same for both.
"""

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from chassis.asgi import Answer, Api
from services.first_run import FirstPartner, add_partner, signed_in
from tests.scenarios.browser import browser, streaming
from tests.scenarios.main_job import DEALS
from tests.scenarios.overheard import Heard, Log, Overheard
from tests.scenarios.routes import Route, outside, routes_of
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_access_matrix import ROWS, Row

REGISTRATION = "/v1/registration"
KEYS = count(1)
WANTED = re.compile(r"\$(\w+)")
WORDS = {"one": "1", "month": "2031-04", "year": "2031", "service": "registration", "programme": "tiers"}
"""Names in rows that stand for words; whatever else a side has not, is asked for by its name."""
SAME = "ab" * 32
"""A document that both show."""


@dataclass
class Side:
    """A partner in the conflict: what it alone says, its ids, and everything that it was answered."""

    name: str
    domain: str
    said: dict[str, str]
    log: Log = field(default_factory=Log)
    ids: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    api: Api = None  # type: ignore[assignment]

    def own(self) -> list[str]:
        """What nobody else may be answered."""
        return [self.name, self.domain, *self.said.values(), *self.ids.values(), *self.events]


def holder() -> Side:
    return Side(
        name="Verschwiegen Vertrieb",
        domain="verschwiegen-vertrieb.example",
        said={
            "customer": "Kontoso Geheimrat GmbH",
            "trade_name": "Kontoso Undercover",
            "street": "Verborgene Gasse 7",
            "sku": "HIDDEN-SKU-7",
            "amount": "98765.43",
            "shown_amount": "98,765.43",
            "contact": "Ida Heimlich",
            "email": "ida.heimlich@kontoso.example",
            "description": "Replaces all that runs in their clandestine plant.",
            "partner_reference": "PO-HOLDER-1",
            "price_reference": "PRICE-HOLDER-1",
            "evidence": "cd" * 32,
            "note": "We know their purchaser since the sailing club.",
            "dispute": "The incumbent has been us since the year of the flood.",
            "appeal": "The umpire forgot our barrels in their cellar.",
            "invited": "Would you deliver the tinplate boxes?",
            "lead": "Zinnober Werke",
            "need": "They look for a crimson platform for their people.",
            "draft": "Quecksilber Handel",
            "mail": "Pfefferminz Kontor",
            "batch": "Rhabarber Import",
            "key": "Nightly secretary",
            "owner": "Hilde Halter",
        },
    )


def rival() -> Side:
    return Side(
        name="Neugier Networks",
        domain="neugier-networks.example",
        said={
            "customer": "Contoso Rivalis SE",
            "trade_name": "Contoso Incognito",
            "street": "Lauschergasse 12",
            "sku": "COVERT-SKU-9",
            "amount": "87654.32",
            "shown_amount": "87,654.32",
            "contact": "Udo Spitzel",
            "email": "udo.spitzel@contoso.example",
            "description": "Brings a whole new backroom to the other half.",
            "partner_reference": "PO-RIVAL-2",
            "price_reference": "PRICE-RIVAL-2",
            "evidence": "ef" * 32,
            "note": "Their chairman plays chess with our founder.",
            "dispute": "We were there with a demonstration before any other.",
            "appeal": "Nobody has asked the lighthouse keeper yet.",
            "invited": "Would you bring the copper kettles?",
            "lead": "Violett Fabrik",
            "need": "They look for a purple platform for their people.",
            "draft": "Wermut Handel",
            "mail": "Safran Kontor",
            "batch": "Ingwer Import",
            "key": "Weekly whisperer",
            "owner": "Rita Rival",
        },
    )


OFFERED = {
    "holder": ("Karmesin Holding", "Olga Offen", "olga.offen@karmesin.example"),
    "rival": ("Indigo Holding", "Paul Plan", "paul.plan@indigo.example"),
}
"""Of leads that the vendor offers and nobody has accepted: what neither may be answered yet."""


@dataclass
class Conflict:
    """The system with both in it."""

    it: System
    sides: dict[str, Side]
    people: dict[str, Api]

    def other(self, name: str) -> Side:
        return self.sides["rival" if name == "holder" else "holder"]


def key() -> str:
    return f"rivals-{next(KEYS)}"


APPEALED, LOST = "appealed", "lost"
"""How far the dispute is: decided against the holder, which appeals; or final, and the two have changed places."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="conflict", params=[APPEALED, LOST])
async def conflict_fixture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Conflict]:
    async with running_system(tmp_path_factory.mktemp("rivals")) as it:
        people = {name: await it.who(name) for name in ("ada", "dora", "faye", "finn")}
        conflict = Conflict(it, {"holder": holder(), "rival": rival()}, people)
        for side in conflict.sides.values():
            await joins(conflict, side)
        await contest(conflict, request.param)
        yield conflict


async def joins(conflict: Conflict, side: Side) -> None:
    """The partner is taken on, with an owner who listens from now on."""
    first = FirstPartner(side.name, "DE", side.domain, side.said["owner"])
    ada = conflict.people["ada"]
    partner_id = await add_partner(ada, first, key())
    await conflict.it.settle()
    people = done(await ada.get(f"/v1/onboarding/partners/{partner_id}/people"))["items"]
    side.ids |= {"partner": partner_id, "person": people[0]["person_id"], "membership": people[0]["membership_id"]}
    side.api = Overheard(await signed_in(conflict.it.front, people[0]["person_id"]), side.log)


async def contest(conflict: Conflict, ends: str) -> None:
    """The holder gets the customer; the rival waits and disputes it; that is decided, and appealed.

    Either by the holder, and nobody has decided that yet; or by the rival, which is right: it holds the customer then, and
    who held it is revoked. Each goes on with its own.
    """
    first, second = conflict.sides.values()
    dora = conflict.people["dora"]
    await registers(first)
    await conflict.it.settle()
    done(await dora.post(f"{DEALS}/{first.ids['deal']}/approve", key=key()))
    done(await second.api.post(f"{DEALS}/preview", body_of(second)))
    checked = done(await second.api.post(f"{REGISTRATION}/checks", body_of(second), key=key()))
    assert checked["availability"] == "taken"
    waiting = await registers(second)
    assert waiting["status"] == "waiting"
    filed = {"registration_id": second.ids["deal"], "kind": "incumbent", "statement": second.said["dispute"]}
    shown = {"evidence": [evidence(second.said["evidence"])]}
    second.ids["disputed"] = done(await second.api.post(f"{REGISTRATION}/disputes", filed, key=key()), 201)[
        "dispute_id"
    ]
    path = f"{REGISTRATION}/disputes/{second.ids['disputed']}"
    done(await dora.post(f"{path}/request-evidence", {"question": "Who says so?"}, key=key()))
    done(await second.api.post(f"{path}/show-evidence", shown, key=key()))
    await (first_is_wrong if ends == APPEALED else second_is_right)(conflict, path)
    for side in conflict.sides.values():
        await goes_on(conflict, side)
    invited = [side for side in (first, second) if "invitation" in side.ids]
    assert invited == ([first, second] if ends == APPEALED else [second]), "who was revoked invites nobody"
    await offers(conflict)
    await conflict.it.settle()
    await remembers(conflict)


async def decides(conflict: Conflict, who: str, path: str, outcome: str) -> None:
    verdict = {"outcome": outcome, "reason": "The papers say so."}
    done(await conflict.people[who].post(f"{path}/decide", verdict, key=key()))
    await conflict.it.settle()


async def first_is_wrong(conflict: Conflict, path: str) -> None:
    """The holder loses, and appeals; the rival may not too."""
    first, second = conflict.sides.values()
    await decides(conflict, "ada", path, "overturned")
    own = f"{REGISTRATION}/disputes/{first.ids['deal']}"
    done(await first.api.post(f"{own}/appeal", {"statement": first.said["appeal"]}, key=key()))
    twice = await second.api.post(f"{path}/appeal", {"statement": second.said["appeal"]}, key=key())
    assert twice.status == 409, twice.body


async def second_is_right(conflict: Conflict, path: str) -> None:
    """The rival loses, appeals, and wins."""
    first, second = conflict.sides.values()
    await decides(conflict, "ada", path, "upheld")
    done(await second.api.post(f"{path}/appeal", {"statement": second.said["appeal"]}, key=key()))
    await decides(conflict, "finn", path, "overturned")
    deals = [done(await side.api.get(f"{DEALS}/{side.ids['deal']}"))["board"] for side in (first, second)]
    assert [one["status"] for one in deals] == ["revoked", "approved"]
    contested = f"{REGISTRATION}/disputes/{first.ids['deal']}"
    assert done(await first.api.get(contested))["stage"] == "final"


def evidence(sha256: str) -> dict[str, Any]:
    return {"kind": "mail", "dated_on": "2031-03-01", "sha256": sha256}


def body_of(side: Side, **changes: Any) -> dict[str, Any]:
    """The one customer, as this side tells of it."""
    said = side.said
    return {
        "customer": {
            "name": said["customer"],
            "country": "DE",
            "website": "www.contoso-both.com",
            "street": said["street"],
            "trade_names": [said["trade_name"]],
        },
        "products": [{"family": "platform"}, {"family": "platform", "sku": said["sku"]}],
        "amount": {"amount": said["amount"], "currency": "EUR"},
        "contacts": [{"name": said["contact"], "email": said["email"], "consent": True}],
        "description": said["description"],
        "partner_reference": said["partner_reference"],
        "price_reference": said["price_reference"],
        "evidence": [evidence(SAME), evidence(said["evidence"])],
        **changes,
    }


async def registers(side: Side) -> dict[str, Any]:
    answer: dict[str, Any] = done(await side.api.post(DEALS, body_of(side), key=key()), 201)
    side.ids |= {"deal": answer["registration_id"], "number": answer["number"]}
    return answer


async def goes_on(conflict: Conflict, side: Side) -> None:
    """What else a partner leaves behind: notes, an invitation, a draft, a mail, an import, a lead, a key."""
    said, api, deal = side.said, side.api, side.ids["deal"]
    south = done(await (await conflict.it.who("southbridge")).get("/v1/me"))["partner_id"]
    asks = {"registration_id": deal, "partner_id": south, "role": "distribute", "message": said["invited"]}
    lead = {"company": {"name": said["lead"], "country": "DE", "website": "www.both-ask.com"}, "need": said["need"]}
    draft = {"customer": {"name": said["draft"], "country": "DE"}}
    mail = {"mail": f"Subject: A deal\n\nCustomer: {said['mail']}\n"}
    row = body_of(side, customer={"name": said["batch"], "country": "DE", "website": "www.contoso-both.com"})
    program = {"name": said["key"], "scopes": ["registration:read"]}
    for name, path, body in (
        ("note", f"{DEALS}/{deal}/notes", {"text": said["note"]}),
        ("invitation", f"{REGISTRATION}/invitations", asks),
        ("draft", f"{REGISTRATION}/drafts", draft),
        ("mail", f"{REGISTRATION}/intake/mail", mail),
        ("import", f"{REGISTRATION}/batches", [{**row, "partner_reference": said["partner_reference"] + "b"}]),
        ("lead", f"{REGISTRATION}/leads", lead),
        ("client", "/v1/clients", program),
    ):
        answer = await api.post(path, body, key=key())
        if name == "invitation" and answer.status == 409:  # who was revoked invites nobody; it was heard
            continue
        made = done(answer)
        side.ids[name] = next(made[one] for one in IDS if one in made)


IDS = ("note_id", "invitation_id", "mail_id", "batch_id", "lead_id", "client_id", "registration_id")


async def offers(conflict: Conflict) -> None:
    """The vendor offers a lead to each of them."""
    dora = conflict.people["dora"]
    for name, side in conflict.sides.items():
        company, contact, email = OFFERED[name]
        wish = {
            "company": {"name": company, "country": "DE"},
            "contact": {"name": contact, "email": email, "consent": True},
            "need": f"Write to {email} about a platform for everybody.",
            "direction": "outbound",
        }
        lead_id = done(await dora.post(f"{REGISTRATION}/leads", wish, key=key()), 201)["lead_id"]
        to = {"partner_id": side.ids["partner"]}
        done(await dora.post(f"{REGISTRATION}/leads/{lead_id}/assign", to, key=key()))
        side.ids["offered"] = lead_id


async def remembers(conflict: Conflict) -> None:
    """The events by which others heard of each side, and its streams, by the names that rows use."""
    read = await conflict.people["ada"].get("/v1/events?limit=1000")
    told = [orjson.loads(line) for line in read.body.splitlines()]
    for side in conflict.sides.values():
        mine = [one for one in told if side.ids["partner"] in str(one["data"])]
        side.events = [one["event_id"] for one in mine]
        for service in ("onboarding", "registration", "attribution"):
            of_it = [one for one in mine if one["source"] == service]
            if of_it:
                side.ids[f"{service}_event"] = of_it[0]["event_id"]
                side.ids[f"{service}_stream"] = of_it[0]["subject"].partition(":")[2]


# Asking


def every_route(it: System, *methods: str) -> Iterator[tuple[Route, Row]]:
    """All routes of all services with their rows; one that has none fails here."""
    for service in it.services.values():
        for route in routes_of(service):
            row = ROWS[route]
            if route[1] in methods and route[2] not in ("/v1/stream", "/v1/tenants") and "/dev/" not in route[2]:
                yield route, row


async def asks(conflict: Conflict, name: str, *methods: str) -> None:
    """One side asks every route for what is its own and for what is the other's; forms need their page."""
    side = conflict.sides[name]
    for whose in (conflict.other(name), side):
        for route, row in every_route(conflict.it, *methods):
            if row.form or (whose is side and ends(route)):
                continue
            if row.page:
                await looks(conflict, side, path_of(route, row, whose))
            else:
                await ask(side, route, row, whose)


def ends(route: Route) -> bool:
    """Whether it might take the asker away: beside its own deals and leads it only reads."""
    return route[1] != "GET" and route[0] != "registration"


def value(whose: Side, name: str) -> str:
    return whose.ids.get(name) or WORDS.get(name) or name.removesuffix("_book")


def path_of(route: Route, row: Row, whose: Side) -> str:
    path = outside(route)[1]
    for name in re.findall(r"{(\w+)}", path):
        path = path.replace(f"{{{name}}}", value(whose, row.ids.get(name, name)))
    return path


async def ask(side: Side, route: Route, row: Row, whose: Side) -> Answer:
    path = path_of(route, row, whose)
    query = WANTED.sub(lambda hit: value(whose, hit[1]), row.query)
    body = WANTED.sub(lambda hit: value(whose, hit[1]), orjson.dumps(row.body).decode()) if row.body else ""
    headers = {"idempotency-key": key(), "entente-tenant": "acme"} if route[1] != "GET" else {}
    return await side.api.send(route[1], f"{path}?{query}" if query else path, body.encode(), headers)


async def looks(conflict: Conflict, side: Side, path: str) -> str:
    """A page as a browser gets it."""
    async with browser(conflict.it.front._app, cookies={"entente": side.api._token}) as client:
        answer = await client.get(path, follow_redirects=True)
    side.log.add(f"GET {path}", answer.status_code, answer.headers, answer.content)
    return answer.text


def leaks(conflict: Conflict, name: str) -> list[tuple[str, list[str]]]:
    unaccepted = [word for words in OFFERED.values() for word in words]
    return conflict.sides[name].log.leaks([*conflict.other(name).own(), *unaccepted])


# What they get


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["rival", "holder"])
async def test_no_read_page_or_export_answers_a_byte_of_the_other_s(conflict: Conflict, name: str) -> None:
    side = conflict.sides[name]
    await asks(conflict, name, "GET")
    assert sum(one.status == 200 for one in side.log.heard) > 100
    assert leaks(conflict, name) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["rival", "holder"])
async def test_no_feed_or_live_stream_tells_a_byte_of_the_other_s(conflict: Conflict, name: str) -> None:
    side = conflict.sides[name]
    begun = await side.api.get("/v1/events?limit=1")
    feed = await side.api.get("/v1/events?limit=1000")
    newest = orjson.loads(feed.body.splitlines()[-1])["event_id"]
    headers = {"authorization": f"Bearer {side.api._token}", "last-event-id": begun.headers["entente-next"]}
    async with streaming(conflict.it.front._app, headers) as stream:
        await stream.until(lambda one: newest in [told.item["event_id"] for told in one.told])
    side.log.add("GET /v1/stream", stream.status, {}, orjson.dumps([told.item for told in stream.told]))
    assert side.ids["deal"] in str(stream.told)
    assert leaks(conflict, name) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["rival", "holder"])
async def test_no_command_or_refusal_answers_a_byte_of_the_other_s(conflict: Conflict, name: str) -> None:
    side = conflict.sides[name]
    await asks(conflict, name, "POST", "PUT", "PATCH")
    answered = {one.status for one in side.log.heard if one.asked.startswith("POST")}
    assert answered >= {200, 201, 403, 404, 409, 422}
    assert leaks(conflict, name) == []


IN_FORMS = {
    "registration_id": "deal",
    "lead_id": "lead",
    "mail_id": "mail",
    "batch_id": "import",
    "client_id": "client",
    "invitation_id": "invitation",
    "partner_id": "partner",
    "payee_id": "partner",
    "account_id": "account",
}
"""Of whose things the forms of pages speak, by the names in their paths."""
VERBS = ("withdraw", "amend", "appeal", "accept", "decline", "forget", "apply", "register", "invite", "note")
TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", ["rival", "holder"])
async def test_no_form_of_a_page_sent_for_the_other_s_answers_a_byte_of_it(conflict: Conflict, name: str) -> None:
    side, other = conflict.sides[name], conflict.other(name)
    sealed = TOKEN.search(await looks(conflict, side, "/deals/new"))
    assert sealed
    statuses = set()
    for route, row in every_route(conflict.it, "POST"):
        forms = row.form and "{" in route[2]
        for verb in VERBS if forms and re.search(r"{(verb|step)}", route[2]) else ("",) if forms else ():
            path = re.sub(r"{(verb|step)}", verb, route[2])
            path = re.sub(r"{(\w+)}", lambda hit: value(other, IN_FORMS.get(hit[1], hit[1])), path)
            statuses.add(await sends(conflict, side, path, {"token": sealed[1], "key": key()}))
    assert statuses >= {403, 404}
    assert leaks(conflict, name) == []


async def sends(conflict: Conflict, side: Side, path: str, form: dict[str, str]) -> int:
    """A form as a browser sends it, and the page to which it leads."""
    options = {"cookies": {"entente": side.api._token}, "headers": {"origin": conflict.it.address}}
    async with browser(conflict.it.front._app, **options) as client:
        answer = await client.post(path, data=form, follow_redirects=True)
    side.log.add(f"POST {path}", answer.status_code, answer.headers, answer.content)
    return answer.status_code


HIDDEN = b"of Kontoso Geheimrat GmbH."


def archived() -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", HIDDEN)
    return kept.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        HIDDEN.upper(),
        gzip.compress(HIDDEN),
        archived(),
        b"stream\n" + zlib.compress(HIDDEN) + b"\nendstream",
        b"?q=" + quote(HIDDEN).encode(),
        b"<p>" + HIDDEN.replace(b" ", b"&#32;"),
        HIDDEN.replace(b"K", b"\\u004b"),
        b'{"cursor": "' + base64.urlsafe_b64encode(HIDDEN).rstrip(b"=") + b'"}',
        base64.b64encode(gzip.compress(HIDDEN)),
    ],
    ids=["capitals", "gzip", "xlsx", "pdf", "percent", "entities", "escapes", "cursor", "gzip in base64"],
)
def test_what_is_packed_or_coded_is_found(content: bytes) -> None:
    told = Heard("GET /deals", 200, content)
    assert told.holds(["Kontoso Geheimrat GmbH", "Contoso Rivalis SE"]) == ["Kontoso Geheimrat GmbH"]
    assert Heard("GET /deals?q=kontoso geheimrat gmbh", 200, content).holds(["Kontoso Geheimrat GmbH"]) == []
