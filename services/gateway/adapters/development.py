"""The development issuer: it vouches for anybody who is known to a tenant, by a short name. Refused outside development."""

from typing import Any

from chassis.application import Application
from chassis.decider import Invalid
from chassis.identity import Principal

OPERATOR = "operator"
LIST_MAX = 200


class UnknownPerson(Invalid):
    """Nobody of that name can sign in to this tenant."""

    slug = "unknown-person"
    recorded = False


async def identities(app: Application, tenant: str) -> list[dict[str, Any]]:
    """Who may sign in to a tenant: staff by handle, partners' people by their partner's short name."""
    staff = await app.read.find("staff", tenant, where={"status": "active"}, sort="handle", limit=LIST_MAX)
    found = [_of_staff(item) for item in staff.items]
    return found + await _members(app, tenant, {"status": "active"})


async def _members(app: Application, tenant: str, where: dict[str, Any]) -> list[dict[str, Any]]:
    members = (await app.read.find("members", tenant, where=where, sort="partner_id", limit=LIST_MAX)).items
    cards = await app.read.get_many("partner_cards", tenant, [member["partner_id"] for member in members])
    return [_of_member(member, cards[member["partner_id"]]) for member in members if member["partner_id"] in cards]


def _of_staff(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "as": item["handle"],
        "kind": "vendor",
        "subject": item["staff_id"],
        "partner_id": None,
        "partner_name": None,
        "roles": item["roles"],
        "duties": item["duties"],
    }


def _of_member(member: dict[str, Any], card: dict[str, Any]) -> dict[str, Any]:
    return {
        "as": short_name(card["name"]),
        "kind": "partner",
        "subject": member["person_id"],
        "partner_id": member["partner_id"],
        "partner_name": card["name"],
        "roles": member["roles"],
        "duties": [],
    }


def short_name(name: str) -> str:
    """The first word of a name, lower case: `Northwind Traders GmbH` signs in as `northwind`."""
    words = "".join(letter if letter.isalnum() else " " for letter in name.casefold()).split()
    return words[0] if words else name


async def principal_of(app: Application, tenant: str, wanted: str) -> Principal:
    """The principal of a short name, a staff or person id, a partner id, or a vendor role. Raises UnknownPerson.

    `operator` and `operator:<name>` are those who run the platform: some of what they do takes two.
    """
    if wanted.partition(":")[0] == OPERATOR:
        return Principal(tenant=tenant, subject=wanted, kind=OPERATOR, roles=(OPERATOR,))
    known = await _members(app, tenant, {"status": "active", "partner_id": wanted}) or await identities(app, tenant)
    known = sorted(known, key=lambda one: "owner" not in one["roles"])  # who joins later takes no name from the owner
    for fits in (_by_name, _by_role):
        found = next((one for one in known if fits(one, wanted)), None)
        if found:
            return _principal(tenant, found)
    raise UnknownPerson(
        f"nobody can sign in to {tenant!r} as {wanted!r}", known=[OPERATOR, *sorted({one["as"] for one in known})]
    )


def _by_name(one: dict[str, Any], wanted: str) -> bool:
    return wanted in (one["as"], one["subject"], one["partner_id"])


def _by_role(one: dict[str, Any], wanted: str) -> bool:
    return one["kind"] == "vendor" and wanted in (*one["roles"], *one["duties"])


def _principal(tenant: str, one: dict[str, Any]) -> Principal:
    return Principal(
        tenant=tenant,
        subject=one["subject"],
        kind=one["kind"],
        partner_id=one["partner_id"],
        roles=tuple(one["roles"]),
        duties=tuple(one["duties"]),
    )
