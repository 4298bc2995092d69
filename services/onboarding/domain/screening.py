"""Screens an application: all checks run, and the worst one decides. Nothing is approved by screening alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from chassis.event import frozen
from chassis.rulebook import Change, Decision, Input, Kind, Reason

DECLINE, REVIEW, PASS = "decline", "review", "pass"
SEVERITY = (PASS, REVIEW, DECLINE)


@frozen
class ScreeningRules:
    """Whom a vendor cannot take as a partner, and whom it wants to look at. Domains are registrable, lower case."""

    own_domains: tuple[str, ...] = ()
    blocked_countries: tuple[str, ...] = ()
    free_mail_domains: tuple[str, ...] = (
        *("gmail.com", "outlook.com", "hotmail.com", "yahoo.com"),
        *("gmx.net", "gmx.de", "web.de", "proton.me", "icloud.com"),
    )


@frozen
class Application:
    """What screening looks at. `known_domains` are those of the application that a partner already has."""

    country: str
    domains: tuple[str, ...]
    known_domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Check:
    code: str
    outcome: str
    text: str
    hit: bool


def evaluate(facts: Application, rules: ScreeningRules) -> Decision:
    """The outcome decline, review or pass, with a reason for every check that hit."""
    checks = list(_checks(facts, rules))
    hits = [check for check in checks if check.hit]
    outcome = _worst(hits)
    return Decision(
        outcome=outcome,
        reasons=tuple(Reason(code=c.code, text=c.text, rule="screening") for c in hits),
        inputs=(
            Input(name="country", value=facts.country),
            Input(name="domains", value=list(facts.domains)),
            Input(name="known_domains", value=list(facts.known_domains)),
        ),
        would_change=tuple(_without(hits, outcome)),
    )


def _checks(facts: Application, rules: ScreeningRules) -> Iterator[_Check]:
    own = set(facts.domains) & set(rules.own_domains)
    free = set(facts.domains) & set(rules.free_mail_domains)
    yield _Check("own-domain", DECLINE, "The application names a domain of the vendor itself.", bool(own))
    yield _Check(
        "country-blocked",
        DECLINE,
        f"The vendor takes no partners from {facts.country}.",
        facts.country in rules.blocked_countries,
    )
    yield _Check("duplicate-domain", REVIEW, "Another partner has one of these domains.", bool(facts.known_domains))
    yield _Check("free-mail", REVIEW, "A free mail domain does not tell who the company is.", bool(free))


def _worst(hits: list[_Check]) -> str:
    return max((check.outcome for check in hits), key=SEVERITY.index, default=PASS)


def _without(hits: list[_Check], outcome: str) -> Iterator[Change]:
    for hit in hits:
        other = _worst([check for check in hits if check is not hit])
        if other != outcome:
            yield Change(code=hit.code, text=f"Without {hit.code} the outcome would be {other}.", outcome=other)


SCREENING = Kind(name="screening", body=ScreeningRules, facts=Application, evaluate=evaluate)
