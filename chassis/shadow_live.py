"""Rules that run alongside: what they would have come to since they began, as of whenever somebody asks.

Nothing is decided twice when a command comes: all that the answer needs is in the log. So the report is made when it is
asked for, of all commands up to then, and is the same whoever asks and however late.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from chassis.afresh import RECORDED
from chassis.application import Application
from chassis.decider import NotFound
from chassis.event import iso, stable_id
from chassis.rulebook import SHADOW, Rulebook, Version
from chassis.shadow import Candidate, Window, position_at
from chassis.shadow_runs import Asked, Document

ALONGSIDE = "alongside"


def in_shadow(book: Rulebook, number: int | None) -> Version:
    """The newest version that was published in the shadow, or that of a number. Raises NotFound."""
    found = [one for one in book.versions if one.mode == SHADOW and number in {None, one.version}]
    if not found:
        raise NotFound("no such version of these rules was published in the shadow")
    return found[-1]


def of_version(tenant: str, version: Version) -> Asked:
    """The run of a version in the shadow: from the instant at which it holds, until it ends."""
    named = {"kind": version.kind, "rulebook_id": version.rulebook_id, "sha256": version.sha256}
    rules = Candidate(**named, scope=version.scope, version=version.version, body=version.body)
    begins = iso(version.effective_from)
    asked = {"asked_as": ALONGSIDE, "mode": RECORDED, "begun_at": begins, "from_at": begins, **named}
    return Asked(
        run_id=stable_id(ALONGSIDE, version.rulebook_id, version.version),
        candidate=rules,
        window=Window(tenant=tenant, after=0, until=0),
        asked={**asked, "version": version.version, **going_on(version.effective_until)},
    )


def going_on(ends_at: datetime | None) -> dict[str, Any]:
    """How a run is asked for that goes on with what happens, until an instant or for good."""
    return {"live": True, "ends_at": iso(ends_at) if ends_at else None}


async def as_of_now(app: Application, run: Asked) -> Document:
    """The run with its report, which is made anew when things have happened since. Nothing that happened is changed."""
    if app.shadow_runs is None:
        raise NotFound
    now, store, ends_at = app.clock.now(), app.executor.store, run.asked["ends_at"]
    until_at = min(now, datetime.fromisoformat(ends_at)) if ends_at else now
    after = await position_at(store, datetime.fromisoformat(run.asked["from_at"]))
    window = replace(run.window, after=after, until=max(after, await position_at(store, until_at)))
    places = {"after_position": window.after, "until_position": window.until}
    asked = {**run.asked, **places, "until_at": iso(until_at), "as_of": iso(now)}
    return await app.shadow_runs.current(replace(run, window=window, asked=asked), now)
