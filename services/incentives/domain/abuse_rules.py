"""What looks like abuse: rules of the kind `abuse` turn signals into notes or holds. A person says what it was."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal

from chassis.event import LEFT_OUT, LeftOut, frozen
from chassis.rulebook import Decision, Input, Kind, Reason
from contracts.values import MINOR_DIGITS
from services.incentives.domain.schedule import PERCENT, sane

ABUSE = "abuse"
RULES_MAX = 20
REFUND_DAYS, SPLIT_DAYS = 90, 30
"""Refunds are counted over the lines of this many days, requests over this many."""
DAYS_MAX, LEAST_MAX = 365, 1_000
NOTE, HOLD, NONE = "note", "hold", "none"
Action = Literal["note", "hold"]
Signal = Literal["self_referral", "refund_ratio", "shared_proof", "shared_bank", "bank_change", "split_below_limit"]
CONTRADICTION: Literal["provider_contradiction"] = "provider_contradiction"
"""No rule looks at it: every one is a case."""
CaseSignal = Signal | Literal["provider_contradiction"]
SELF_REFERRAL = "self_referral"
LINE_SIGNALS = (SELF_REFERRAL, "refund_ratio")
"""What holds lines; every other hold makes the payee's payments wait."""


@frozen
class AbuseRule:
    """One signal and from where on it counts.

    `refund_ratio`: at least `percent` of what was earned on `least` or more lines was taken back. `bank_change`: bank
    details are younger than `days` when a payment is proposed. `split_below_limit`: `least` or more requests, none above
    `limit`, together above it. The others count as soon as they are seen. With a `currency` the limit is one of that, and
    what is asked in another is no matter of the rule; without one it is that many of whatever the fund has.
    """

    rule_id: str
    signal: Signal
    action: Action = "note"
    percent: Decimal = Decimal(50)
    least: int = 2
    days: int = 14
    limit: Decimal = Decimal(0)
    currency: str | None = None


@frozen
class AbuseRules:
    """The body of abuse rules."""

    name: str
    rules: tuple[AbuseRule, ...]


@frozen
class AbuseFacts:
    """A signal with its figures: how many (lines, claims, payees), which percent, how many days, which amounts.

    `currency` is that of the amounts. What was seen before it was kept does not say it.
    """

    signal: CaseSignal
    count: int = 0
    percent: Decimal = Decimal(0)
    days: int = 0
    amounts: tuple[Decimal, ...] = ()
    currency: str | LeftOut = LEFT_OUT


@frozen
class Hit:
    """A rule that a signal met, and why."""

    rule_id: str
    action: Action
    text: str


def _refunded(facts: AbuseFacts, rule: AbuseRule) -> bool:
    return facts.count >= rule.least and facts.percent >= rule.percent


def _changed(facts: AbuseFacts, rule: AbuseRule) -> bool:
    return facts.count > 0 and facts.days < rule.days


def _split(facts: AbuseFacts, rule: AbuseRule) -> bool:
    if rule.currency and rule.currency != facts.currency:
        return False
    below = [amount for amount in facts.amounts if amount <= rule.limit]
    return len(below) >= rule.least and sum(below, Decimal(0)) > rule.limit


def _seen(facts: AbuseFacts, _: AbuseRule) -> bool:
    return facts.count > 0


def _others(count: int, one: str, more: str) -> str:
    return f"{count} other {one if count == 1 else more}"


TESTS: Mapping[str, Callable[[AbuseFacts, AbuseRule], bool]] = {
    "refund_ratio": _refunded,
    "bank_change": _changed,
    "split_below_limit": _split,
    "self_referral": _seen,
    "shared_proof": _seen,
    "shared_bank": _seen,
}


def _summed(facts: AbuseFacts) -> str:
    whole = sum(facts.amounts, Decimal(0))
    return f"{whole} {facts.currency}" if facts.currency else str(whole)


TEXTS: Mapping[str, Callable[[AbuseFacts], str]] = {
    "refund_ratio": lambda it: f"{it.percent} % of what {it.count} lines earned in {REFUND_DAYS} days was taken back",
    "bank_change": lambda it: f"bank details were changed {it.days} days before a payment was proposed",
    "split_below_limit": lambda it: f"{len(it.amounts)} requests in {SPLIT_DAYS} days: {_summed(it)} in all",
    "self_referral": lambda _: "the customer has a domain of the partner that is credited",
    "shared_proof": lambda it: f"{_others(it.count, 'claim shows', 'claims show')} the same document",
    "shared_bank": lambda it: f"{_others(it.count, 'payee is', 'payees are')} paid to the same account",
    CONTRADICTION: lambda _: "the provider says otherwise of the payment than before",
}


def text_of(facts: AbuseFacts) -> str:
    """A signal in words."""
    return TEXTS[facts.signal](facts)


def hits(facts: AbuseFacts, rules: AbuseRules) -> tuple[Hit, ...]:
    """The rules that a signal meets, in their order."""
    met = (rule for rule in rules.rules if rule.signal == facts.signal and TESTS[rule.signal](facts, rule))
    return tuple(Hit(rule_id=rule.rule_id, action=rule.action, text=text_of(facts)) for rule in met)


def action_of(found: tuple[Hit, ...]) -> str:
    """The strictest action: hold before note before none."""
    actions = {hit.action for hit in found}
    return HOLD if HOLD in actions else NOTE if actions else NONE


def evaluate(facts: AbuseFacts, rules: AbuseRules) -> Decision:
    """Whether a signal is noted, holds money, or is nothing."""
    found = hits(facts, rules)
    return Decision(
        outcome=action_of(found),
        reasons=tuple(Reason(code=facts.signal.replace("_", "-"), text=hit.text, rule=hit.rule_id) for hit in found),
        inputs=(Input(name=facts.signal, value=text_of(facts)),),
    )


def faults(rules: AbuseRules) -> list[str]:
    """What is wrong with abuse rules, in sentences; nothing for sound ones."""
    names = [rule.rule_id for rule in rules.rules]
    wrong = {
        f"there are 1 to {RULES_MAX} rules, each with an id of its own": not 1 <= len(names) <= RULES_MAX
        or len(set(names)) != len(names),
        "abuse rules have a name": not rules.name.strip(),
        "percent is above 0, at most 100": any(not 0 < rule.percent <= PERCENT for rule in rules.rules),
        f"days is 1 to {DAYS_MAX}, least 1 to {LEAST_MAX}": any(
            not (1 <= rule.days <= DAYS_MAX and 1 <= rule.least <= LEAST_MAX) for rule in rules.rules
        ),
        "a split names its limit": any(
            rule.signal == "split_below_limit" and not (sane(rule.limit) and rule.limit > 0) for rule in rules.rules
        ),
        "the currency of a limit is one of ISO 4217": any(
            rule.currency is not None and rule.currency not in MINOR_DIGITS for rule in rules.rules
        ),
    }
    return [sentence for sentence, is_so in wrong.items() if is_so]


ABUSES: Kind[AbuseFacts, AbuseRules] = Kind(
    name=ABUSE,
    body=AbuseRules,
    facts=AbuseFacts,
    evaluate=evaluate,
    check=faults,
    vendor_only=frozenset({"rules"}),
)
