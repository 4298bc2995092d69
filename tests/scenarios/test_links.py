"""Where each role is led: every link goes where its reader may go, every form is taken, what a page shows is for people."""

import html
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from tests.scenarios.cast import PARTNER, VENDOR, cast
from tests.scenarios.main_job import Story, main_job
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_money_pages import portal_of

LOOKING = (*VENDOR, *PARTNER, "rival", "stranger", "strange_partner")
ALIKE_MAX = 2
"""Of pages that differ by an id only, this many are looked at."""
ONE_OF_MANY = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<==)[^&]*")
ENDLESS_OR_LAST = ("/v1/stream", "/sign-out")
BUILTIN = re.compile(r"[({\[]&#39;|&#39;: |: None\b")
"""How a value of the program itself would look on a page."""
FILLED_IN = {"date": "2031-06-01", "number": "1", "email": "x@example.com", "url": "https://x.example.com"}
NOT_AN_OFFER = ("", "/sign-out")
MISSES_SOMETHING = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


@pytest.mark.timeout(600)
async def test_no_page_offers_what_its_reader_may_not_have_or_do(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        story = await main_job(it)
        await credited_to_both(it, story)
        people = await cast(it)
        offered: dict[str, dict[str, Offer]] = {}
        for part in LOOKING:
            async with portal_of(it, people[part]) as client:
                dead, looked_at, offered[part] = await read_through(client)
                assert (part, dead) == (part, [])
                assert looked_at > 30
        for part in LOOKING:
            async with portal_of(it, people[part]) as client:
                refused = [said for offer in offered[part].values() if (said := await refusal(client, offer))]
                assert (part, refused) == (part, [])
        assert min(len(offers) for offers in offered.values()) > 2


async def credited_to_both(it: System, story: Story) -> None:
    """From now on each of two partners has a part in what the other one sees."""
    finn, south = await it.who("finn"), done(await (await it.who("southbridge")).get("/v1/me"))["partner_id"]
    [sale] = done(await finn.get(f"/v1/attribution/opportunities?registration_id={story.deal_id}"))["items"]
    path = f"/v1/attribution/opportunities/{sale['opportunity_id']}/credit"
    pool = done(await finn.get(path))["pools"][0]["pool"]
    halves = [{"partner_id": one, "role": "sourcing", "percent": "50"} for one in (story.partner_id, south)]
    body = {"shares": halves, "reason_code": "split", "reason": "both brought it"}
    done(await finn.post(f"{path}/{pool}/revise", body, key="halves"))
    await it.settle()


@dataclass
class Offer:
    """A form of a page, with what it sends as it stands there; what has to be filled in is."""

    page: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Offers(HTMLParser):
    """The forms of a page by which something is done."""

    def __init__(self, page: str, text: str) -> None:
        super().__init__()
        self.page, self.found = page, list[Offer]()
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "form":
            self.found.append(Offer(self.page, given["action"] if given.get("method") == "post" else ""))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self.found:
            self._keep(self._select, given.get("value", ""), over="selected" in given)
        elif tag in ("input", "textarea") and self.found and given.get("type") not in ("file", "checkbox", "radio"):
            self._keep(
                name, given.get("value") or FILLED_IN.get(given.get("type", "text"), "x") * ("required" in given)
            )

    def _keep(self, name: str, value: str, *, over: bool = False) -> None:
        fields = self.found[-1].fields
        fields[name] = value if over else fields.get(name, value)


def offers_of(answer: httpx.Response, path: str) -> list[Offer]:
    if not answer.headers["content-type"].startswith("text/html"):
        return []
    return [offer for offer in Offers(path, answer.text).found if offer.action not in NOT_AN_OFFER]


async def refusal(client: httpx.AsyncClient, offer: Offer) -> str:
    """What was wrong about sending the form, by somebody who has just opened its page; "" where it is taken or misses a field."""
    now = [one for one in offers_of(await client.get(offer.page), offer.page) if one.action == offer.action]
    if not now:
        return ""  # the page no longer offers it, after what was sent before
    answer = await client.post(offer.action, data=now[0].fields)
    taken = answer.status_code < HTTPStatus.BAD_REQUEST or answer.status_code in MISSES_SOMETHING
    return "" if taken else f"{offer.action} of {offer.page}: {answer.status_code}"


async def read_through(client: httpx.AsyncClient) -> tuple[list[str], int, dict[str, Offer]]:
    """What went wrong where, how many pages were read, from the first page on along every link, and one form of each kind."""
    found: list[str] = []
    offers: dict[str, Offer] = {}
    seen, alike, todo = {"/"}, Counter[str](), deque([("/", "")])
    while todo:
        path, from_page = todo.popleft()
        answer = await client.get(path)
        if answer.status_code >= 400:
            found.append(f"{path} of {from_page}: {answer.status_code}")
        if BUILTIN.search(answer.text) and answer.headers["content-type"].startswith("text/html"):
            found.append(f"{path}: {BUILTIN.search(answer.text)}")
        for offer in offers_of(answer, path):
            offers.setdefault(ONE_OF_MANY.sub("…", offer.action), offer)
        for link in links_of(answer, path):
            kind = ONE_OF_MANY.sub("…", link)
            if link not in seen and alike[kind] < ALIKE_MAX:
                seen.add(link)
                alike[kind] += 1
                todo.append((link, path))
    return found, len(seen), offers


def links_of(answer: httpx.Response, path: str) -> list[str]:
    """Where the links of a page lead within the portal."""
    if not answer.headers["content-type"].startswith("text/html"):
        return []
    named = [html.unescape(one).partition("#")[0] for one in re.findall(r'<a [^>]*?href="([^"]+)"', answer.text)]
    whole = [path.partition("?")[0] + one if one.startswith("?") else one for one in named]
    return [one for one in whole if one.startswith("/") and not one.startswith(ENDLESS_OR_LAST)]
