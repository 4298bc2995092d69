"""Who may do and see what in onboarding (the gateway page's rows `tiers, partners, agreements`, `users`, `training`)."""

from chassis.access import Access, anonymous, partner, service, vendor
from services.onboarding.domain.certificate import AwardCertificate, RevokeCertificate
from services.onboarding.domain.membership import EndMembership, InviteMember, JoinPartner
from services.onboarding.domain.merging import MergePartners, UndoMerge
from services.onboarding.domain.offboarding import CancelOffboarding, SettleByHand, StartOffboarding
from services.onboarding.domain.partner import (
    Apply,
    ApprovePartner,
    ChangeProfile,
    DeclinePartner,
    ReinstatePartner,
    SuspendPartner,
    WithdrawApplication,
)
from services.onboarding.domain.person import ErasePerson, RegisterPerson

READ_PARTNERS = "read partners"
READ_PEOPLE = "read people"
READ_PAYEE_NAMES = "read the names of who is paid"
READ_EVERYTHING = "read everything about a person"
READ_CERTIFICATES = "read certificates"
FIND_PERSON = "find a person by mail address"

_VENDOR = (vendor("admin"), vendor("channel_manager"))
_TRAINERS = (vendor("marketing"), vendor(duty="trainer"))

ACCESS = Access(
    {
        Apply: (anonymous(),),
        ApprovePartner: _VENDOR,
        DeclinePartner: _VENDOR,
        WithdrawApplication: (partner("owner"), *_VENDOR),
        SuspendPartner: (*_VENDOR, service()),
        ReinstatePartner: (*_VENDOR, service()),
        ChangeProfile: (partner("owner"), *_VENDOR),
        StartOffboarding: (partner("owner"), vendor("admin")),
        CancelOffboarding: (partner("owner"), vendor("admin")),
        SettleByHand: (vendor("finance"),),
        MergePartners: (vendor("admin"),),
        UndoMerge: (vendor("admin"),),
        RegisterPerson: (partner("owner"), *_VENDOR),
        ErasePerson: (partner("owner"), vendor("admin")),
        InviteMember: (partner("owner"), *_VENDOR),
        JoinPartner: (partner(), vendor("admin"), vendor("channel_manager"), service()),
        EndMembership: (partner("owner"), *_VENDOR),
        AwardCertificate: _TRAINERS,
        RevokeCertificate: _TRAINERS,
        READ_CERTIFICATES: (*_VENDOR, *_TRAINERS, vendor("analyst"), partner()),
        READ_PARTNERS: (vendor(), partner(), service()),
        READ_PEOPLE: (partner("owner"), *_VENDOR, vendor(duty="trainer"), service()),
        READ_PAYEE_NAMES: (partner("owner", "finance"), *_VENDOR, vendor("finance")),
        READ_EVERYTHING: (vendor("admin"),),
        FIND_PERSON: (vendor("admin"), service()),
    }
)
