"""The life of a payment, cell by cell: what each command does in each state, and the word with which it is refused."""

from typing import Any

import pytest

from chassis.decider import NotFound
from contracts.values import money
from services.incentives.domain.payee_events import PayeeReinstated
from tests.incentives.orders import APPROVE, DECLINE, NOW, RESUME, RETRY, SUBMIT, SUSPENDED, said
from tests.incentives.test_paying import RuledDesk, invoice

REINSTATED = PayeeReinstated(payee_id="p1", partner_id="p1", revision=3, reinstated_at=NOW)
PAID, REJECTED, UNKNOWN = said("paid"), said("rejected"), said("unknown")
RETURNED = said("returned", provider_event_id="pe-2")
SENT = (APPROVE, SUBMIT)
STATES: dict[str, tuple[Any, ...]] = {
    "pending_invoice": (),
    "proposed": (),
    "approved": (APPROVE,),
    "blocked": (SUSPENDED, APPROVE, REINSTATED),
    "submitted": SENT,
    "unknown": (*SENT, UNKNOWN),
    "paid": (*SENT, PAID),
    "failed": (*SENT, REJECTED),
    "returned": (*SENT, PAID, RETURNED),
    "declined": (*SENT, REJECTED, DECLINE),
}
"""What led to each state, after the proposal."""
COMMANDS = {
    "invoice": invoice(tax=money("0.00", "EUR")),
    "approve": APPROVE,
    "submit": SUBMIT,
    "resume": RESUME,
    "retry": RETRY,
    "decline": DECLINE,
    "paid": said("paid", provider_event_id="pe-9"),
    "rejected": said("rejected", provider_event_id="pe-9"),
    "unknown": said("unknown", provider_event_id="pe-9"),
    "returned": said("returned", provider_event_id="pe-9"),
}
NO, NEVER, SO, ODD = "wrong-state", "unknown-reference", "", "OutcomeContradicted"
"""Refused, of a reference that was never submitted, it is so already, and what a person has to look at."""
GONE = "PaymentDeclined"
TABLE = {
    # state: invoice, approve, submit, resume, retry, decline, and what the provider says: paid, rejected, unknown, returned
    "pending_invoice": ("InvoiceAccepted", NO, NO, NO, NO, GONE, NEVER, NEVER, NEVER, NEVER),
    "proposed": (NO, "PaymentApproved", NO, SO, NO, GONE, NEVER, NEVER, NEVER, NEVER),
    "approved": (NO, SO, "PaymentSubmitted", NO, SO, GONE, NEVER, NEVER, NEVER, NEVER),
    "blocked": (NO, NO, NO, "PaymentResumed", NO, GONE, NEVER, NEVER, NEVER, NEVER),
    "submitted": (NO, NO, SO, NO, NO, NO, "PaymentMade", "PaymentFailed", "PaymentUnknown", ODD),
    "unknown": (NO, NO, SO, NO, NO, NO, "PaymentMade", "PaymentFailed", "PaymentUnknown", ODD),
    "paid": (NO, NO, NO, NO, NO, NO, SO, ODD, SO, "PaymentFailed"),
    "failed": (NO, NO, NO, NO, "PaymentRetried", GONE, ODD, SO, SO, ODD),
    "returned": (NO, NO, NO, NO, "PaymentRetried", GONE, SO, ODD, SO, SO),
    "declined": (NO, NO, NO, NO, NO, SO, ODD, SO, SO, ODD),
}
CELLS = [(state, command, word) for state, row in TABLE.items() for command, word in zip(COMMANDS, row, strict=True)]


def desk_in(state: str) -> RuledDesk:
    """A desk whose payment is in that state."""
    desk = RuledDesk({"gates": ["invoice"]} if state == "pending_invoice" else {})
    desk.after(desk.proposed)
    for step in STATES[state]:
        if step in (SUSPENDED, REINSTATED):
            desk.payee.append(step)
        else:
            desk.after(step)
    return desk


def outcome(desk: RuledDesk, wish: Any) -> str:
    """The one event that a command leads to, or the word with which it is refused; nothing where it is so already."""
    try:
        verdict = desk.asks(wish).verdict
    except NotFound as nowhere:
        return nowhere.slug
    made = [type(one).__name__ for one in verdict.events[0]] if verdict.refusal is None else [verdict.refusal.slug]
    return ", ".join(made)


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_reached(state):
    assert desk_in(state).stage == state


@pytest.mark.parametrize(("state", "command", "word"), CELLS)
def test_what_a_command_does_in_a_state(state, command, word):
    assert outcome(desk_in(state), COMMANDS[command]) == word


@pytest.mark.parametrize("state", STATES)
def test_a_statement_is_proposed_once_whatever_became_of_its_payment(state):
    desk = desk_in(state)
    desk.asks(desk.proposed).then_nothing()


@pytest.mark.parametrize("command", COMMANDS)
def test_of_what_nobody_proposed_nothing_is_done(command):
    assert outcome(RuledDesk({}), COMMANDS[command]) == "not-found"
