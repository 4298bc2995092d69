"""Who works for a partner, as payees of their own."""

from chassis.application import Application
from chassis.read_store.port import each

EMPLOYER_SUSPENDED = "employer-suspended"
"""Why a person is not paid while its partner's payouts are suspended; the partner's own reason is not for it to read."""


async def people_of(app: Application, tenant: str, partner_id: str) -> list[str]:
    """Every person that is paid as one of the partner's, also who has left it last."""
    await app.caught_up("payee_gates")
    known = each(app.read, "payee_gates", tenant, {"partner_id": partner_id}, "changed_at")
    return [one["payee_id"] async for one in known if one["payee_id"] != partner_id]
