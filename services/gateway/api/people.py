"""Everything that the services know of one person, through the one door, when the person asks for it."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Response
from pydantic import Field

from chassis.answers import answers
from chassis.application import Application
from chassis.asgi import Answer
from chassis.event import SHARED
from chassis.http import App, Body, Reader, reads, shown
from chassis.identity import Principal
from services.gateway.access import READ_PERSON
from services.gateway.api.door import call

PAGE_MAX, ROWS_MAX, SESSIONS_MAX = 200, 10_000, 1_000
FOUND, NOTHING, NOT_YOURS, AWAY, CUT_OFF = "found", "nothing", "not_yours", "away", "cut_off"
STATES = {403: NOT_YOURS, 404: NOTHING}

router = APIRouter(prefix="/v1", tags=["people"])


class AskBody(Body):
    """The person, by its mail address. It stands in a body because addresses in paths would stand in logs."""

    mail: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]


class KnownPart(TypedDict):
    """What one service said to one question.

    Its `state` is `found`, with the answer; `nothing`; `not_yours`: somebody else at the vendor may see it and has to add
    it; `away`: ask again; or `cut_off`: the answer is the first of more rows than one answer holds, the service lists all.
    """

    service: str
    about: str
    state: str
    answer: Any


class KnownPerson(TypedDict):
    """All parts; `complete` when none of them is for others, away or cut off."""

    person_id: str | None
    complete: bool
    parts: list[KnownPart]


@router.post("/people/everything")
@answers(KnownPerson)
@reads("members", "staff", "sessions")
async def everything(body: AskBody, caller: Reader, app: App) -> Response:
    """What every service knows of the person of a mail address, opened: each answers as far as you may see it there."""
    app.access.check(caller.principal, READ_PERSON)
    asking = Asking(app, caller.principal, body.mail)
    person_id, found = await asking.find()
    parts = [found] if person_id is None else await asking.of(person_id)
    parts += [await asking.contact(), await asking.staff(), await asking.sessions(person_id)]
    complete = all(part["state"] in (FOUND, NOTHING) for part in parts)
    return shown({"person_id": person_id, "complete": complete, "parts": parts})


@dataclass(frozen=True)
class Asking:
    """One request of one person, asked on behalf of who received it."""

    app: Application
    who: Principal
    mail: str

    async def find(self) -> tuple[str | None, KnownPart]:
        """The person's id, and why there is none."""
        answer = await self._call("POST", "onboarding", "/people/find", {"mail": self.mail})
        return answer.json()["person_id"] if answer.ok else None, part("onboarding", "person", answer)

    async def of(self, person_id: str) -> list[KnownPart]:
        """What is known by the person's id."""
        payee = f"payee_id={quote(person_id)}"
        return list(
            await asyncio.gather(
                self._one("onboarding", "person", f"/people/{person_id}/everything"),
                self._one("incentives", "bank_and_tax", f"/payees/{person_id}"),
                self._all("incentives", "lines", "/lines", payee),
                self._all("incentives", "statements", "/statements", payee),
            )
        )

    async def contact(self) -> KnownPart:
        """Deals, leads, drafts and mails that name the address; somebody at a customer is no person of onboarding."""
        answer = await self._call("POST", "registration", "/people/find", {"email": self.mail})
        found = part("registration", "deals_and_leads", answer)
        named = answer.ok and any(found["answer"][where] for where in ("deals", "leads", "drafts", "mails"))
        return found if named or not answer.ok else nothing("registration", "deals_and_leads")

    async def staff(self) -> KnownPart:
        """Whoever works for the vendor itself."""
        where = {"mail_key": self.app.keys.hmac(self.who.tenant, self.mail.casefold())}
        found = (await self.app.read.find("staff", self.who.tenant, where=where)).items
        rows = [{name: value for name, value in one.items() if name != "mail_key"} for one in found]
        return told("gateway", "staff", [self.app.opened(self.who.tenant, one) for one in rows])

    async def sessions(self, person_id: str | None) -> KnownPart:
        """Where the person is signed in now."""
        if person_id is None:
            return nothing("gateway", "sessions")
        where = {"tenant": self.who.tenant, "subject": person_id}
        found = (await self.app.read.find("sessions", SHARED, where=where, limit=SESSIONS_MAX)).items
        return told("gateway", "sessions", [{"opened_at": one["opened_at"]} for one in found])

    async def _one(self, service: str, about: str, path: str) -> KnownPart:
        return part(service, about, await self._call("GET", service, path))

    async def _all(self, service: str, about: str, path: str, query: str) -> KnownPart:
        rows: list[Any] = []
        cursor: str | None = ""
        while cursor is not None and len(rows) < ROWS_MAX:
            page = await self._call("GET", service, path, query=f"{query}&limit={PAGE_MAX}&cursor={quote(cursor)}")
            if not page.ok:
                return part(service, about, page)
            rows, cursor = rows + page.json()["items"], page.json()["next_cursor"]
        return told(service, about, rows, whole=cursor is None)

    async def _call(self, method: str, service: str, path: str, body: Any = None, query: str = "") -> Answer:
        content = b"" if body is None else orjson.dumps(body)
        return await call(self.app, self.who, method, service, path, query=query, content=content)


def part(service: str, about: str, answer: Answer) -> KnownPart:
    state = FOUND if answer.ok else STATES.get(answer.status, AWAY)
    return {"service": service, "about": about, "state": state, "answer": answer.json() if answer.ok else None}


def nothing(service: str, about: str) -> KnownPart:
    return {"service": service, "about": about, "state": NOTHING, "answer": None}


def told(service: str, about: str, rows: list[Any], *, whole: bool = True) -> KnownPart:
    found: KnownPart = {"service": service, "about": about, "state": FOUND if whole else CUT_OFF, "answer": rows}
    return found if rows else nothing(service, about)
