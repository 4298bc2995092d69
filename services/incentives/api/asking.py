"""Which of a partner's people may ask why: of pay, who reads all that the partner earns, and whose own pay it is."""

from typing import Any

from chassis.application import Application, MayAsk
from chassis.event import Seen
from chassis.identity import Principal
from chassis.inspection import disclosed
from services.incentives.access import READ_EARNINGS, READ_FUNDS
from services.incentives.api import claims
from services.incentives.domain import (
    account,
    forfeiture,
    fund_request_events,
    line_dispute,
    meter,
    payee_events,
    payment_events,
    sale_events,
    settlement,
)
from services.incentives.domain.claim import ClaimDecided

OF_PAY: tuple[type[Any], ...] = (
    sale_events.PayoutCalculated,
    sale_events.PayoutReversed,
    sale_events.PayoutReleased,
    sale_events.PayoutPostponed,
    sale_events.PayoutAdjusted,
    sale_events.SpiffAwarded,
    meter.RebateAccrued,
    meter.RebateSettled,
    meter.WindowTruedUp,
    meter.TrueUpPostponed,
    meter.TrueUpHeldLonger,
    meter.TrueUpReduced,
    meter.TrueUpReleased,
    account.StatementIssued,
    payment_events.PaymentApproved,
    payment_events.PaymentBlocked,
    payment_events.PaymentDeclined,
    payment_events.PaymentMade,
    payment_events.PaymentFailed,
    line_dispute.DisputeDecided,
    line_dispute.DisputeConcluded,
    line_dispute.DisputeEvidenceRequested,
    payee_events.BankDetailsChanged,
    settlement.PartnerSettled,
    forfeiture.ForfeitureNoticed,
)
OF_FUNDS: tuple[type[Any], ...] = (
    fund_request_events.FundRequestDecided,
    fund_request_events.FundRequestReturned,
    fund_request_events.FundClaimReminded,
)


async def of_pay(app: Application, who: Principal, seen: Seen) -> bool:
    """Whether it is told to the partner, and this person may read what the partner earns, or is who is paid."""
    own = getattr(seen.event, "payee_id", None) == who.by
    return (own or app.access.allows(who, READ_EARNINGS)) and disclosed(app, seen, who)


async def of_funds(app: Application, who: Principal, seen: Seen) -> bool:
    """Whether it is told to the partner, and this person may know of its fund money."""
    return app.access.allows(who, READ_FUNDS) and disclosed(app, seen, who)


MAY_ASK: dict[type[Any], MayAsk] = {
    ClaimDecided: claims.may_ask,
    **dict.fromkeys(OF_PAY, of_pay),
    **dict.fromkeys(OF_FUNDS, of_funds),
}
