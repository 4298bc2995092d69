"""Every link that a page shows leads somewhere that its reader may go; what is drawn on a page is for people."""

import html
import re
from collections import Counter, deque
from pathlib import Path

import httpx
import pytest

from tests.scenarios.main_job import Story, main_job
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_money_pages import portal_of

LOOKING = ("finn", "northwind", "southbridge")
ALIKE_MAX = 2
"""Of pages that differ by an id only, this many are looked at."""
ONE_OF_MANY = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<==)[^&]*")
ENDLESS_OR_LAST = ("/v1/stream", "/sign-out")
BUILTIN = re.compile(r"[({\[]&#39;|&#39;: |: None\b")
"""How a value of the program itself would look on a page."""


@pytest.mark.timeout(600)
async def test_no_page_links_to_what_its_reader_may_not_have(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        story = await main_job(it)
        await credited_to_both(it, story)
        for name in LOOKING:
            async with portal_of(it, await it.who(name)) as client:
                dead, looked_at = await read_through(client)
                assert (name, dead) == (name, [])
                assert looked_at > 40


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


async def read_through(client: httpx.AsyncClient) -> tuple[list[str], int]:
    """What went wrong where, and how many pages were read, from the first page on along every link."""
    found: list[str] = []
    seen, alike, todo = {"/"}, Counter[str](), deque([("/", "")])
    while todo:
        path, from_page = todo.popleft()
        answer = await client.get(path)
        if answer.status_code >= 400:
            found.append(f"{path} of {from_page}: {answer.status_code}")
        if BUILTIN.search(answer.text) and answer.headers["content-type"].startswith("text/html"):
            found.append(f"{path}: {BUILTIN.search(answer.text)}")
        for link in links_of(answer, path):
            kind = ONE_OF_MANY.sub("…", link)
            if link not in seen and alike[kind] < ALIKE_MAX:
                seen.add(link)
                alike[kind] += 1
                todo.append((link, path))
    return found, len(seen)


def links_of(answer: httpx.Response, path: str) -> list[str]:
    """Where the links of a page lead within the portal."""
    if not answer.headers["content-type"].startswith("text/html"):
        return []
    named = [html.unescape(one).partition("#")[0] for one in re.findall(r'<a [^>]*?href="([^"]+)"', answer.text)]
    whole = [path.partition("?")[0] + one if one.startswith("?") else one for one in named]
    return [one for one in whole if one.startswith("/") and not one.startswith(ENDLESS_OR_LAST)]
