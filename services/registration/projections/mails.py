"""The mails that deals came in by: what was read of them, and what became of each. Their words stay sealed.

A mail and the deal that comes of it are one to one: a document stands under the deal's id.
"""

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.deal_events import DealRegistered, DraftDiscarded
from services.registration.domain.kept_mail import (
    PARTNER,
    REGISTERED,
    VENDOR,
    MailForgotten,
    MailKept,
    MailRead,
    MailSettled,
)
from services.registration.projections.deal_board import of_deal

KEPT, DISCARDED, FORGOTTEN = "kept", "discarded", "forgotten"
States = Literal["kept", "registered", "draft", "discarded", "refused", "forgotten"]


class ReadingDone(TypedDict):
    """One version of the parser, and when it read the mail."""

    parser: int
    at: str


class _Mail(TypedDict):
    mail_id: str
    registration_id: str
    partner_id: str
    programme: str
    state: Annotated[str, States]
    parser: int
    missing: list[str]
    refusal: str | None
    standing: NotRequired[str | None]
    size_bytes: int
    kept_at: str
    readings: list[ReadingDone]


class MailDocument(_Mail):
    """`readers` are the sides that may read it: who handed it in, and the vendor once a deal came of it."""

    found: dict[str, Any] | None
    readers: list[str]


class ShownField(TypedDict):
    """One field as the mail says it. `name` is its path in a registration; `value` null where it made no sense.

    `confidence` lies between 0 and 1; below 0.8 nothing is registered without a person. A `guess` stands under no label.
    """

    name: str
    value: Any
    text: str
    source: str
    confidence: float
    guess: bool


class ShownMail(_Mail):
    """`fields` are null once the mail is forgotten; so is `raw`, which a list leaves out."""

    fields: list[ShownField] | None
    remarks: list[str]


class WholeMail(ShownMail):
    raw: str | None


def evolve(document: MailDocument | None, seen: Seen) -> MailDocument | None:
    happened = seen.event
    if isinstance(happened, MailKept):
        return _kept(happened)
    if document is None:
        return None
    return {**document, **_change(document, happened)}  # type: ignore[return-value]


def _kept(it: MailKept) -> MailDocument:
    return {
        "mail_id": it.mail_id,
        "registration_id": it.registration_id,
        "partner_id": it.partner_id,
        "programme": it.programme,
        "state": KEPT,
        "parser": 0,
        "missing": [],
        "refusal": None,
        "size_bytes": it.size_bytes,
        "kept_at": iso(it.kept_at),
        "readings": [],
        "found": None,
        "readers": sorted({PARTNER, it.side}),
    }


def _change(document: MailDocument, happened: object) -> dict[str, Any]:
    match happened:
        case MailRead(parser=parser, found=found, missing=missing, read_at=at):
            done = [*document["readings"], {"parser": parser, "at": iso(at)}]
            return {"parser": parser, "found": plain(found), "missing": list(missing), "readings": done}
        case MailSettled(outcome=outcome, refusal=refusal, missing=missing, standing=standing):
            told = {"refusal": refusal, "missing": list(missing), "standing": standing or None}
            return {**_now(document, outcome), **told}
        case MailForgotten():
            return {"state": FORGOTTEN}
        case DealRegistered():
            return {**_now(document, REGISTERED), "missing": [], "readers": [PARTNER, VENDOR]}
        case _:
            return _now(document, DISCARDED)


def _now(document: MailDocument, state: str) -> dict[str, Any]:
    """What is forgotten stays so, whatever becomes of the deal."""
    return {} if document["state"] == FORGOTTEN else {"state": state}


MAILS = Projection(
    name="mails",
    version=1,
    keys=dict.fromkeys((MailKept, MailRead, MailSettled, MailForgotten, DealRegistered, DraftDiscarded), of_deal),
    evolve=evolve,
    indexes=("partner_id", "state", "kept_at", "readers[]"),
)
