"""Every public event, by its type: what the gateway reads, and what schemas and samples are made from."""

from chassis.event import TYPES, PublicEvent
from contracts import attribution, gateway, incentives, onboarding, registration, shared

MODULES = (onboarding, registration, attribution, incentives, gateway, shared)
SERVICES = ("onboarding", "registration", "attribution", "incentives", "gateway")


def public_events() -> list[type[PublicEvent]]:
    """The classes of `MODULES` in the order of their types; what tests register beside them is not published."""
    ours = {module.__name__ for module in MODULES}
    named = sorted((name, cls) for name, cls in TYPES.classes.items() if name.startswith("entente."))
    return [cls for _, cls in named if cls.__module__ in ours]
