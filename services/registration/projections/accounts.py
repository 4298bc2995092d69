"""The end customers: names, keys, relations, and the live claims on each. The vendor's only."""

from typing import Any, TypedDict

from chassis.decider import stream_parts
from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.account import AccountLinked, AccountOpened, IdentityConfirmed, KeptApart, NameAdded
from services.registration.domain.claims import ClaimHeld, ClaimPlaced, ClaimPromoted, ClaimQueued, ClaimReleased


class AccountDocument(TypedDict):
    """`claims` are the live ones by registration, in the order they were placed."""

    account_id: str
    name: str
    names: list[str]
    country: str
    domain: str | None
    keys: list[dict[str, Any]]
    confirmed: bool
    links: list[dict[str, str]]
    apart: list[str]
    opened_at: str | None
    claims: dict[str, dict[str, Any]]


def _account(seen: Seen) -> str:
    return stream_parts(seen.stream)[2]


def evolve(document: AccountDocument | None, seen: Seen) -> AccountDocument:
    known = document or _unknown(_account(seen))
    changes = _of_account(known, seen.event) or {"claims": _of_claims(known["claims"], seen.event)}
    return {**known, **changes}  # type: ignore[typeddict-item]


def _unknown(account_id: str) -> AccountDocument:
    return {
        "account_id": account_id,
        "name": "",
        "names": [],
        "country": "",
        "domain": None,
        "keys": [],
        "confirmed": False,
        "links": [],
        "apart": [],
        "opened_at": None,
        "claims": {},
    }


def _of_account(document: AccountDocument, happened: object) -> dict[str, Any]:
    match happened:
        case AccountOpened(customer=customer, keys=keys, opened_at=at):
            return {
                "name": customer.name,
                "names": [customer.name, *customer.trade_names],
                "country": customer.country,
                "domain": customer.domain,
                "keys": [{"scheme": key.scheme, "value": key.value} for key in keys],
                "opened_at": iso(at),
            }
        case NameAdded(name=name):
            return {"names": [*document["names"], name]}
        case AccountLinked(other_id=other, link=link):
            return {"links": [*document["links"], {"account_id": other, "link": link}]}
        case KeptApart(other_id=other):
            return {"apart": [*document["apart"], other]}
        case IdentityConfirmed():
            return {"confirmed": True}
        case _:
            return {}


def _of_claims(claims: dict[str, dict[str, Any]], happened: Any) -> dict[str, dict[str, Any]]:
    one = happened.registration_id
    match happened:
        case ClaimPlaced(partner_id=partner, submitted_at=at):
            placed = {
                "partner_id": partner,
                "state": "pending",
                "submitted_at": iso(at),
                "reach": plain(happened.reach),
            }
            return {**claims, one: placed}
        case ClaimReleased():
            return {known: claim for known, claim in claims.items() if known != one}
        case ClaimHeld(protection=span):
            return {**claims, one: {**claims[one], "state": "held", "until": iso(span.end)}}
        case ClaimQueued():
            return {**claims, one: {**claims[one], "state": "waiting"}}
        case _:
            return {**claims, one: {**claims[one], "state": "pending"}}


ACCOUNTS = Projection(
    name="accounts",
    version=1,
    keys=dict.fromkeys(
        (
            *(AccountOpened, NameAdded, AccountLinked, KeptApart, IdentityConfirmed),
            *(ClaimPlaced, ClaimQueued, ClaimPromoted, ClaimHeld, ClaimReleased),
        ),
        _account,
    ),
    evolve=evolve,
    indexes=("name", "country", "domain"),
)
