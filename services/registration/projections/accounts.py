"""The end customers: names, keys, relations, merges, and the live claims on each. The vendor's only."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from chassis.decider import stream_parts
from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Span
from services.registration.domain import claims
from services.registration.domain.account import (
    AccountAbsorbed,
    AccountLinked,
    AccountOpened,
    AccountRestored,
    AccountsMerged,
    AccountsSplit,
    GroupChanged,
    IdentityConfirmed,
    KeptApart,
    KeyAdded,
    NameAdded,
    ParentCut,
    ParentLinked,
)
from services.registration.domain.account_key import Key
from services.registration.domain.claim import Alias, Claim, Proof, Won
from services.registration.domain.claims import (
    ClaimExtended,
    ClaimHeld,
    ClaimMerged,
    ClaimPlaced,
    ClaimPromoted,
    ClaimQueued,
    ClaimReleased,
    Claims,
    ClaimsAliased,
    ClaimShared,
    ClaimsJoined,
    ClaimsLeft,
    ClaimsParted,
    ClaimsRestored,
    IncumbentTold,
)
from services.registration.domain.overlap import Reach


class AccountKeyShown(TypedDict):
    """A key by which a customer is known; `merge_id`: it came with a merge, `shared`: others have it too."""

    scheme: str
    value: str
    shared: NotRequired[bool]
    merge_id: NotRequired[str]


class Likeness(TypedDict):
    """Another account, and how it is related."""

    account_id: str
    link: str


class MergeDocument(TypedDict):
    """`contested` are the holds that collided, by their deals, or by the invitations of who takes part in one."""

    merge_id: str
    account_id: str
    merged_at: str
    contested: list[str]


class ParentEdge(TypedDict):
    account_id: str
    linked_at: str


class ShownClaim(TypedDict):
    """A deal's live claim: pending, waiting, held or contested. `until` is the end of its protection.

    The claim of a participant is named by its invitation; `deal_id` is the deal that it takes part in. `counts_as` is the
    partner that its own one became one with.
    """

    registration_id: str
    deal_id: NotRequired[str]
    partner_id: str
    counts_as: NotRequired[str]
    reach: Reach
    priority: str
    priorities: list[str]
    letter_days: int
    evidence: list[Proof]
    state: str
    submitted_at: str
    protection: Span | None
    exclusive: bool
    until: Annotated[str, datetime] | None


class ClaimsAt(TypedDict):
    """Who claimed the customer at an instant, by what was known at another. `position` is the last change known then."""

    at: Annotated[str, datetime]
    known_at: Annotated[str, datetime]
    position: int
    items: list[ShownClaim]


class AccountDocument(TypedDict):
    """An end customer. `claims` are the live ones in the order in which they stand; `merges` those that can be taken back.

    `incumbents` are who won what here, the newest last, `aliases` the partners here that became one with another one.
    `parent` is the account that it belongs to; of the head of a group, `members` are all that belong to it.

    `words` are what it is found by: its names in normal form, and each word of these.
    """

    account_id: str
    name: str
    names: list[str]
    words: list[str]
    country: str
    domain: str | None
    keys: list[AccountKeyShown]
    confirmed: bool
    links: list[Likeness]
    apart: list[str]
    opened_at: str | None
    merged_into: str | None
    merges: list[MergeDocument]
    parent: ParentEdge | None
    members: list[str]
    claims: list[Annotated[dict[str, Any], ShownClaim]]
    incumbents: list[Annotated[dict[str, Any], Won]]
    aliases: list[Annotated[dict[str, Any], Alias]]


def _account(seen: Seen) -> str:
    return stream_parts(seen.stream)[2]


def evolve(document: AccountDocument | None, seen: Seen) -> AccountDocument:
    known = document or _unknown(_account(seen))
    if isinstance(seen.event, _OF_CLAIMS):
        return {**known, **_of_claims(known, seen.event)}  # type: ignore[typeddict-item]
    return {**known, **_of_account(known, seen.event)}  # type: ignore[typeddict-item]


def _unknown(account_id: str) -> AccountDocument:
    return {
        "account_id": account_id,
        "name": "",
        "names": [],
        "words": [],
        "country": "",
        "domain": None,
        "keys": [],
        "confirmed": False,
        "links": [],
        "apart": [],
        "opened_at": None,
        "merged_into": None,
        "merges": [],
        "parent": None,
        "members": [],
        "claims": [],
        "incumbents": [],
        "aliases": [],
    }


def _of_account(document: AccountDocument, happened: object) -> dict[str, Any]:
    match happened:
        case AccountOpened(customer=customer, keys=keys, opened_at=at):
            return {
                "name": customer.name,
                "names": [customer.name, *customer.trade_names],
                "words": _words(customer.normal_names),
                "country": customer.country,
                "domain": customer.domain,
                "keys": [_key(key) for key in keys],
                "opened_at": iso(at),
            }
        case NameAdded(name=name, normal_names=more):
            words = dict.fromkeys((*document["words"], *_words(more)))
            return {"names": [*document["names"], name], "words": list(words)}
        case AccountLinked(other_id=other, link=link):
            return {"links": [*document["links"], {"account_id": other, "link": link}]}
        case KeptApart(other_id=other):
            return {"apart": [*document["apart"], other]}
        case IdentityConfirmed():
            return {"confirmed": True}
        case KeyAdded(key=key, shared=shared):
            return {"keys": [*document["keys"], {**_key(key), "shared": shared}]}
        case _:
            return _of_merges(document, happened)


def _words(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(word for name in names for word in (name, *name.split())))


def _key(key: Key) -> AccountKeyShown:
    return {"scheme": key.scheme, "value": key.value}


def _of_merges(document: AccountDocument, happened: object) -> dict[str, Any]:
    match happened:
        case AccountsMerged():
            came = [{**_key(key), "merge_id": happened.merge_id} for key in happened.keys]
            return {"keys": [*document["keys"], *came], "merges": [*document["merges"], _merge(happened)]}
        case AccountsSplit(merge_id=merge_id):
            keys = [key for key in document["keys"] if key.get("merge_id") != merge_id]
            return {"keys": keys, "merges": [one for one in document["merges"] if one["merge_id"] != merge_id]}
        case ParentLinked(parent_id=parent_id, linked_at=at):
            return {"parent": {"account_id": parent_id, "linked_at": iso(at)}, "members": []}
        case ParentCut(members=members):
            return {"parent": None, "members": list(members)}
        case GroupChanged(members=members):
            return {"members": list(members)}
        case AccountAbsorbed(into_id=into_id):
            return {"merged_into": into_id}
        case AccountRestored():
            return {"merged_into": None}
        case _:
            return {}


def _merge(it: AccountsMerged) -> MergeDocument:
    """`contested` are the holds that collided, by their deals, or by the invitations of who takes part in one."""
    return {
        "merge_id": it.merge_id,
        "account_id": it.absorbed_id,
        "merged_at": iso(it.merged_at),
        "contested": list(it.contested),
    }


def _of_claims(document: AccountDocument, happened: Any) -> dict[str, Any]:
    """The line after the event, as the domain itself evolves it."""
    before = Claims(
        live=msgspec.convert(document["claims"], tuple[Claim, ...]),
        incumbents=msgspec.convert(document["incumbents"], tuple[Won, ...]),
        aliases=msgspec.convert(document["aliases"], tuple[Alias, ...]),
    )
    after = claims.evolve(before, happened)
    return {
        "claims": [claim_shown(claim) for claim in after.live],
        "incumbents": [plain(one) for one in after.incumbents],
        "aliases": [plain(one) for one in after.aliases],
    }


def claim_shown(claim: Claim) -> dict[str, Any]:
    """A claim as the vendor reads it, with the end of its protection as `until`."""
    row: dict[str, Any] = plain(claim)
    return {**row, "until": iso(claim.protection.end) if claim.protection else None}


_OF_CLAIMS = (
    *(ClaimPlaced, ClaimQueued, ClaimPromoted, ClaimHeld, ClaimExtended, ClaimShared, ClaimMerged, ClaimReleased),
    *(ClaimsJoined, ClaimsLeft, ClaimsParted, ClaimsRestored, ClaimsAliased, IncumbentTold),
)

ACCOUNTS = Projection(
    name="accounts",
    version=6,
    keys=dict.fromkeys(
        (
            *(AccountOpened, NameAdded, AccountLinked, KeptApart, IdentityConfirmed, KeyAdded),
            *(AccountsMerged, AccountAbsorbed, AccountsSplit, AccountRestored),
            *(ParentLinked, ParentCut, GroupChanged),
            *_OF_CLAIMS,
        ),
        _account,
    ),
    evolve=evolve,
    indexes=("name", "country", "domain", "words[]"),
)
