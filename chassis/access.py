"""Who may do what, as one table a service: a command to those who may. Deny by default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from chassis.decider import Forbidden, NotFound
from chassis.identity import Principal

VENDOR, PARTNER, SERVICE, OPERATOR, ANONYMOUS = "vendor", "partner", "service", "operator", "anonymous"


@dataclass(frozen=True)
class Who:
    """A kind of principal with any of the roles (none named: every role) and, where named, one of the duties."""

    kind: str
    roles: frozenset[str] = frozenset()
    duties: frozenset[str] = frozenset()

    def fits(self, principal: Principal) -> bool:
        return (
            principal.kind == self.kind
            and (not self.roles or not self.roles.isdisjoint(principal.roles))
            and (not self.duties or not self.duties.isdisjoint(principal.duties))
        )


def vendor(*roles: str, duty: str | None = None) -> Who:
    """The vendor's staff in one of these roles, holding the duty if one is named."""
    return Who(VENDOR, frozenset(roles), frozenset((duty,) if duty else ()))


def partner(*roles: str) -> Who:
    """A partner's people in one of these roles, for their own partner's things only."""
    return Who(PARTNER, frozenset(roles))


def service() -> Who:
    """The services themselves."""
    return Who(SERVICE)


def operator() -> Who:
    """Those who run the platform, for whatever vendor."""
    return Who(OPERATOR)


def anonymous() -> Who:
    """Anyone, signed in or not."""
    return Who(ANONYMOUS)


class OfTheOtherPartner(Forbidden):
    """The two partners are one, but each keeps its people, its keys and its payout details: ask an owner of that one."""

    slug = "of-the-other-partner"


class AccessRow(TypedDict):
    """Who may take an action: a kind of principal with one of these roles, or any where none is named, and the duties."""

    action: str
    kind: str
    roles: list[str]
    duties: list[str]


class Access:
    """The table of one service: commands and reads by name, each with those who may."""

    def __init__(self, table: Mapping[Any, tuple[Who, ...]]) -> None:
        self.table = dict(table)

    def check(self, principal: Principal, action: Any, partner_id: str | None = None) -> None:
        """Raises Forbidden if the action is not theirs, NotFound if the thing is another partner's."""
        if not self.allows(principal, action):
            raise Forbidden(f"{_name(action)} is not yours to do", action=_name(action))
        if principal.kind == PARTNER and partner_id is not None and not principal.acts_for(partner_id):
            raise NotFound

    def check_at_home(self, principal: Principal, action: Any, partner_id: str | None) -> None:
        """As `check`, for what outlives a merge that is undone: who belongs to a partner, and where its money goes.

        Raises OfTheOtherPartner for a partner that is only one with the own one.
        """
        self.check(principal, action, partner_id)
        if principal.is_of_another(partner_id):
            raise OfTheOtherPartner

    def allows(self, principal: Principal, action: Any) -> bool:
        """Whether any row of the table fits. Who views as somebody else only reads."""
        rows = self.table.get(action, ())
        if principal.kind == PARTNER and principal.partner_id is None:
            return False  # "its own things" would be everything
        if principal.view_as and not isinstance(action, str):
            return False
        return any(who.fits(principal) or who.kind == ANONYMOUS for who in rows)

    def as_rows(self) -> list[AccessRow]:
        """The table as data, for the access matrix that the gateway serves."""
        return [
            {"action": _name(action), "kind": who.kind, "roles": sorted(who.roles), "duties": sorted(who.duties)}
            for action, rows in self.table.items()
            for who in rows
        ]


def _name(action: Any) -> str:
    return action if isinstance(action, str) else str(action.type)


def sees(principal: Principal, document: Mapping[str, Any] | None) -> bool:
    """Whether a document is theirs to read: the vendor's own side sees all, a partner what names it or who it absorbed."""
    if document is None:
        return False
    if principal.kind != PARTNER:
        return principal.kind in (VENDOR, SERVICE)
    named = (document.get("partner_id"), *document.get("partner_ids", ()))
    return principal.named_in(named) is not None
