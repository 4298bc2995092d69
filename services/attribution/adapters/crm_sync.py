"""Keeps the CRM and the mirror together: writes what is wished for, reads what changed, by polling and by push.

Nothing is remembered here that the log does not hold: after a restart the worker finds the wishes and the checkpoint in
the read models. A lost answer costs one look for our own id; a page that comes twice, or our own echo, appends nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

import structlog

from chassis.application import Application
from chassis.decider import NotFound, Problem
from chassis.event import iso, stable_id
from chassis.execution import Peek
from chassis.identity import Recent
from chassis.read_store.port import Due
from services.attribution.application import (
    CrmPort,
    CrmRow,
    CrmTrouble,
    CrmWish,
    CrmWritten,
    Ports,
    change_of,
    observe,
    release,
)
from services.attribution.domain.connection import Connection, Connections, Phase
from services.attribution.domain.crm_change import STAGE_UNMAPPED, CrmChange
from services.attribution.domain.crm_record import CrmRecord, CrmRecords, record_id
from services.attribution.domain.mirroring import RecordCrmRefusal, RecordCrmWrite
from services.attribution.domain.stages import raw_stage

log = structlog.get_logger()

FOREVER = "9999"
CONNECTIONS_MAX = 1_000
WRITE_BATCH = 100
PAGE_ROWS, PAGES_MAX = 200, 200
SIDE_BY_SIDE = 16
SEEN_MAX = 20_000
OUR_ID_LENGTH_MAX = 64
LOOK_SECONDS, IDLE_SECONDS = 0.05, 1.0
REST_SECONDS, REST_MAX_SECONDS = 0.1, 60.0
EPOCH_DAYS = 30
"""How far back a connection is read that has never been read."""


@dataclass
class Place:
    """What the worker knows of one connection between two turns."""

    poll_at: float = 0.0
    rest_until: float = 0.0
    troubles: int = 0
    listened: bool = False
    read_to: datetime | None = None


@dataclass(frozen=True)
class Link:
    """One connection with its client."""

    tenant: str
    connection_id: str
    settings: Connection
    crm: CrmPort


@dataclass
class CrmSync:
    """The worker of all connections of all tenants; also the reader behind the routes."""

    app: Application
    ports: Ports
    places: dict[str, Place] = field(default_factory=dict)
    seen: Recent[str, str] = field(default_factory=lambda: Recent(SEEN_MAX))
    written: Recent[str, str] = field(default_factory=lambda: Recent(SEEN_MAX))

    async def run(self) -> None:
        """For ever: one turn for each active connection, then waits for news."""
        while True:
            head = await self.app.executor.store.head()
            await _side_by_side(partial(self._visit, due) for due in await self._active())
            await self.app.executor.store.wait_beyond(head, IDLE_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def poll(self, tenant: str, connection_id: str) -> int:
        """Reads what changed since the last time. Raises CrmTrouble, NotFound."""
        link = await self._link(tenant, connection_id)
        document = await self.app.read.get("connections", tenant, connection_id)
        return await self._read_changes(link, (document or {}).get("checkpoint_at"))

    async def pushed(self, tenant: str, connection_id: str, body: bytes) -> int:
        """Reads the rows that a push names; a push itself is believed in nothing."""
        link = await self._link(tenant, connection_id)
        return await self._observe(link, await link.crm.read(link.crm.pushed_ids(body)))

    async def _active(self) -> list[Due]:
        return await self.app.read.due("connections", FOREVER, CONNECTIONS_MAX)

    async def _link(self, tenant: str, connection_id: str) -> Link:
        settings, _ = await self.app.executor.state(tenant, Connections.at(connection_id))
        if settings.phase is not Phase.ACTIVE:
            raise NotFound("this connection is not active")
        return Link(tenant, connection_id, settings, self.ports.connect(settings))

    async def _visit(self, due: Due) -> None:
        place = self.places.setdefault(due.id, Place())
        if monotonic() < place.rest_until:
            return
        try:
            await self._turn(due, place)
            place.troubles = 0
        except (CrmTrouble, Problem) as trouble:
            place.troubles += 1
            asked = trouble.retry_after_seconds if isinstance(trouble, CrmTrouble) else 0.0
            rest = max(asked, min(REST_MAX_SECONDS, REST_SECONDS * 2 ** min(place.troubles, 10)))
            place.rest_until = monotonic() + rest
            log.warning("crm_trouble", connection=due.id, trouble=type(trouble).__name__, rests_seconds=rest)

    async def _turn(self, due: Due, place: Place) -> None:
        link = await self._link(due.tenant, due.id)
        if not place.listened and self.ports.push_url(due.id):
            await link.crm.listen(self.ports.push_url(due.id))
            place.listened = True
        await self._write(link)
        if monotonic() >= place.poll_at:
            place.poll_at = monotonic() + link.settings.poll_seconds
            await self._read_changes(link, due.document["checkpoint_at"])
            await self._release_mapped(link)

    # Out

    async def _write(self, link: Link) -> None:
        """Brings the CRM what is wished for, a batch at a time."""
        where = {"pending": True}
        page = await self.app.read.find("sync_status", link.tenant, where=where, sort="wanted_at", limit=WRITE_BATCH)
        pending = [d for d in page.items if self.written.get(d["opportunity_id"]) != d["wish_sha256"]]
        if not pending:
            return
        lost = await self._already_there(link, pending)
        wishes = [_wish(d, lost.get(d["opportunity_id"]), link.settings) for d in pending]
        digests = {d["opportunity_id"]: d["wish_sha256"] for d in pending}
        written = await link.crm.upsert(wishes)
        await _side_by_side(partial(self._record, link, one, digests[one.opportunity_id]) for one in written)
        await self._observe(link, [one.row for one in written if one.row and one.opportunity_id in lost])

    async def _already_there(self, link: Link, pending: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Rows made by a write whose answer was lost: our id to theirs."""
        unknown = [d["opportunity_id"] for d in pending if d["external_id"] is None]
        found = await link.crm.find(unknown) if unknown else []
        return {row.opportunity_id: row.external_id for row in found if row.opportunity_id}

    async def _record(self, link: Link, one: CrmWritten, digest: str) -> None:
        now = self.app.clock.now()
        if one.row is None:
            await self._record_refusal(link, one, digest, now)
            return
        wish = RecordCrmWrite(
            opportunity_id=one.opportunity_id,  # type: ignore[arg-type]
            record_id=record_id(link.connection_id, one.row.external_id),
            connection_id=link.connection_id,
            external_id=one.row.external_id,
            wish_sha256=digest,
            shown=change_of(one.row, link.settings.zone) if one.created else None,
            now=now,
        )
        command_id = stable_id("crm-write", link.connection_id, one.opportunity_id, digest, iso(one.row.modified_at))
        await self.app.issue(link.tenant, command_id, wish)
        self.written.put(one.opportunity_id, digest)

    async def _record_refusal(self, link: Link, one: CrmWritten, digest: str, now: datetime) -> None:
        if one.refusal is None:
            return
        wish = RecordCrmRefusal(
            opportunity_id=one.opportunity_id,  # type: ignore[arg-type]
            record_id=record_id(link.connection_id, one.opportunity_id),
            connection_id=link.connection_id,
            wish_sha256=digest,
            code="field-refused",
            text=one.refusal,
            now=now,
        )
        await self.app.issue(link.tenant, stable_id("crm-refusal", one.opportunity_id, digest), wish)
        self.written.put(one.opportunity_id, digest)

    # In

    async def _read_changes(self, link: Link, checkpoint_at: str | None) -> int:
        """All pages from the checkpoint, minus the overlap, to the present."""
        place = self.places.setdefault(link.connection_id, Place())
        since, after, new = self._since(link, place, checkpoint_at), None, 0
        for _ in range(PAGES_MAX):
            page = await link.crm.changed_since(since, after, PAGE_ROWS)
            new += await self._observe(link, page.rows)
            if page.after is None or not page.rows:
                break
            last = page.rows[-1].modified_at
            since, after = (last, None) if last > since else (since, page.after)
            place.read_to = last
        return new

    def _since(self, link: Link, place: Place, checkpoint_at: str | None) -> datetime:
        known = [at for at in (place.read_to, datetime.fromisoformat(checkpoint_at) if checkpoint_at else None) if at]
        start = max(known) if known else self.app.clock.now() - timedelta(days=EPOCH_DAYS)
        return start - timedelta(seconds=link.settings.overlap_seconds)

    async def _observe(self, link: Link, rows: Sequence[CrmRow]) -> int:
        return sum(await _side_by_side(partial(self._observe_one, link, row) for row in rows))

    async def _observe_one(self, link: Link, row: CrmRow) -> int:
        """1 if the row showed something new of a sale of ours."""
        change = change_of(row, link.settings.zone)
        identity = record_id(link.connection_id, row.external_id)
        if self.seen.get(identity) == change.sha256:
            return 0
        record, _ = await self.app.executor.state(link.tenant, CrmRecords.at(identity))
        sale_id = _sale_of(record, row)
        if sale_id is None:
            return 0
        new = not record.shows(change)
        if new:
            await self._take_over(link, identity, sale_id, change)
        self.seen.put(identity, change.sha256)
        return int(new)

    async def _take_over(self, link: Link, identity: str, sale_id: str, change: CrmChange) -> None:
        async def make(peek: Peek) -> Any:
            return await observe(peek, link.connection_id, sale_id, change, self.app.clock.now())

        command_id = stable_id("crm-observe", identity, change.sha256, iso(change.modified_at))
        await self.app.issue(link.tenant, command_id, make)

    async def _release_mapped(self, link: Link) -> None:
        """Reads again what waited for a stage that has since been mapped."""
        where = {"connection_id": link.connection_id, "code": STAGE_UNMAPPED}
        page = await self.app.read.find(
            "quarantine", link.tenant, where=where, sort="quarantined_at", limit=WRITE_BATCH
        )
        for held in page.items:
            if held["change"]["stage"] in link.settings.stage_map:
                await self._release(link, held)

    async def _release(self, link: Link, held: Mapping[str, Any]) -> None:
        async def make(peek: Peek) -> Any:
            return await release(peek, held, self.app.clock.now())

        await self.app.issue(link.tenant, stable_id("crm-release", held["event_id"]), make)


def _sale_of(record: CrmRecord, row: CrmRow) -> str | None:
    if record.opportunity_id:
        return record.opportunity_id
    named = row.opportunity_id
    return named if named and len(named) <= OUR_ID_LENGTH_MAX else None


def _wish(document: Mapping[str, Any], external_id: str | None, settings: Connection) -> CrmWish:
    creation = dict(document["creation"])
    raw = raw_stage(settings.stage_map, creation.pop("stage", ""))
    return CrmWish(
        opportunity_id=document["opportunity_id"],
        external_id=document["external_id"] or external_id,
        fields=document["fields"],
        creation=creation | ({"stage": raw} if raw else {}),
    )


async def _side_by_side(work: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Runs the work, at most `SIDE_BY_SIDE` at a time. All have ended before the first error is raised."""
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(each: Callable[[], Awaitable[Any]]) -> Any:
        async with gate:
            return await each()

    results = await asyncio.gather(*(one(each) for each in work), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
