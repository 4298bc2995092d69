"""Which signals of abuse were seen, which opened a case, what does it hold, and what was it?"""

from collections.abc import Callable
from typing import Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.incentives.domain.abuse_rules import NONE, text_of
from services.incentives.domain.case import CaseClosed, CaseExtended, CaseOpened, SignalSeen, Stage


class CaseDocument(TypedDict):
    """`state`: seen (met no rule), open, confirmed or false_alarm. `text` is the signal in words."""

    case_id: str
    partner_id: str
    payee_id: str
    signal: str
    subject: str
    related: list[str]
    facts: dict[str, Any]
    text: str
    state: str
    action: str
    rulebook_id: str | None
    version: int | None
    hits: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    holds_payee: bool
    reason: str | None
    closed_by: str | None
    event_id: str
    seen_at: str
    changed_at: str


def evolve(document: CaseDocument | None, seen: Seen) -> CaseDocument | None:
    happened = seen.event
    if isinstance(happened, SignalSeen):
        return _seen(document, happened, seen)
    if document is None:
        return None
    changes = CHANGES[type(happened)](document, happened)
    changed: Any = {**document, **changes, "event_id": seen.id, "changed_at": iso(seen.recorded_at)}
    found: CaseDocument = changed
    return found


def _seen(document: CaseDocument | None, it: SignalSeen, seen: Seen) -> CaseDocument:
    return {
        "case_id": it.case_id,
        "partner_id": it.partner_id,
        "payee_id": it.payee_id,
        "signal": it.facts.signal,
        "subject": it.subject,
        "related": list(it.related),
        "facts": plain(it.facts),
        "text": text_of(it.facts),
        "state": Stage.SEEN.value,
        "action": NONE,
        "rulebook_id": None,
        "version": None,
        "hits": [],
        "lines": [],
        "holds_payee": False,
        "reason": None,
        "closed_by": None,
        "event_id": seen.id,
        "seen_at": document["seen_at"] if document else iso(it.seen_at),
        "changed_at": iso(seen.recorded_at),
    }


def _opened(_: CaseDocument, it: CaseOpened) -> dict[str, Any]:
    return {
        "state": Stage.OPEN.value,
        "action": it.action,
        "rulebook_id": it.rulebook_id or None,
        "version": it.version or None,
        "hits": [plain(hit) for hit in it.hits],
        "lines": [plain(line) for line in it.lines],
        "holds_payee": it.holds_payee,
    }


def _extended(document: CaseDocument, it: CaseExtended) -> dict[str, Any]:
    return {"lines": [*document["lines"], *(plain(line) for line in it.lines)]}


def _closed(_: CaseDocument, it: CaseClosed) -> dict[str, Any]:
    return {"state": it.outcome, "reason": it.reason, "closed_by": it.closed_by}


CHANGES: dict[type[Any], Callable[[CaseDocument, Any], dict[str, Any]]] = {
    CaseOpened: _opened,
    CaseExtended: _extended,
    CaseClosed: _closed,
}


CASES = Projection(
    name="cases",
    version=1,
    keys=dict.fromkeys((SignalSeen, *CHANGES), lambda seen: str(seen.event.case_id)),
    evolve=evolve,
    indexes=("changed_at", "state,changed_at", "partner_id,changed_at", "signal,changed_at"),
)
