"""Who works for a partner, as payees of their own."""

from chassis.application import Application
from chassis.read_store.port import PAGE_MAX

EMPLOYER_SUSPENDED = "employer-suspended"
"""Why a person is not paid while its partner's payouts are suspended; the partner's own reason is not for it to read."""


async def people_of(app: Application, tenant: str, partner_id: str) -> list[str]:
    """Every person that is paid as one of the partner's, also who has left it last."""
    await app.caught_up("payee_gates")
    found: list[str] = []
    cursor = None
    while True:
        page = await app.read.find(
            "payee_gates", tenant, where={"partner_id": partner_id}, sort="changed_at", after=cursor, limit=PAGE_MAX
        )
        found += [item["payee_id"] for item in page.items if item["payee_id"] != partner_id]
        cursor = page.next_cursor
        if cursor is None:
            return found
