"""The end customers: names, keys, relations, and the live claims on each. The vendor's only."""

from typing import Any, TypedDict

from chassis.decider import stream_parts
from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.account import AccountLinked, AccountOpened, IdentityConfirmed, KeptApart, NameAdded
from services.registration.domain.claims import (
    ClaimExtended,
    ClaimHeld,
    ClaimMerged,
    ClaimPlaced,
    ClaimPromoted,
    ClaimQueued,
    ClaimReleased,
)


class AccountDocument(TypedDict):
    """`claims` are the live ones in the order they were placed."""

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
    claims: list[dict[str, Any]]


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
        "claims": [],
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


def _of_claims(claims: list[dict[str, Any]], happened: Any) -> list[dict[str, Any]]:
    one = happened.registration_id
    match happened:
        case ClaimPlaced():
            return [*claims, _placed(happened)]
        case ClaimReleased():
            return [claim for claim in claims if claim["registration_id"] != one]
        case ClaimHeld(protection=span):
            return _with(claims, one, {"state": "held", "until": iso(span.end)})
        case ClaimExtended(ends_at=end):
            return _with(claims, one, {"until": iso(end)})
        case ClaimMerged(merged_id=gone, submitted_at=at):
            return _merged(claims, one, gone, {"submitted_at": iso(at)})
        case ClaimQueued():
            return _with(claims, one, {"state": "waiting"})
        case _:
            return _with(claims, one, {"state": "pending"})


def _placed(happened: ClaimPlaced) -> dict[str, Any]:
    return {
        "registration_id": happened.registration_id,
        "partner_id": happened.partner_id,
        "state": "pending",
        "submitted_at": iso(happened.submitted_at),
        "until": None,
        "reach": plain(happened.reach),
    }


def _merged(claims: list[dict[str, Any]], one: str, gone: str, changes: dict[str, Any]) -> list[dict[str, Any]]:
    """The claim at the earlier of its own place and that of its duplicate."""
    first = min(n for n, claim in enumerate(claims) if claim["registration_id"] in (one, gone))
    mine = [{**claim, **changes} for claim in claims if claim["registration_id"] == one]
    rest = [claim for claim in claims if claim["registration_id"] != one]
    return [*rest[:first], *mine, *rest[first:]]


def _with(claims: list[dict[str, Any]], one: str, changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**claim, **changes} if claim["registration_id"] == one else claim for claim in claims]


ACCOUNTS = Projection(
    name="accounts",
    version=2,
    keys=dict.fromkeys(
        (
            *(AccountOpened, NameAdded, AccountLinked, KeptApart, IdentityConfirmed),
            *(ClaimPlaced, ClaimQueued, ClaimPromoted, ClaimHeld, ClaimExtended, ClaimMerged, ClaimReleased),
        ),
        _account,
    ),
    evolve=evolve,
    indexes=("name", "country", "domain"),
)
