"""A provider that says otherwise of a payment than before: a case that a person closes, after settling it with the provider."""

from datetime import datetime

from chassis.event import command
from services.incentives.domain.abuse_rules import CONTRADICTION, NOTE, AbuseFacts
from services.incentives.domain.case import Case, CaseEvent, CaseOpened, SignalSeen, Stage, case_id


@command("incentives.OpenContradictionCase.v1")
class OpenContradictionCase:
    """What the provider said of `reference` does not fit what is recorded of the payment."""

    case_id: str
    payment_id: str
    partner_id: str
    payee_id: str
    reference: str
    now: datetime


def contradiction_id(payment_id: str, provider_event_id: str) -> str:
    """Each contradiction is a case of its own."""
    return case_id(CONTRADICTION, f"{payment_id}-{provider_event_id}")


def open_contradiction_case(wish: OpenContradictionCase, case: Case) -> list[CaseEvent]:
    """Opens the case, once. It holds nothing: a payment that is unclear is not repeated by itself."""
    if case.stage is not Stage.NONE:
        return []
    facts = AbuseFacts(signal=CONTRADICTION, count=1)
    seen = SignalSeen(
        case_id=wish.case_id,
        partner_id=wish.partner_id,
        payee_id=wish.payee_id,
        subject=wish.payment_id,
        related=(wish.reference,),
        facts=facts,
        seen_at=wish.now,
    )
    opened = CaseOpened(
        case_id=wish.case_id,
        partner_id=wish.partner_id,
        payee_id=wish.payee_id,
        signal=CONTRADICTION,
        action=NOTE,
        rulebook_id="",
        version=0,
        hits=(),
        lines=(),
        holds_payee=False,
        opened_at=wish.now,
    )
    return [seen, opened]
