"""What an approved deal entitles its partner to, frozen at the approval. Pure."""

from decimal import Decimal

from contracts.values import Benefit, Entitlement, round_percent
from services.registration.domain.overlap import Reach
from services.registration.domain.rules import SUM, BenefitRule, DealRules

NOT_STACKED = "not-stacked"
NONE = Decimal("0.00")
HUNDRED_PERCENT = Decimal(100)


def entitlement(rules: DealRules, reach: Reach, *, factor_percent: int = 100) -> Entitlement:
    """The benefits that fit the deal: the highest of them, or their sum; what does not count says why.

    `factor_percent` is what is left of it for a partner that comes second.
    """
    fitting = [rule for rule in rules.benefits if _fits(rule, reach, rules)]
    best = max((rule.percent for rule in fitting), default=NONE)
    counted = fitting if rules.stacking == SUM else [rule for rule in fitting if rule.percent == best][:1]
    whole = sum((rule.percent for rule in counted), NONE)
    return Entitlement(
        percent=round_percent(whole * factor_percent / HUNDRED_PERCENT),
        benefits=tuple(
            Benefit(name=rule.name, percent=rule.percent, code=None if rule in counted else NOT_STACKED)
            for rule in fitting
        ),
    )


def _fits(rule: BenefitRule, reach: Reach, rules: DealRules) -> bool:
    return (
        (not rule.roles or reach.role in rule.roles)
        and (not rule.deal_types or reach.deal_type in rule.deal_types)
        and rules.meant(rule.families, (line.family for line in reach.products))
    )
