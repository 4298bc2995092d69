"""What a command answers: where things stand after it, as whoever sent it may know it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.case import Stage
from chassis.event import iso, plain
from chassis.rulebook import CodedReason
from contracts.values import Span
from services.registration.domain.account import Account, AddKey, OpenAccount
from services.registration.domain.account_key import AccountKey
from services.registration.domain.availability import CheckCustomer, DayOfChecks, ForVendor
from services.registration.domain.deal import Deal, Status
from services.registration.domain.deal_commands import RecordOrder, WithdrawDeal
from services.registration.domain.deal_notes import AddNote
from services.registration.domain.disclosure import told
from services.registration.domain.dispute import AppealDispute, Dispute, FileDispute, OnDispute
from services.registration.domain.exclusion import AddExclusion, EndExclusion
from services.registration.domain.grouping import CutParent, LinkParent
from services.registration.domain.invitation import Answer, Invitation
from services.registration.domain.kept_mail import Mail, OnMail
from services.registration.domain.lead import Lead, Standing
from services.registration.domain.lead_commands import ForgetLead, OnLead
from services.registration.domain.merging import MergeAccounts, SplitAccounts

# Deals


class DealAnswer(TypedDict):
    """Where the deal stands now, and why. `place` is its place in the queue, `free_from` the day the customer is free."""

    registration_id: str
    number: str
    partner_id: str
    account_id: str
    status: Annotated[str, Status]
    reasons: list[CodedReason]
    place: int | None
    free_from: Annotated[str, date] | None
    protection: Annotated[dict[str, str], Span] | None


class ReviewedDeal(DealAnswer):
    """A deal with the screening that it stands on, and the steps that still wait for somebody."""

    screening_id: str | None
    open_steps: list[int]


class DraftAnswer(TypedDict):
    """A draft by its id and number, which stay when it is registered."""

    registration_id: str
    number: str
    status: Annotated[str, Status]


class NoteAnswer(TypedDict):
    note_id: str


class SeenRival(TypedDict):
    """Who wants the same, for the vendor's eyes alone. `blocks`: it keeps the other one waiting."""

    registration_id: str
    partner_id: str
    match: str
    state: str
    submitted_at: Annotated[str, datetime]
    protected_until: Annotated[str, datetime] | None
    blocks: bool


class CheckAnswer(TypedDict):
    """`availability` is free, likely_free, needs_review, taken or not_eligible; `free_from` is when it changes.

    `checks_left` says how many more the partner, or the person of the vendor, may ask this UTC day, `already_registered`
    which deal of the partner's own is on the same. The vendor learns besides why, and who wants the same.
    """

    check_id: str
    availability: str
    free_from: Annotated[str, date] | None
    already_registered: NotRequired[str]
    checks_left: NotRequired[int]
    reasons: NotRequired[list[CodedReason]]
    rivals: NotRequired[list[SeenRival]]


def answer(wish: Any, deal: Deal, *_: Any) -> DealAnswer:
    """Where the deal stands now, as its partner may know it."""
    return told(whole(wish, deal), deal.first.withheld)  # type: ignore[return-value]


def whole(_: Any, deal: Deal, *__: Any) -> DealAnswer:
    """Where the deal stands now, for the vendor."""
    first = deal.first
    return {
        "registration_id": first.registration_id,
        "number": first.number,
        "partner_id": first.partner_id,
        "account_id": first.accounts[0],
        "status": deal.status.value,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in deal.reasons],
        "place": deal.place,
        "free_from": iso(deal.free_on) if deal.free_on else None,
        "protection": {"start": iso(deal.protection.start), "end": iso(deal.protection.end)}
        if deal.protection
        else None,
    }


def looked_at(wish: Any, deal: Deal, *rest: Any) -> ReviewedDeal:
    """As `whole`, with the screening that the deal stands on and the steps that still wait for somebody."""
    screening_id = deal.screened.screening_id if deal.screened else None
    return {**whole(wish, deal, *rest), "screening_id": screening_id, "open_steps": list(deal.review.steps)}


class OrderAnswer(TypedDict):
    """The order, as a distributor reads it that takes part in another partner's deal."""

    registration_id: str
    number: str
    order_ref: str


def ordered(wish: RecordOrder, deal: Deal, *rest: Any) -> DealAnswer | OrderAnswer:
    """The deal; of another partner's, no more than the order."""
    first = deal.first
    if wish.recorded_for in (None, first.partner_id):
        return answer(wish, deal, *rest)
    return {"registration_id": first.registration_id, "number": first.number, "order_ref": wish.order_ref}


def drafted(wish: Any, deal: Deal) -> DraftAnswer:
    """A draft as its partner knows it."""
    return {"registration_id": wish.registration_id, "number": deal.header["number"], "status": deal.status.value}


def withdrawn(wish: WithdrawDeal, deal: Deal, *rest: Any) -> DealAnswer | DraftAnswer:
    """A deal, or a draft that nobody ever saw."""
    return answer(wish, deal, *rest) if deal.registered else drafted(wish, deal)


def noted(wish: AddNote, _: Any) -> NoteAnswer:
    """The note by its name."""
    return {"note_id": wish.note_id}


def checked(wish: CheckCustomer, day: DayOfChecks) -> CheckAnswer:
    """What whoever asks learns."""
    known: CheckAnswer = {**checked_without_rest(wish, day), "checks_left": day.left}
    if wish.already:
        known["already_registered"] = wish.already
    return {**known, **told_vendor(wish.for_vendor)} if wish.for_vendor else known  # type: ignore[typeddict-item]


def told_vendor(seen: ForVendor) -> dict[str, Any]:
    """What the vendor learns besides whoever it asks for."""
    return {"reasons": [{"code": one.code, "text": one.text} for one in seen.reasons], "rivals": plain(seen.rivals)}


def checked_without_rest(wish: CheckCustomer, _: Any) -> CheckAnswer:
    """Evaluator 1: how many checks are left was not told."""
    free_from = wish.free_from.isoformat() if wish.free_from else None
    return {"check_id": wish.check_id, "availability": wish.availability, "free_from": free_from}


# Mails


class MailAnswer(TypedDict):
    """The mail by its id, and the deal or draft that comes of it."""

    mail_id: str
    registration_id: str


def mailed(wish: OnMail, mail: Mail) -> MailAnswer:
    """The mail by its id."""
    return {"mail_id": wish.mail_id, "registration_id": mail.first.registration_id}


# Disputes


class DisputeAnswer(TypedDict):
    """Where the dispute stands, and when its next step is due. It is named as the claim is of who asks."""

    dispute_id: str
    stage: Annotated[str, Stage]
    due_at: str | None


def filed(wish: FileDispute, dispute: Dispute) -> DisputeAnswer:
    """Where the dispute stands that a partner has filed over its deal."""
    return _case(wish.registration_id, dispute)


def case_of(wish: OnDispute, dispute: Dispute) -> DisputeAnswer:
    """Where the dispute stands."""
    return _case(wish.dispute_id, dispute)


def appealed(wish: AppealDispute, dispute: Dispute) -> DisputeAnswer:
    """As `case_of`, by the claim of who appeals."""
    return _case(wish.holder or wish.dispute_id, dispute)


def _case(dispute_id: str, dispute: Dispute) -> DisputeAnswer:
    case = dispute.case
    due_at = iso(case.due_at) if case.due_at else None
    return {"dispute_id": dispute_id, "stage": case.stage.value, "due_at": due_at}


# Customers


class ExclusionAnswer(TypedDict):
    """The entry as it is named from now on."""

    exclusion_id: str
    target: str


class MergeAnswer(TypedDict):
    """The merge, with which it is taken back, the deals that moved, and the holds that are contested now.

    A hold is named by its deal, or by the invitation of who takes part in one.
    """

    merge_id: str
    account_id: str
    moved: Sequence[str]
    contested: Sequence[str]


class LinkAnswer(TypedDict):
    """The edge by its name, the head of the group, and the holds that are contested now, named as those of a merge."""

    link_id: str
    account_id: str
    parent_id: str
    root_id: str
    contested: Sequence[str]


class CutAnswer(TypedDict):
    """The customer that stands by itself again, with what belongs to it."""

    account_id: str
    members: Sequence[str]


class SplitAnswer(TypedDict):
    """The account that stands by itself again, with its claims."""

    merge_id: str
    account_id: str
    returned: Sequence[str]


class KeyAnswer(TypedDict):
    """The key and the accounts that it leads to."""

    scheme: str
    value: str
    accounts: Sequence[str]


class OpenedAccount(TypedDict):
    """The customer by its id, which its registrations will name."""

    account_id: str


def opened(wish: OpenAccount, *_: Any) -> OpenedAccount:
    """The customer as it is named from now on."""
    return {"account_id": wish.account_id}


def excluded(wish: AddExclusion | EndExclusion, _: Any) -> ExclusionAnswer:
    """The entry as it is named from now on."""
    return {"exclusion_id": wish.exclusion_id, "target": wish.target}


def merged(wish: MergeAccounts, *_: Any) -> MergeAnswer:
    """The merge by its name, with which it is taken back, and the holds that are contested now."""
    contested = sorted({one for pair in wish.collisions for one in (pair.registration_id, *pair.against)})
    return {"merge_id": wish.merge_id, "account_id": wish.survivor_id, "moved": wish.moved, "contested": contested}


def linked(wish: LinkParent, *_: Any) -> LinkAnswer:
    """The edge by its name, and the holds that are contested now."""
    contested = sorted({one for pair in wish.collisions for one in (pair.registration_id, *pair.against)})
    return {
        "link_id": wish.link_id,
        "account_id": wish.account_id,
        "parent_id": wish.parent_id,
        "root_id": wish.above.root_id,
        "contested": contested,
    }


def cut(wish: CutParent, *_: Any) -> CutAnswer:
    """The customer that stands by itself again, with what belongs to it."""
    return {"account_id": wish.account_id, "members": wish.below[1:]}


def split(wish: SplitAccounts, *_: Any) -> SplitAnswer:
    """The account that stands by itself again, with its claims."""
    return {"merge_id": wish.merge_id, "account_id": wish.absorbed_id, "returned": wish.going}


def keyed(wish: AddKey, account: Account, key: AccountKey) -> KeyAnswer:
    """The key and the accounts that it leads to."""
    return {"scheme": wish.key.scheme, "value": wish.key.value, "accounts": key.accounts}


# Invitations


class InvitationAnswer(TypedDict):
    """What became of the invitation, and until when it may be answered."""

    invitation_id: str
    status: Annotated[str, Answer]
    due_at: str


def invited(wish: Any, invitation: Invitation, *_: Any) -> InvitationAnswer:
    """Where the invitation stands."""
    status, due_at = invitation.answer.value, iso(invitation.first.due_at)
    return {"invitation_id": wish.invitation_id, "status": status, "due_at": due_at}


def gone(wish: Any, invitation: Invitation, *states: Any) -> InvitationAnswer:
    """Where it stands once its partner takes part no more."""
    return {**invited(wish, invitation, *states), "status": Answer.LEFT.value}


# Leads


class LeadAnswer(TypedDict):
    """Where the lead stands. `held` are the rules that hold it back, if any."""

    lead_id: str
    number: str
    status: Annotated[str, Standing]
    held: list[str]


class ForgottenAnswer(TypedDict):
    """It can never be read again."""

    forgotten: bool


def forgotten(*_: Any) -> ForgottenAnswer:
    """That it is forgotten, whether by this call or before."""
    return {"forgotten": True}


class LeadForgottenAnswer(TypedDict):
    """Its contact and its words can never be read again."""

    lead_id: str
    forgotten: bool


def lead_forgotten(wish: ForgetLead, _: Any) -> LeadForgottenAnswer:
    """The lead of which only the record stays."""
    return {"lead_id": wish.lead_id, "forgotten": True}


def lead_answer(wish: OnLead, lead: Lead, *_: Any) -> LeadAnswer:
    """Where the lead stands, for who asked."""
    state = lead.standing.value
    return {"lead_id": wish.lead_id, "number": lead.first.number, "status": state, "held": list(lead.first.held)}
