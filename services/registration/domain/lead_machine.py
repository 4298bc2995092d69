"""The life of a lead as a table, which the decisions on it ask."""

from typing import Any

from services.registration.domain.lead import FINAL, ON_OFFER, WITH_ONE, Standing
from services.registration.domain.lead_commands import (
    AcceptLead,
    AppealLead,
    AssignLead,
    ClaimLead,
    CloseLead,
    ConvertLead,
    DeclineLead,
    LapseOffers,
    PoolLead,
    ReclaimLead,
    ReleaseLead,
    ReportProgress,
    ReturnLead,
    SubmitLead,
)
from services.registration.domain.machine import Move

_NEW, _HELD_BACK, _OPEN, _POOLED = Standing.NONE, Standing.QUARANTINED, Standing.OPEN, Standing.POOLED
_CLOSED = Standing.CLOSED
LIVE = tuple(one for one in Standing if one not in (_NEW, *FINAL))

MOVES: dict[type[Any], Move[Standing]] = {
    SubmitLead: Move("submit", (_NEW,), (_OPEN, _HELD_BACK, _CLOSED)),
    AppealLead: Move("appeal", (_HELD_BACK,), ()),
    ReleaseLead: Move("release", (_HELD_BACK,), (_OPEN,)),
    AssignLead: Move("assign", (_OPEN, _POOLED), (Standing.OFFERED, _POOLED, _CLOSED)),
    PoolLead: Move("pool", (_OPEN,), (_POOLED,)),
    ClaimLead: Move("claim", (_POOLED,), (Standing.ACCEPTED,)),
    AcceptLead: Move("accept", ON_OFFER, (Standing.ACCEPTED,)),
    DeclineLead: Move("decline", ON_OFFER, (_OPEN, _CLOSED)),
    LapseOffers: Move("", ON_OFFER, (_OPEN,)),
    ReportProgress: Move("report", WITH_ONE, ()),
    ReturnLead: Move("return", WITH_ONE, (_OPEN,)),
    ReclaimLead: Move("", WITH_ONE, (_OPEN,)),
    ConvertLead: Move("convert", WITH_ONE, (Standing.CONVERTED,)),
    CloseLead: Move("close", LIVE, (_CLOSED,)),
}
"""Each command on a lead: the verb by which it is asked for ("": the service's own), from where, and to where."""
