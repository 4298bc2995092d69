"""A person is forgotten: whatever was sealed for its pay can be read no more, and nothing is paid to it. The ledger stays.

Each paper (bank details, a tax form) has a key of its own, and an event that says which key is destroyed.
"""

from services.incentives.domain.payee import Payee
from services.incentives.domain.payee_commands import ForgetPayee
from services.incentives.domain.payee_events import PaperForgotten, PayeeEvent, PayeeForgotten


def forget_payee(wish: ForgetPayee, payee: Payee) -> list[PayeeEvent]:
    """Forgets the person, also before it was ever known as a payee: what comes late of it opens none."""
    if payee.forgotten:
        return []
    forgotten = PayeeForgotten(payee_id=wish.payee_id, partner_id=payee.partner_id, forgotten_at=wish.now)
    return [forgotten, *(_paper(forgotten, paper_id) for paper_id in payee.papers)]


def _paper(of: PayeeForgotten, paper_id: str) -> PaperForgotten:
    return PaperForgotten(
        payee_id=of.payee_id, partner_id=of.partner_id, paper_id=paper_id, forgotten_at=of.forgotten_at
    )
