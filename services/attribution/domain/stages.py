"""Sales stages in our words, and how a CRM's raw stages are read unless a connection says otherwise."""

PROSPECT, WON, LOST = "prospect", "won", "lost"
OPEN_STAGES = (PROSPECT, "qualified", "technical_validation", "business_validation", "committed")
STAGES = (*OPEN_STAGES, WON, LOST)

DEFAULT_STAGE_MAP = {
    "appointmentscheduled": PROSPECT,
    "qualifiedtobuy": "qualified",
    "presentationscheduled": "technical_validation",
    "decisionmakerboughtin": "business_validation",
    "contractsent": "committed",
    "closedwon": WON,
    "closedlost": LOST,
}
"""HubSpot's own sales pipeline."""


def raw_stage(stage_map: dict[str, str], stage: str) -> str | None:
    """The CRM's first raw stage that means `stage`."""
    return next((raw for raw, ours in stage_map.items() if ours == stage), None)
