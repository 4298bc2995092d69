"""Partners over HTTP: apply, screen, approve, suspend, read."""

from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.http import App, Body, Day, Instant, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import Contains
from contracts.values import PartnerId
from services.onboarding.access import READ_PARTNERS
from services.onboarding.application import SCREENING_BOOK, PartnerAnswer
from services.onboarding.domain.merging import MergeInvalid, MergePartners, UndoMerge
from services.onboarding.domain.offboarding import (
    RUN_OFF_DAYS,
    RUN_OFF_DAYS_MAX,
    CancelOffboarding,
    SettleByHand,
    StartOffboarding,
)
from services.onboarding.domain.partner import (
    Apply,
    ApprovePartner,
    ChangeProfile,
    DeclinePartner,
    Profile,
    ReinstatePartner,
    SuspendPartner,
    WithdrawApplication,
)
from services.onboarding.projections.partners import ShownPartner

Id = Annotated[str, Path(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){1,8}$", max_length=253)]


class ProfileBody(Body):
    """Who the partner is. Country ISO 3166-1 alpha-2, domains registrable and lower case."""

    legal_name: Text
    natural_person: bool = False
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    domains: Annotated[list[Domain], Field(min_length=1, max_length=10)]
    types: Annotated[list[str], Field(min_length=1, max_length=10)]
    locale: Annotated[str, Field(max_length=16)] = "en"
    zone: Annotated[str, Field(max_length=64)] = "UTC"

    def profile(self) -> Profile:
        given = self.model_dump(exclude={"source"})
        return Profile(**{**given, "domains": tuple(self.domains), "types": tuple(self.types)})


class ApplyBody(ProfileBody):
    source: Annotated[str, Field(max_length=80)] = "api"


class ApproveBody(Body):
    reason: Annotated[str | None, Field(max_length=500)] = None


class DeclineBody(Body):
    reason_code: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]


class SuspendBody(Body):
    """Scopes: new_business, access, content, payouts. `until` ends the suspension by itself."""

    scopes: Annotated[list[str], Field(min_length=1, max_length=4)]
    reason_code: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]
    until: Instant | None = None


class OffboardBody(Body):
    """The partner's last day of business, and how many days what is left may run off after it."""

    reason_code: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]
    last_business_day: Day
    run_off_days: Annotated[int, Field(ge=0, le=RUN_OFF_DAYS_MAX)] = RUN_OFF_DAYS


class SettleBody(Body):
    """The day from which nothing is owed either way, and the SHA-256 of the file that shows it."""

    settled_on: Day
    evidence_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class MergeBody(Body):
    """The partner that goes on, and the day from which the two are one: today, or up to a year back."""

    into: Annotated[str, Field(min_length=1, max_length=64)]
    effective_on: Day


class UndoMergeBody(Body):
    into: Annotated[str, Field(min_length=1, max_length=64)]


class Received(TypedDict):
    """`received`, whatever comes of it."""

    status: str


router = APIRouter(tags=["partners"])


async def _known(app: App, tenant: str, domains: list[str]) -> tuple[str, ...]:
    """The domains that a live partner already has."""
    known = []
    for domain in domains:
        where = {"domains": Contains(domain), "status": ("review", "active", "suspended", "merged")}
        found = await app.read.find("partners", tenant, where=where, sort="partner_id", limit=1)
        known += [domain] if found.items else []
    return tuple(known)


async def _apply(body: ApplyBody, caller: Writer, app: App) -> Apply:
    return Apply(
        partner_id=PartnerId(caller.new_id("partner")),
        profile=body.profile(),
        known_domains=await _known(app, caller.tenant, body.domains),
        source=body.source,
        rulebook_id=SCREENING_BOOK,
        now=app.clock.now(),
    )


@router.post("/partners", status_code=201)
@answers(PartnerAnswer)
async def add_partner(body: ApplyBody, caller: Writer, app: App) -> Response:
    """The vendor enters a partner: it is screened at once and waits for approval."""
    app.access.check(caller.principal, ApprovePartner)
    return await perform(caller, app, Apply, await _apply(body, caller, app), status=201)


@router.post("/applications", status_code=202)
@answers(Received)
async def apply(body: ApplyBody, caller: Writer, app: App) -> Response:
    """Anyone applies to become a partner. The answer is alike whether the organisation is known or not."""
    await perform(caller, app, Apply, await _apply(body, caller, app))
    return Response(b'{"status":"received"}', status_code=202, media_type="application/json")


@router.post("/partners/{partner_id}/approve")
async def approve(partner_id: Id, body: ApproveBody, caller: Writer, app: App) -> Response:
    """Takes the partner in. Where screening said decline, a reason is needed."""
    command = ApprovePartner(
        partner_id=PartnerId(partner_id),
        approved_by=caller.principal.by,
        reason=body.reason,
        now=app.clock.now(),
    )
    return await _on(caller, app, command)


@router.post("/partners/{partner_id}/decline")
async def decline(partner_id: Id, body: DeclineBody, caller: Writer, app: App) -> Response:
    """Turns an application down, with a reason code."""
    command = DeclinePartner(
        partner_id=PartnerId(partner_id),
        reason_code=body.reason_code,
        declined_by=caller.principal.by,
        now=app.clock.now(),
    )
    return await _on(caller, app, command)


@router.post("/partners/{partner_id}/withdraw")
async def withdraw(partner_id: Id, caller: Writer, app: App) -> Response:
    """Takes an application back."""
    return await _on(caller, app, WithdrawApplication(partner_id=PartnerId(partner_id), now=app.clock.now()))


@router.post("/partners/{partner_id}/suspend")
async def suspend(partner_id: Id, body: SuspendBody, caller: Writer, app: App) -> Response:
    """Closes what the scopes name until the partner is reinstated, or until `until`."""
    command = SuspendPartner(
        partner_id=PartnerId(partner_id),
        scopes=tuple(sorted(set(body.scopes))),
        reason_code=body.reason_code,
        until=body.until,
        suspended_by=caller.principal.by,
        now=app.clock.now(),
    )
    return await _on(caller, app, command)


@router.post("/partners/{partner_id}/reinstate")
async def reinstate(partner_id: Id, caller: Writer, app: App) -> Response:
    """Opens again what a suspension closed."""
    command = ReinstatePartner(partner_id=PartnerId(partner_id), reinstated_by=caller.principal.by, now=app.clock.now())
    return await _on(caller, app, command)


@router.post("/partners/{partner_id}/offboard")
async def offboard(partner_id: Id, body: OffboardBody, caller: Writer, app: App) -> Response:
    """The partner leaves: its owner starts it, or one administrator proposes it and another confirms by the same call."""
    command = StartOffboarding(
        partner_id=PartnerId(partner_id),
        **body.model_dump(),
        as_owner=caller.principal.kind == "partner",
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await _on(caller, app, command)


@router.post("/partners/{partner_id}/settle")
async def settle(partner_id: Id, body: SettleBody, caller: Writer, app: App) -> Response:
    """Nothing is owed, as evidence shows: one of finance proposes it, another confirms the same by the same call."""
    by, now = caller.principal.by, app.clock.now()
    return await _on(caller, app, SettleByHand(partner_id=PartnerId(partner_id), **body.model_dump(), by=by, now=now))


@router.post("/partners/{partner_id}/merge")
async def merge(partner_id: Id, body: MergeBody, caller: Writer, app: App) -> Response:
    """Makes the partner one with another: one administrator proposes it, another confirms it by the same call."""
    await _two(caller, app, MergePartners, partner_id, body.into)
    by, now = caller.principal.by, app.clock.now()
    into, day = PartnerId(body.into), body.effective_on
    command = MergePartners(partner_id=PartnerId(partner_id), into=into, effective_on=day, by=by, now=now)
    return await perform(caller, app, MergePartners, command)


@router.post("/partners/{partner_id}/unmerge")
async def unmerge(partner_id: Id, body: UndoMergeBody, caller: Writer, app: App) -> Response:
    """Makes two partners of one again, up to thirty days after they were merged."""
    await _two(caller, app, UndoMerge, partner_id, body.into)
    by, now = caller.principal.by, app.clock.now()
    command = UndoMerge(partner_id=PartnerId(partner_id), into=PartnerId(body.into), by=by, now=now)
    return await perform(caller, app, UndoMerge, command)


async def _two(caller: Writer, app: App, action: Any, partner_id: str, into: str) -> None:
    """Raises unless the caller may act on two partners, both known, and not the same."""
    app.access.check(caller.principal, action)
    await app.exists(caller.tenant, "partner", partner_id)
    await app.exists(caller.tenant, "partner", into)
    if into == partner_id:
        raise MergeInvalid(why="same-partner")


@router.post("/partners/{partner_id}/stay")
async def stay(partner_id: Id, caller: Writer, app: App) -> Response:
    """Calls the offboarding off, up to the last business day."""
    command = CancelOffboarding(partner_id=PartnerId(partner_id), by=caller.principal.by, now=app.clock.now())
    return await _on(caller, app, command)


@router.post("/partners/{partner_id}/change-profile")
async def change_profile(partner_id: Id, body: ProfileBody, caller: Writer, app: App) -> Response:
    """Replaces what is known of the partner: its name, country, domains, types and language."""
    command = ChangeProfile(partner_id=PartnerId(partner_id), profile=body.profile(), now=app.clock.now())
    return await _on(caller, app, command)


async def _on(caller: Writer, app: App, command: Any) -> Response:
    """Runs a command on a partner that the caller may know of; a partner's owner on its own alone."""
    app.access.check_at_home(caller.principal, type(command), command.partner_id)
    await app.exists(caller.tenant, "partner", command.partner_id)
    return await perform(caller, app, type(command), command, partner_id=command.partner_id)


@router.get("/partners")
@answers(Page[ShownPartner])
@reads("partners")
async def partners(
    caller: Reader,
    app: App,
    paged: Paged,
    status: Annotated[str | None, Query(max_length=16)] = None,
    sort: Annotated[str, Query(pattern="^-?(name_sort|applied_at)$")] = "name_sort",
) -> Response:
    """The vendor sees all partners, a partner only itself and who it absorbed."""
    app.access.check(caller.principal, READ_PARTNERS)
    where = {"status": status, "partner_id": caller.principal.partner_ids or None}
    items, cursor = await page(caller, app, "partners", paged, where, sort)
    return listed([_for(caller, item) for item in items], cursor)


@router.get("/partners/{partner_id}")
@answers(ShownPartner)
@reads("partners")
async def partner(partner_id: Id, caller: Reader, app: App) -> Response:
    """One partner: the vendor sees any, a partner only itself."""
    app.access.check(caller.principal, READ_PARTNERS)
    document = await app.document(caller.principal, "partners", partner_id)
    return shown(_for(caller, document), document["version"])


def _for(caller: Reader, document: dict[str, Any]) -> dict[str, Any]:
    """What this side may read: screening, a merge that is only proposed, and finance's evidence are the vendor's."""
    hidden = {"name_sort", "domains"}
    if caller.principal.kind == "partner":
        hidden |= {"screening", "settling"}
        document = document if (document["merge"] or {}).get("merged_at") else {**document, "merge": None}
    return {name: value for name, value in document.items() if name not in hidden}
