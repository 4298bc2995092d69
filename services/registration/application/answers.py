"""What a command answers: where things stand after it, as whoever sent it may know it."""

from typing import Any

from chassis.event import iso
from services.registration.domain.account import Account, AddKey
from services.registration.domain.account_key import AccountKey
from services.registration.domain.deal import Deal
from services.registration.domain.deal_commands import WithdrawDeal
from services.registration.domain.dispute import AppealDispute, Dispute
from services.registration.domain.exclusion import AddExclusion, EndExclusion
from services.registration.domain.grouping import CutParent, LinkParent
from services.registration.domain.lead import Lead
from services.registration.domain.lead_commands import OnLead
from services.registration.domain.merging import MergeAccounts, SplitAccounts

# Answers


def answer(_: Any, deal: Deal, *__: Any) -> dict[str, Any]:
    """Where the deal stands now, as its partner may know it."""
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


def looked_at(wish: Any, deal: Deal, *rest: Any) -> dict[str, Any]:
    """As `answer`, with the screening that the deal stands on and the steps that still wait for somebody."""
    screening_id = deal.screened.screening_id if deal.screened else None
    return {**answer(wish, deal, *rest), "screening_id": screening_id, "open_steps": list(deal.review.steps)}


def drafted(wish: Any, deal: Deal) -> dict[str, Any]:
    """A draft as its partner knows it."""
    return {"registration_id": wish.registration_id, "number": deal.header["number"], "status": deal.status.value}


def withdrawn(wish: WithdrawDeal, deal: Deal, *rest: Any) -> dict[str, Any]:
    """A deal, or a draft that nobody ever saw."""
    return answer(wish, deal, *rest) if deal.registered else drafted(wish, deal)


def excluded(wish: AddExclusion | EndExclusion, _: Any) -> dict[str, Any]:
    """The entry as it is named from now on."""
    return {"exclusion_id": wish.exclusion_id, "target": wish.target}


def case_of(wish: Any, dispute: Dispute, *_: Any) -> dict[str, Any]:
    """Where the dispute stands."""
    case = dispute.case
    due_at = iso(case.due_at) if case.due_at else None
    return {"dispute_id": wish.registration_id, "stage": case.stage.value, "due_at": due_at}


def appealed(wish: AppealDispute, dispute: Dispute, *_: Any) -> dict[str, Any]:
    """As `case_of`, by the deal of who appeals."""
    return {**case_of(wish, dispute), "dispute_id": wish.holder or wish.registration_id}


def merged(wish: MergeAccounts, *_: Any) -> dict[str, Any]:
    """The merge by its name, with which it is taken back, and the deals whose holds are contested now."""
    contested = sorted({one for pair in wish.collisions for one in (pair.registration_id, *pair.against)})
    return {"merge_id": wish.merge_id, "account_id": wish.survivor_id, "moved": wish.moved, "contested": contested}


def linked(wish: LinkParent, *_: Any) -> dict[str, Any]:
    """The edge by its name, and the deals whose holds are contested now."""
    contested = sorted({one for pair in wish.collisions for one in (pair.registration_id, *pair.against)})
    edge = {"account_id": wish.account_id, "parent_id": wish.parent_id, "root_id": wish.above.root_id}
    return {"link_id": wish.link_id, **edge, "contested": contested}


def cut(wish: CutParent, *_: Any) -> dict[str, Any]:
    """The customer that stands by itself again, with what belongs to it."""
    return {"account_id": wish.account_id, "members": wish.below[1:]}


def split(wish: SplitAccounts, *_: Any) -> dict[str, Any]:
    """The account that stands by itself again, with its claims."""
    return {"merge_id": wish.merge_id, "account_id": wish.absorbed_id, "returned": wish.going}


def keyed(wish: AddKey, account: Account, key: AccountKey) -> dict[str, Any]:
    """The key and the accounts that it leads to."""
    return {"scheme": wish.key.scheme, "value": wish.key.value, "accounts": key.accounts}


# Leads


def lead_answer(wish: OnLead, lead: Lead, *_: Any) -> dict[str, Any]:
    """Where the lead stands, for who asked."""
    state = lead.standing.value
    return {"lead_id": wish.lead_id, "number": lead.first.number, "status": state, "held": list(lead.first.held)}
