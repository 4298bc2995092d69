"""The portal's pages, all in one router. Each module holds the pages of one room; the templates hold all wording."""

from fastapi import APIRouter

from services.gateway.api.portal import (
    awards,
    cases,
    closing,
    customers,
    deals,
    desk,
    drafts,
    enquiries,
    events,
    fairness,
    funds,
    home,
    imports,
    invitations,
    leads,
    mails,
    money,
    partners,
    payees,
    paying,
    recognition,
    replacing,
    rulebook,
    rules,
    settings,
    sign_in,
    tiers,
    training,
    trying,
    whys,
)
from services.gateway.api.portal.rendering import render

__all__ = ["render", "router"]

router = APIRouter()
for room in (
    home,
    imports,
    invitations,
    drafts,
    mails,
    replacing,
    deals,
    desk,
    customers,
    leads,
    enquiries,
    fairness,
    whys,
    money,
    payees,
    paying,
    closing,
    funds,
    awards,
    tiers,
    training,
    recognition,
    cases,
    trying,
    partners,
    rules,
    rulebook,
    events,
    sign_in,
    settings,
):
    router.routes += room.router.routes  # as they stand: an included router is looked through twice a request
