"""Certificates over HTTP: award, renew, revoke, read; and how many people of a partner hold which."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from contracts.values import PersonId
from services.onboarding.access import READ_CERTIFICATES
from services.onboarding.domain.certificate import AwardCertificate, Certificates, Proof, RevokeCertificate
from services.onboarding.domain.certificate import certificate_id as identity_of
from services.onboarding.projections.certificates import ShownCertificate, ShownRoster
from services.onboarding.projections.people import main_partner

Id = Annotated[str, Path(min_length=1, max_length=64)]
Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
Filter = Annotated[str | None, Query(max_length=64)]


class ProofBody(Body):
    """A trainer's sheet or a trusted source, with the reference under which it is kept there."""

    source: Literal["trainer_sheet", "trusted_source"]
    reference: Annotated[str, Field(min_length=1, max_length=120)]


class CertificateBody(Body):
    """`certification` is the rulebook that defines it; `earned_on` the day on which the person showed it."""

    person_id: Annotated[str, Field(min_length=1, max_length=64)]
    certification: Name
    earned_on: Day
    proof: ProofBody


class RevokeBody(Body):
    reason_code: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]


router = APIRouter(tags=["certificates"])


@router.post("/certificates", status_code=201)
async def award(body: CertificateBody, caller: Writer, app: App) -> Response:
    """Awards a person a certificate, or renews it; it counts for the partner that the person mainly acts for."""
    app.access.check(caller.principal, AwardCertificate)
    await app.exists(caller.tenant, "person", body.person_id)
    await app.caught_up("memberships")
    command = AwardCertificate(
        certificate_id=identity_of(body.person_id, body.certification),
        person_id=PersonId(body.person_id),
        partner_id=await main_partner(app.read, caller.tenant, body.person_id),
        certification=body.certification,
        earned_on=body.earned_on,
        proof=Proof(source=body.proof.source, reference=body.proof.reference),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, AwardCertificate, command, status=201)


@router.post("/certificates/{certificate_id}/revoke")
async def revoke(certificate_id: Id, body: RevokeBody, caller: Writer, app: App) -> Response:
    """Takes a certificate away: one of the vendor proposes it, another one confirms it by the same call."""
    app.access.check(caller.principal, RevokeCertificate)
    held, _ = await app.executor.state(caller.tenant, Certificates.at(certificate_id))
    if held.earned is None:
        raise NotFound
    await app.caught_up("memberships")
    command = RevokeCertificate(
        certificate_id=certificate_id,
        partner_id=await main_partner(app.read, caller.tenant, held.earned.person_id),
        reason_code=body.reason_code,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, RevokeCertificate, command)


@router.get("/certificates")
@answers(Page[ShownCertificate])
@reads("certificates")
async def certificates(
    caller: Reader,
    app: App,
    paged: Paged,
    partner_id: Filter = None,
    certification: Filter = None,
    status: Filter = None,
) -> Response:
    """Who holds what, the first to end first. A partner's owner sees its own people, everybody else there itself."""
    app.access.check(caller.principal, READ_CERTIFICATES)
    where = {"certification": certification, "status": status, "partner_id": partner_id, **_own(caller)}
    items, cursor = await page(caller, app, "certificates", paged, where, "valid_until")
    return listed([await _named(caller, app, item) for item in items], cursor)


def _own(caller: Reader) -> dict[str, tuple[str, ...]]:
    who = caller.principal
    if who.kind != "partner":
        return {}
    return {"partner_id": who.partner_ids} if "owner" in who.roles else {"person_id": (who.subject,)}


async def _named(caller: Reader, app: App, item: dict[str, Any]) -> dict[str, Any]:
    """The certificate with its person's name, as it can be opened."""
    known = await app.read.get("people", caller.tenant, item["person_id"]) or {}
    shown_to = {name: value for name, value in item.items() if caller.principal.kind != "partner" or name != "proposed"}
    return {**shown_to, **app.opened(caller.tenant, {"name": known.get("name")})}


@router.get("/certificates/{certificate_id}")
@answers(ShownCertificate)
@reads("certificates")
async def certificate(certificate_id: Id, caller: Reader, app: App) -> Response:
    """One certificate, for who may see it in the list."""
    app.access.check(caller.principal, READ_CERTIFICATES)
    found = await app.read.get("certificates", caller.tenant, certificate_id)
    if found is None or any(found[name] not in values for name, values in _own(caller).items()):
        raise NotFound
    return shown(await _named(caller, app, found), found["version"])


@router.get("/rosters")
@answers(Page[ShownRoster])
@reads("rosters")
async def rosters(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, certification: Filter = None
) -> Response:
    """How many people of each partner hold which certification now; a partner sees its own count."""
    app.access.check(caller.principal, READ_CERTIFICATES)
    own = caller.principal.partner_ids or partner_id
    items, cursor = await page(
        caller, app, "rosters", paged, {"partner_id": own, "certification": certification}, "certification"
    )
    return listed([_count_for(caller, item) for item in items], cursor)


def _count_for(caller: Reader, item: dict[str, Any]) -> dict[str, Any]:
    """Who is counted is the owner's and the vendor's to read."""
    if caller.principal.kind != "partner" or "owner" in caller.principal.roles:
        return item
    return {name: value for name, value in item.items() if name != "person_ids"}
