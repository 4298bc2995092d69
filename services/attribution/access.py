"""Who may do and see what in attribution. A partner reads its own part; credit is revised by duty."""

from chassis.access import Access, partner, service, vendor
from services.attribution.domain.connection import ActivateConnection, AddConnection, MapStages, PauseConnection
from services.attribution.domain.credit import ReviseCredit
from services.attribution.domain.incumbency import SetIncumbent
from services.attribution.domain.mirroring import ReleaseCrmChange
from services.attribution.domain.touch import RecordTouch

READ_OPPORTUNITIES, READ_CREDIT, READ_TOUCHES = "read opportunities", "read credit", "read touches"
READ_SYNC, POLL = "read sync", "poll connection"
READ_INCUMBENTS = "read incumbents"

_SYNC = (vendor("admin"), vendor("channel_manager"))
_EVERYONE = (vendor(), partner(), service())

ACCESS = Access(
    {
        AddConnection: (vendor("admin"), service()),
        ActivateConnection: (vendor("admin"), service()),
        PauseConnection: (vendor("admin"), service()),
        MapStages: (vendor("admin"), service()),
        ReleaseCrmChange: _SYNC,
        RecordTouch: (vendor("admin"), vendor("channel_manager"), vendor("marketing"), partner(), service()),
        ReviseCredit: (vendor(duty="credit_controller"),),
        SetIncumbent: _SYNC,
        READ_INCUMBENTS: (vendor(), service()),
        POLL: (*_SYNC, vendor("deal_desk"), service()),
        READ_OPPORTUNITIES: _EVERYONE,
        READ_CREDIT: _EVERYONE,
        READ_TOUCHES: _EVERYONE,
        READ_SYNC: (vendor(), service()),
    }
)
