"""Who may do and see what in registration (the gateway page's row `deals, disputes`)."""

from chassis.access import Access, partner, service, vendor
from services.registration.domain.account import ConfirmIdentity
from services.registration.domain.availability import CheckCustomer
from services.registration.domain.deal_commands import (
    AmendDeal,
    ApproveDeal,
    DecideFinding,
    QueueDeal,
    RegisterDeal,
    RejectDeal,
    ResubmitDeal,
    ReturnDeal,
    WithdrawDeal,
)

READ_DEALS = "read deals"
READ_CONFLICTS = "read conflicts"
READ_ACCOUNTS = "read accounts"
READ_CONTACTS = "read contacts"

_SELLERS = (partner("owner"), partner("seller"))
_DESK = (vendor("deal_desk"),)
_VENDOR = tuple(vendor(role) for role in ("admin", "channel_manager", "deal_desk", "finance", "analyst"))

ACCESS = Access(
    {
        RegisterDeal: (*_SELLERS, *_DESK),
        ResubmitDeal: _SELLERS,
        AmendDeal: _SELLERS,
        WithdrawDeal: (*_SELLERS, *_DESK),
        CheckCustomer: _SELLERS,
        ReturnDeal: _DESK,
        DecideFinding: _DESK,
        ApproveDeal: _DESK,
        RejectDeal: _DESK,
        QueueDeal: (*_DESK, service()),
        ConfirmIdentity: _DESK,
        READ_DEALS: (*_VENDOR, *_SELLERS, partner("finance"), service()),
        READ_CONTACTS: (vendor("admin"), vendor("channel_manager"), vendor("deal_desk"), *_SELLERS),
        READ_CONFLICTS: (vendor("deal_desk"), vendor("channel_manager")),
        READ_ACCOUNTS: (vendor("admin"), vendor("channel_manager"), vendor("deal_desk"), service()),
    }
)
