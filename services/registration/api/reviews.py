"""The vendor's review over HTTP: return, decide a finding, approve, reject, queue."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from chassis.http import App, Body, Writer, answered, perform
from contracts.values import AccountId, RegistrationId
from services.registration.api.bodies import Code, EvidenceBody, Id, Text, subject_of
from services.registration.api.deals import asked
from services.registration.application.on_deals import displacing, merging, on_deal, screening_again
from services.registration.application.on_findings import deciding
from services.registration.domain.account import SAME
from services.registration.domain.approving import CUSTOMER_OVERRIDE
from services.registration.domain.deal import Deal, EvidenceChanged, Status
from services.registration.domain.deal_commands import (
    ApproveDeal,
    DecideFinding,
    GrantExtension,
    MergeDuplicate,
    QueueDeal,
    RefuseExtension,
    RejectDeal,
    ReturnDeal,
    RevokeDeal,
)

router = APIRouter(tags=["reviews"])


class ReturnBody(Body):
    """The fields to correct: amount, close_on, tender, description, contacts, partner_reference, evidence."""

    fields: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=10)]
    message: Text


class FindingBody(Body):
    """Verdicts: same (the two customers are merged), different (for good), related."""

    account_id: Annotated[str, Field(min_length=1, max_length=64)]
    verdict: Literal["same", "different", "related"]
    reason: Text


class ApproveBody(Body):
    """`displace`: the deal is to take the place of those that hold; `reason_code` is what their partners read."""

    displace: bool = False
    reason_code: Code = CUSTOMER_OVERRIDE


class RefuseBody(Body):
    reason_code: Code


class RevokeBody(Body):
    """Why, and by which documents, at least one."""

    reason_code: Code
    evidence: Annotated[list[EvidenceBody], Field(min_length=1, max_length=20)]


class MergeBody(Body):
    """The deal that goes on: of the same partner, on the same customer."""

    into: Annotated[str, Field(min_length=1, max_length=64)]


class RejectBody(Body):
    reason_code: Code
    message: Annotated[str, Field(max_length=2_000)] = ""


@router.post("/deals/{registration_id}/return")
async def return_to_partner(registration_id: Id, body: ReturnBody, caller: Writer, app: App) -> Response:
    """Asks the partner to correct the named fields; the deal keeps its place."""
    message = app.seal(caller.tenant, subject_of(registration_id), body.message)

    def make(_: Deal, fields: dict[str, Any]) -> ReturnDeal:
        named = tuple(dict.fromkeys(body.fields))
        return ReturnDeal(**fields, fields=named, message=message, by=caller.principal.by)

    return await perform(caller, app, ReturnDeal, on_deal(asked(caller, app, registration_id, ReturnDeal), make))


@router.post("/deals/{registration_id}/decide-finding")
async def decide_finding(registration_id: Id, body: FindingBody, caller: Writer, app: App) -> Response:
    """Says whether a similar customer is the same one."""
    reason = app.seal(caller.tenant, subject_of(registration_id), body.reason)
    told = {"account_id": AccountId(body.account_id), "verdict": body.verdict, "reason": reason}
    wish, by = asked(caller, app, registration_id, DecideFinding), caller.principal.by
    same = app.seal(caller.tenant, f"account-{body.account_id}", body.reason) if body.verdict == SAME else None
    merge = {"merge_id": caller.new_id("merge"), "reason": same, "by": by, "now": wish.now}
    return await perform(caller, app, DecideFinding, deciding(wish, {**told, "by": by}, merge))


@router.post("/deals/{registration_id}/approve")
async def approve(registration_id: Id, caller: Writer, app: App, body: ApproveBody | None = None) -> Response:
    """Approves the step that waits for the caller's role; the last step protects the deal.

    It is screened once more: new evidence is written down and answered with 412. If a rival holds the customer by now,
    the deal waits, and the answer says so; two people with the duty to override may let it displace the holder.
    """
    who = caller.principal

    def make(_: Deal, fields: dict[str, Any]) -> ApproveDeal:
        return ApproveDeal(**fields, by=who.by, roles=(*who.roles, *who.duties))

    wish = asked(caller, app, registration_id, ApproveDeal)
    app.access.check(caller.principal, ApproveDeal)
    screening_id = caller.new_id("screening")
    prepared = screening_again(wish, app.ports.accounts, caller.tenant, make, screening_id)
    if body and body.displace:
        prepared = displacing(prepared, body.reason_code)
    outcome = await app.executor.run(caller.order(), prepared)
    if outcome.answer["status"] == Status.IN_REVIEW and outcome.answer["screening_id"] == screening_id:
        raise EvidenceChanged(registration_id=registration_id, version=outcome.version)
    return answered(app, outcome)


@router.post("/deals/{registration_id}/grant-extension")
async def grant_extension(registration_id: Id, caller: Writer, app: App) -> Response:
    """Lets the protection last as long as the partner asked for."""

    def make(_: Deal, fields: dict[str, Any]) -> GrantExtension:
        return GrantExtension(**fields, by=caller.principal.by)

    wish = asked(caller, app, registration_id, GrantExtension)
    return await perform(caller, app, GrantExtension, on_deal(wish, make))


@router.post("/deals/{registration_id}/refuse-extension")
async def refuse_extension(registration_id: Id, body: RefuseBody, caller: Writer, app: App) -> Response:
    """Leaves the protection its end, with a reason that the partner reads."""

    def make(_: Deal, fields: dict[str, Any]) -> RefuseExtension:
        return RefuseExtension(**fields, reason_code=body.reason_code, by=caller.principal.by)

    wish = asked(caller, app, registration_id, RefuseExtension)
    return await perform(caller, app, RefuseExtension, on_deal(wish, make))


@router.post("/deals/{registration_id}/revoke")
async def revoke(registration_id: Id, body: RevokeBody, caller: Writer, app: App) -> Response:
    """Takes a protection away: one person proposes it, a second one, asking for the same, does it."""
    evidence = tuple(one.evidence() for one in body.evidence)

    def make(_: Deal, fields: dict[str, Any]) -> RevokeDeal:
        said: dict[str, Any] = {"reason_code": body.reason_code, "evidence": evidence, "by": caller.principal.by}
        return RevokeDeal(**fields, **said, in_full=True)

    return await perform(caller, app, RevokeDeal, on_deal(asked(caller, app, registration_id, RevokeDeal), make))


@router.post("/deals/{registration_id}/reject")
async def reject(registration_id: Id, body: RejectBody, caller: Writer, app: App) -> Response:
    """Says no, with a reason code that the partner reads and a message to it."""
    message = app.seal(caller.tenant, subject_of(registration_id), body.message)

    def make(_: Deal, fields: dict[str, Any]) -> RejectDeal:
        return RejectDeal(**fields, reason_code=body.reason_code, message=message, by=caller.principal.by)

    return await perform(caller, app, RejectDeal, on_deal(asked(caller, app, registration_id, RejectDeal), make))


@router.post("/deals/{registration_id}/merge")
async def merge(registration_id: Id, body: MergeBody, caller: Writer, app: App) -> Response:
    """Ends a deal that is another one of the same partner; both numbers lead to that one."""
    wish = asked(caller, app, registration_id, MergeDuplicate)
    by = caller.principal.by
    return await perform(caller, app, MergeDuplicate, merging(wish, RegistrationId(body.into), by))


@router.post("/deals/{registration_id}/queue")
async def queue(registration_id: Id, caller: Writer, app: App) -> Response:
    """Puts a deal in review behind the rival that blocks it."""

    def make(_: Deal, fields: dict[str, Any]) -> QueueDeal:
        return QueueDeal(**fields)

    wish = asked(caller, app, registration_id, QueueDeal)
    prepared = screening_again(wish, app.ports.accounts, caller.tenant, make, caller.new_id("screening"))
    return await perform(caller, app, QueueDeal, prepared)
