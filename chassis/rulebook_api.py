"""What every service offers for its rules: draft, publish, end, read. One aggregate, one set of routes, all kinds."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, NotRequired, TypedDict

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.access import PARTNER, Who, partner, service, vendor
from chassis.afresh import Mode
from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.differences import Difference, differences
from chassis.event import Seen, iso, plain
from chassis.execution import Handles, Peek
from chassis.http import App, Body, Instant, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.projection import Projection
from chassis.read_store.port import PAGE_MAX
from chassis.rulebook import (
    SHADOW,
    DraftRules,
    EndRules,
    Kind,
    PublishRules,
    Rulebook,
    Rules,
    RulesDrafted,
    RulesEnded,
    RulesPublished,
    Version,
    draft_as_before,
    draft_rules,
    end_rules,
    end_without_mode,
    publish_rules,
)

READ = "read rulebooks"
Kinds = Mapping[str, Kind[Any, Any]]

TABLE: dict[Any, tuple[Who, ...]] = {
    DraftRules: (vendor("admin"), vendor("deal_desk"), vendor("finance"), service()),
    PublishRules: (vendor("admin"), vendor("finance"), service()),
    EndRules: (vendor("admin"), vendor("finance"), service()),
    READ: (vendor(), partner(), service()),
}


def rule_handles(kinds: Kinds) -> tuple[Handles, ...]:
    """The commands on rulebooks of these kinds."""
    return (
        *(
            Handles(DraftRules, partial(decision, kinds), streams=_book, answer=_drafted, evaluator=evaluator)
            for evaluator, decision in ((1, draft_as_before), (2, draft_rules))
        ),
        Handles(PublishRules, partial(publish_rules, kinds), streams=_book, answer=_published, reads=_beside),
        *(
            Handles(EndRules, partial(decision, kinds), streams=_book, answer=_published, evaluator=evaluator)
            for evaluator, decision in ((1, end_without_mode), (2, end_rules))
        ),
    )


def _book(wish: DraftRules | PublishRules | EndRules) -> tuple[Any, ...]:
    return (Rules.at(wish.rulebook_id),)


class DraftedRules(TypedDict):
    """The draft by the version that it will be once it is published."""

    rulebook_id: str
    version: int


class PublishedRules(TypedDict):
    """The version, and the SHA-256 of its body."""

    rulebook_id: str
    version: int
    sha256: str | None


def _drafted(wish: DraftRules, book: Rulebook) -> DraftedRules:
    return {"rulebook_id": wish.rulebook_id, "version": book.draft.version if book.draft else 0}


def _beside(wish: PublishRules) -> tuple[Any, ...]:
    return (tuple(Rules.at(rulebook_id) for rulebook_id in wish.beside),)


def _published(wish: PublishRules | EndRules, book: Rulebook) -> PublishedRules:
    version = book.version(wish.version)
    return {"rulebook_id": wish.rulebook_id, "version": wish.version, "sha256": version.sha256 if version else None}


# Read model


class VersionDocument(TypedDict):
    """One published version; without `effective_until` it holds on. `mode` is live or shadow."""

    version: int
    body: dict[str, Any]
    sha256: str
    effective_from: str
    effective_until: str | None
    mode: str
    author: str
    publisher: str


class RulesDraft(TypedDict):
    """What is worked on, by whom, since when."""

    version: int
    body: dict[str, Any]
    author: str
    at: str


class _Published(TypedDict):
    rulebook_id: str
    kind: str
    scope: str
    versions: list[VersionDocument]


class RulebookDocument(_Published):
    draft: RulesDraft | None
    partner_ids: list[str]


class ShownRulebook(_Published):
    """Rules of one kind and scope with every published version; drafts and the shadow are shown to the vendor only."""

    draft: NotRequired[RulesDraft | None]


class KindOfRules(TypedDict):
    """`schema` is the JSON Schema of the body, `modes` are those in which a shadow run can try such rules."""

    kind: str
    schema: dict[str, Any]
    modes: list[Mode]


class RulesDiff(TypedDict):
    """What changes from the version `before` to the version `after`, place by place."""

    rulebook_id: str
    before: int
    after: int
    changes: list[Difference]


def evolve(document: RulebookDocument | None, seen: Seen) -> RulebookDocument:
    happened = seen.event
    if isinstance(happened, RulesDrafted):
        return _with_draft(document, happened)
    if isinstance(happened, RulesPublished):
        return _with_version(document or _empty(happened), happened)
    return _with_end(document or _empty(happened), happened)


def _empty(happened: Any) -> RulebookDocument:
    return {
        "rulebook_id": happened.rulebook_id,
        "kind": happened.kind,
        "scope": getattr(happened, "scope", ""),
        "draft": None,
        "versions": [],
        "partner_ids": [],
    }


def _with_draft(document: RulebookDocument | None, drafted: RulesDrafted) -> RulebookDocument:
    draft: RulesDraft = {
        "version": drafted.version,
        "body": drafted.body,
        "author": drafted.author,
        "at": iso(drafted.drafted_at),
    }
    return {**(document or _empty(drafted)), "draft": draft}


def _with_version(document: RulebookDocument, published: RulesPublished) -> RulebookDocument:
    version: VersionDocument = {
        "version": published.version,
        "body": published.body,
        "sha256": published.sha256,
        "effective_from": iso(published.effective_from),
        "effective_until": iso(published.effective_until) if published.effective_until else None,
        "mode": published.mode,
        "author": published.author,
        "publisher": published.publisher,
    }
    others = [known for known in document["versions"] if known["version"] != published.version]
    return {**document, "draft": None, "versions": [*others, version]}


def _with_end(document: RulebookDocument, ended: RulesEnded) -> RulebookDocument:
    versions = [
        {**version, "effective_until": iso(ended.ended_from)} if version["version"] == ended.version else version
        for version in document["versions"]
    ]
    return {**document, "versions": versions}  # type: ignore[typeddict-item]


def _by_id(seen: Seen) -> str:
    identity: str = seen.event.rulebook_id
    return identity


RULEBOOKS = Projection(
    name="rulebooks",
    version=1,
    keys={RulesDrafted: _by_id, RulesPublished: _by_id, RulesEnded: _by_id},
    evolve=evolve,
    indexes=("kind",),
)


# Routes

ID_PATTERN = r"^[A-Za-z0-9._-]+$"
Id = Annotated[str, Path(min_length=1, max_length=64, pattern=ID_PATTERN)]
RulebookId = Annotated[str, Field(min_length=1, max_length=64, pattern=ID_PATTERN)]
"""The id of a rulebook in a body."""


class Draft(Body):
    """Rules to work on: the body fits its kind's schema, each example must come to its outcome before publishing."""

    rulebook_id: RulebookId
    kind: Annotated[str, Field(max_length=64)]
    scope: Annotated[str, Field(max_length=64)] = "default"
    body: dict[str, Any]
    examples: Annotated[list[dict[str, Any]], Field(max_length=100)] = []


class Publish(Body):
    """The drafted version becomes law from `effective_from` (default: now)."""

    version: Annotated[int, Field(ge=1, le=1_000_000)]
    effective_from: Instant | None = None
    effective_until: Instant | None = None
    mode: Annotated[str, Field(pattern="^(live|shadow)$")] = "live"


class End(Body):
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    ended_from: Instant | None = None


router = APIRouter(tags=["rulebooks"])


@router.post("/rulebooks", status_code=201)
async def draft(body: Draft, caller: Writer, app: App) -> Response:
    """Keeps a draft of rules, replacing the draft before it."""
    app.access.check(caller.principal, DraftRules)
    kind, now = app.kinds.get(body.kind), app.clock.now()
    command = DraftRules(
        rulebook_id=body.rulebook_id,
        kind=body.kind,
        scope=body.scope,
        body=await asyncio.to_thread(kind.completed, body.body, now) if kind else body.body,
        examples=tuple(body.examples),
        author=caller.principal.by,
        now=now,
    )
    return await perform(caller, app, DraftRules, command, status=201)


@router.post("/rulebooks/{rulebook_id}/publish")
async def publish(rulebook_id: Id, body: Publish, caller: Writer, app: App) -> Response:
    """Publishes the draft. Whoever drafted it cannot; its dates cannot be past; its examples must pass."""
    now = app.clock.now()
    wish = PublishRules(
        rulebook_id=rulebook_id,
        version=body.version,
        effective_from=_or(body.effective_from, now),
        effective_until=body.effective_until,
        mode=body.mode,
        publisher=caller.principal.by,
        now=now,
    )

    async def make(peek: Peek) -> PublishRules:
        book: Rulebook = await peek(Rules.at(rulebook_id))
        return replace(wish, beside=await _colliding(app, caller.tenant, rulebook_id, book))

    return await perform(caller, app, PublishRules, make)


async def _colliding(app: App, tenant: str, rulebook_id: str, book: Rulebook) -> tuple[str, ...]:
    """The other rulebooks of a draft's kind, where rules of that kind can collide."""
    kind = app.kinds.get(book.draft.kind) if book.draft else None
    if kind is None or kind.collides is None:
        return ()
    await app.caught_up("rulebooks")
    found = await app.read.find("rulebooks", tenant, where={"kind": kind.name}, sort="kind", limit=PAGE_MAX)
    others = (one["rulebook_id"] for one in found.items if one["versions"] and one["rulebook_id"] != rulebook_id)
    return tuple(sorted(others))


@router.post("/rulebooks/{rulebook_id}/end")
async def end(rulebook_id: Id, body: End, caller: Writer, app: App) -> Response:
    """Ends a published version from an instant that is not past (default: now)."""
    now = app.clock.now()
    command = EndRules(
        rulebook_id=rulebook_id,
        version=body.version,
        ended_from=_or(body.ended_from, now),
        ended_by=caller.principal.by,
        now=now,
    )
    return await perform(caller, app, EndRules, command)


def _or(given: datetime | None, now: datetime) -> datetime:
    return now if given is None else given


@router.get("/kinds")
@answers(Page[KindOfRules])
async def kinds(caller: Reader, app: App) -> Response:
    """The kinds of rules that this service has, each with the JSON Schema of its body."""
    app.access.check(caller.principal, READ)
    modes = app.shadow_runs.modes_of if app.shadow_runs else lambda _: []
    rows = [{"kind": one.name, "schema": one.schema(), "modes": modes(one.name)} for one in app.kinds.values()]
    return listed(rows, None)


@router.get("/rulebooks")
@answers(Page[ShownRulebook])
@reads("rulebooks")
async def list_rulebooks(
    caller: Reader, app: App, paged: Paged, kind: Annotated[str | None, Query(max_length=64)] = None
) -> Response:
    """The rulebooks with all their published versions; drafts and the shadow are shown to the vendor only."""
    app.access.check(caller.principal, READ)
    items, cursor = await page(caller, app, "rulebooks", paged, {"kind": kind}, sort="kind")
    return listed([_for(caller, app, item) for item in items if _known(caller, item)], cursor)


@router.get("/rulebooks/{rulebook_id}")
@answers(ShownRulebook)
@reads("rulebooks")
async def one_rulebook(rulebook_id: Id, caller: Reader, app: App) -> Response:
    """One rulebook with every version that was ever published."""
    app.access.check(caller.principal, READ)
    return shown(_for(caller, app, await _found(caller, app, rulebook_id)))


@router.get("/rulebooks/{rulebook_id}/versions/{version}")
@answers(VersionDocument)
@reads("rulebooks")
async def one_version(
    rulebook_id: Id, version: Annotated[int, Path(ge=1, le=1_000_000)], caller: Reader, app: App
) -> Response:
    """One published version: it never changes."""
    app.access.check(caller.principal, READ)
    document = _for(caller, app, await _found(caller, app, rulebook_id))
    found = next((known for known in document["versions"] if known["version"] == version), None)
    if found is None:
        raise NotFound
    return shown(found)


@router.get("/rulebooks/{rulebook_id}/diff")
@answers(RulesDiff)
async def diff(
    rulebook_id: Id,
    caller: Reader,
    app: App,
    before: Annotated[int, Query(ge=1, le=1_000_000)],
    after: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> Response:
    """What changes from one version to another, place by place; without `after`, to the draft."""
    app.access.check(caller.principal, DraftRules if after is None else READ)
    book, _ = await app.executor.state(caller.tenant, Rules.at(rulebook_id))
    old, new = _version_for(caller, book, before), book.draft if after is None else _version_for(caller, book, after)
    if old is None or new is None:
        raise NotFound
    before_it, after_it = (_body_for(caller, app, one.kind, one.body) for one in (old, new))
    changes = [plain(change) for change in differences(before_it, after_it)]
    return shown({"rulebook_id": rulebook_id, "before": old.version, "after": new.version, "changes": changes})


async def _found(caller: Reader, app: App, rulebook_id: str) -> dict[str, Any]:
    document = await app.read.get("rulebooks", caller.tenant, rulebook_id)
    if document is None or not _known(caller, document):
        raise NotFound
    return document


def _known(caller: Reader, document: dict[str, Any]) -> bool:
    """Whether this side may know of the rulebook: a partner of what has been published and is more than a trial."""
    return caller.principal.kind != PARTNER or any(_open_to(caller, one["mode"]) for one in document["versions"])


def _version_for(caller: Reader, book: Rulebook, number: int) -> Version | None:
    found = book.version(number)
    return found if found is not None and _open_to(caller, found.mode) else None


def _open_to(caller: Reader, mode: str) -> bool:
    """Whether this side may know of a version in this mode: one in the shadow, which binds nobody, is the vendor's."""
    return caller.principal.kind != PARTNER or mode != SHADOW


def _for(caller: Reader, app: App, document: dict[str, Any]) -> dict[str, Any]:
    """What this side may read: rules that hold are for all but for what names others, trials and drafts the vendor's."""
    if caller.principal.kind != PARTNER:
        return {name: value for name, value in document.items() if name != "partner_ids"}
    versions = [
        {**known, "body": _body_for(caller, app, document["kind"], known["body"])}
        for known in document["versions"]
        if _open_to(caller, known["mode"])
    ]
    shown_to_partners = {name: value for name, value in document.items() if name not in ("partner_ids", "draft")}
    return {**shown_to_partners, "versions": versions}


def _body_for(caller: Reader, app: App, kind: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body as this side may read it."""
    known = app.kinds.get(kind)
    if known is None or caller.principal.kind != PARTNER:
        return body
    return {name: value for name, value in body.items() if name not in known.vendor_only}
