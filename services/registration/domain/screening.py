"""The screening of a deal: every check on it, every rival it meets, every name it resembles, and what follows.

`screen` is pure on facts that the log keeps whole, so a screening can be explained, and run again under other rules.
Each check that does not pass pulls towards its own outcome; the strictest pull decides.
"""

from collections.abc import Iterator
from dataclasses import field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chassis.event import LEFT_OUT, LeftOut, Light, frozen, plain, replace
from chassis.rulebook import Change, Decision, Input, Kind, Reason
from contracts.values import AccountId, Money, RegistrationId, RuleRef
from services.registration.domain.background import Background
from services.registration.domain.claim import NOBODY, WAITING, Claim, Won
from services.registration.domain.claims import Claims, blockers, ranked, waiting_ahead
from services.registration.domain.exclusion import Exclusion
from services.registration.domain.matching import IDENTICAL, STRENGTH, WEAK, Candidate, Finding, IndexSeen, find
from services.registration.domain.overlap import Overlap, overlap
from services.registration.domain.partner_facts import PartnerFacts
from services.registration.domain.precedence import path
from services.registration.domain.protection import free_from
from services.registration.domain.rules import (
    ASKED,
    DOCUMENT,
    LOOK,
    WATCHES,
    WHOLE_PERCENT,
    AutoApproval,
    CertificationNeed,
    DealRules,
    day_in,
    faults,
    faults_before,
    faults_of_new,
    in_currency,
)

APPROVE, REVIEW, QUEUE, REJECT = "approve", "review", "queue", "reject"
STRICTNESS = (APPROVE, REVIEW, QUEUE, REJECT)
NEW = "new"
DAYS_OF_A_MONTH = 30
OPEN_TENDERS = ("planned", "published")


@frozen
class OnAccount:
    """The live claims on one account that the deal enters, in order, its own among them."""

    account_id: AccountId
    live: tuple[Claim, ...]
    incumbents: tuple[Won, ...] = ()

    def without(self, displaced: tuple[RegistrationId, ...]) -> Claims:
        """The claims in line, without those that are to be displaced."""
        staying = tuple(claim for claim in self.live if claim.registration_id not in displaced)
        return Claims(staying, self.incumbents)


@frozen
class Facts:
    """All that a screening looks at. `known` says whether it is certain who the customer is.

    `nearby` are the claims on the candidates' accounts: they are shown, and never block. Nor do those that the deal is
    to displace. `group` are the accounts that it enters only as members of its customer's group. `index` is what named
    the candidates.
    """

    mine: Claim
    amount: Money
    tender: str = "none"
    known: bool
    partner: PartnerFacts
    accounts: tuple[OnAccount, ...]
    candidates: tuple[Candidate, ...] = ()
    nearby: tuple[OnAccount, ...] = ()
    displaces: tuple[RegistrationId, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    open_deals: int | None = None
    competitor: str | None = None
    background: Background = field(default_factory=Background)
    group: tuple[AccountId, ...] = ()
    now: datetime
    index: IndexSeen | LeftOut = LEFT_OUT


class Check(Light, frozen=True, kw_only=True):
    """One question to the facts. `pull` is the outcome that it asks for; `approve` when it passes."""

    name: str
    pull: str = APPROVE
    code: str = ""
    text: str = ""
    value: Any = None
    threshold: Any = None
    event_id: str | None = None
    position: int | None = None

    def told_by(self, event_id: str, position: int) -> "Check":
        """The same question with the event that answers it."""
        return Check(name=self.name, value=self.value, threshold=self.threshold, event_id=event_id, position=position)

    def says(self, code: str, text: str, pull: str = APPROVE) -> "Check":
        """The same question with what came of it."""
        return Check(
            name=self.name,
            pull=pull,
            code=code,
            text=text,
            value=self.value,
            threshold=self.threshold,
            event_id=self.event_id,
            position=self.position,
        )


@frozen
class Conflict:
    """A rival's claim, and where the two meet. Match: identical on the same account, else the class of the finding.

    `blocks`: it keeps this deal waiting. `path` is the priority policy that puts one before the other, and `wins` says
    that it puts this deal first.
    """

    account_id: AccountId
    match: str
    claim: Claim
    meets: Overlap
    blocks: bool
    path: str | None = None
    wins: bool = False

    @property
    def waits(self) -> bool:
        return self.claim.state == WAITING


@frozen
class Screening:
    """What came of it. `place` counts from 1 in the queue; `free_on` is the Monday after the last blocking hold.

    `displace` are the holders whose place the policies would give to this deal: a recommendation, for two people.
    """

    outcome: str
    checks: tuple[Check, ...]
    conflicts: tuple[Conflict, ...]
    findings: tuple[Finding, ...]
    place: int | None = None
    free_on: date | None = None
    displace: tuple[RegistrationId, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.pull != APPROVE)

    @property
    def deciding(self) -> tuple[Check, ...]:
        """The checks that asked for the outcome; none for an approval."""
        return tuple(check for check in self.failed if check.pull == self.outcome)

    @property
    def match(self) -> str | None:
        """The strongest class in which a rival wants the same; None when no rival does."""
        met = {conflict.match for conflict in self.conflicts if conflict.meets.complete}
        return min(met, key=STRENGTH.index, default=None)

    @property
    def told_match(self) -> str | None:
        """The same as the deal's partner is told it."""
        told = {finding.candidate.account_id: finding.told for finding in self.findings}
        met = (conflict for conflict in self.conflicts if conflict.meets.complete)
        classes = {one.match if one.match == IDENTICAL else told[one.account_id] for one in met}
        return min(classes, key=STRENGTH.index, default=None)

    @property
    def evidence(self) -> frozenset[str]:
        """What a reviewer has to have seen before approving, as comparable names. Who waits behind is none."""
        met = (c for c in self.conflicts if c.meets.complete or c.meets.only_place_apart)
        rivals = (f"rival:{c.claim.registration_id}" for c in met if not c.waits)
        names = (f"name:{f.candidate.account_id}:{f.match}" for f in self.findings if f.match != WEAK)
        return frozenset((*rivals, *names, *(f"check:{check.code}" for check in self.failed)))


def screen(facts: Facts, rules: DealRules) -> Screening:
    """Runs every check; the strictest pull is the outcome."""
    findings = find(facts.candidates, rules.matching)
    conflicts = (*_conflicts(facts), *_nearby(facts, findings))
    checks = tuple(_checks(facts, rules, conflicts, findings))
    outcome = strictest(checks)
    blocking = [conflict.claim for conflict in conflicts if conflict.blocks]
    return Screening(
        outcome=outcome,
        checks=checks,
        conflicts=conflicts,
        findings=findings,
        place=_place(facts) if outcome == QUEUE else None,
        free_on=_free_on(blocking, rules),
        displace=tuple(c.claim.registration_id for c in conflicts if _displaceable(c, facts.now)),
    )


def _displaceable(met: Conflict, now: datetime) -> bool:
    """Whether the deal should have the holder's place. Who only takes part in a deal is taken out of it, not displaced."""
    return met.blocks and met.wins and met.claim.holds(now) and not met.claim.deal_id


def strictest(checks: tuple[Check, ...]) -> str:
    """The outcome that the strictest check asks for."""
    return max((check.pull for check in checks), key=STRICTNESS.index, default=APPROVE)


def _conflicts(facts: Facts) -> Iterator[Conflict]:
    for account in facts.accounts:
        if not (rivals := tuple(_of_rivals(account, facts))):
            continue
        blocking = blockers(account.without(facts.displaces), facts.mine, facts.now)
        places = {claim.registration_id: rank for rank, claim in ranked(account.without(()), facts.now)}
        for claim in rivals:
            met = _conflict(account, claim, facts, IDENTICAL, blocks=claim in blocking)
            mine, theirs = places[facts.mine.registration_id], places[claim.registration_id]
            yield replace(met, path=path(mine, theirs, account.live[0].policies), wins=mine < theirs)


def _nearby(facts: Facts, findings: tuple[Finding, ...]) -> Iterator[Conflict]:
    classes = {finding.candidate.account_id: finding.match for finding in findings}
    for account in facts.nearby:
        for claim in _of_rivals(account, facts):
            if account.account_id in classes:
                yield _conflict(account, claim, facts, classes[account.account_id], blocks=False)


def _of_rivals(account: OnAccount, facts: Facts) -> Iterator[Claim]:
    for claim in account.live:
        mine = claim.whose == facts.mine.whose or claim.deal == facts.mine.registration_id
        if not mine and not claim.lapsed(facts.now):
            yield claim


def _conflict(account: OnAccount, claim: Claim, facts: Facts, match: str, *, blocks: bool) -> Conflict:
    meets = overlap(facts.mine.reach, claim.reach)
    return Conflict(account_id=account.account_id, match=match, claim=claim, meets=meets, blocks=blocks)


def _place(facts: Facts) -> int:
    return 1 + max(waiting_ahead(one.without(facts.displaces), facts.mine, facts.now) for one in facts.accounts)


def _free_on(blocking: list[Claim], rules: DealRules) -> date | None:
    ends = [claim.protection.end for claim in blocking if claim.protection]
    return free_from(rules, max(ends)) if ends else None


# Checks


def _checks(
    facts: Facts, rules: DealRules, conflicts: tuple[Conflict, ...], findings: tuple[Finding, ...]
) -> Iterator[Check]:
    for check in (_partner, _role, _minimum, _tender, _excluded, _capacity, _product, _identity):
        yield check(facts, rules)
    for check in (_territory, _vendor_active, _existing_customer):
        yield check(facts, rules)
    if rules.competitors:
        yield _competitor(facts, rules)
    yield from _agreed(facts, rules)
    if rules.authorisation:
        yield _authorised(facts, rules)
    if rules.exclusive_territories:
        yield _exclusive(facts)
    yield from _certified(facts, rules)
    yield from _watched(facts, rules)
    yield _rivals(facts, rules, conflicts)
    yield _place_apart(conflicts)
    yield _several_accounts(facts)
    yield _names(findings)
    yield _approval(facts, rules)
    if rules.auto_approval.on and rules.auto_approval.win_percent is not None:
        yield _win_rate(facts, rules.auto_approval)


NOT_NOW = "The partner may not open new business now."


def _partner(facts: Facts, _: DealRules) -> Check:
    partner = facts.partner
    seen = Check(name="partner", value=list(partner.suspended), event_id=partner.event_id, position=partner.position)
    today = facts.now.astimezone(UTC).date()
    if partner.may_register(today):
        return seen
    text = "The partner leaves: its last business day has come." if partner.has_left(today) else NOT_NOW
    return seen.says("partner-not-active", text, REJECT)


def _role(facts: Facts, rules: DealRules) -> Check:
    seen = Check(name="role", value=facts.mine.reach.role, threshold=list(rules.roles))
    if facts.mine.reach.role in rules.roles:
        return seen
    return seen.says("role-not-allowed", "The programme does not take deals in this role.", REJECT)


def _minimum(facts: Facts, rules: DealRules) -> Check:
    least = in_currency(rules.minimums, facts.amount.currency)
    seen = Check(name="minimum", value=plain(facts.amount), threshold=plain(least))
    if least is None or least <= facts.amount:
        return seen
    return seen.says("below-minimum", "The amount is below the programme's minimum.", REJECT)


def _tender(facts: Facts, rules: DealRules) -> Check:
    seen = Check(name="tender", value=facts.tender, threshold=rules.tenders_allowed)
    if rules.tenders_allowed or facts.tender not in OPEN_TENDERS:
        return seen
    return seen.says("tender", "The programme does not take deals that are put out to tender.", REJECT)


def _excluded(facts: Facts, rules: DealRules) -> Check:
    """Excluded on the day of the first submission, by an entry that had been recorded by then."""
    instant = facts.mine.submitted_at
    day = instant.astimezone(ZoneInfo(rules.zone)).date()
    known = [one for one in facts.exclusions if one.excludes(day)]
    seen = Check(name="exclusion", value=[one.exclusion_id for one in known])
    if any(one.recorded_at < instant for one in known):
        return seen.says("excluded", "The vendor keeps this customer to itself.", REJECT)
    if known:
        return seen.says("recorded-late", "An exclusion was recorded after the partner asked.")
    return seen


def _capacity(facts: Facts, rules: DealRules) -> Check:
    behind, limit = facts.background, rules.capacity_of(facts.background.tiers)
    asked = (behind.tier_event_id, behind.tier_position) if rules.tier_capacities else (None, None)
    seen = Check(name="capacity", value=facts.open_deals, threshold=limit, event_id=asked[0], position=asked[1])
    if facts.open_deals is None or limit is None or facts.open_deals < limit:
        return seen
    return seen.says("capacity-full", "The partner has as many open deals as it may have.", REJECT)


def _territory(facts: Facts, rules: DealRules) -> Check:
    place = facts.mine.reach.place
    names = (place.country, f"{place.country}-{place.region}")
    seen = Check(name="territory", value=names[1] if place.region else names[0], threshold=list(rules.territories))
    if not rules.territories or not set(names).isdisjoint(rules.territories):
        return seen
    return seen.says("outside-territory", "The customer is outside the programme's territory.", REVIEW)


def _vendor_active(facts: Facts, rules: DealRules) -> Check:
    """A contact of the vendor in the months before the first submission, where it had been recorded by then."""
    instant, months = facts.mine.submitted_at, rules.vendor_active_months
    since = instant.date() - timedelta(days=months * DAYS_OF_A_MONTH)
    told = [e for e in facts.exclusions if e.contacted_on and since <= e.contacted_on <= instant.date()]
    recent = sorted(e.contacted_on for e in told if e.contacted_on and e.recorded_at < instant)
    seen = Check(name="vendor_active", value=plain(recent), threshold=months)
    # Claims of before, which are not in normal form, were screened without a word on it: they are decided as they were.
    if months and told and not recent and facts.mine.reach.in_normal_form:
        return seen.says("recorded-late", "A contact of the vendor was recorded after the partner asked.")
    if not months or not recent:
        return seen
    return seen.says("vendor-active", "The vendor has been in contact with this customer.", REVIEW)


def _existing_customer(facts: Facts, _: DealRules) -> Check:
    won = sum(one.partner_id != NOBODY for account in facts.accounts for one in account.incumbents)
    seen = Check(name="existing_customer", value=won, threshold=0)
    if not won or facts.mine.reach.deal_type != NEW:
        return seen
    return seen.says("existing-customer", "This customer has bought before.", REVIEW)


def _competitor(facts: Facts, rules: DealRules) -> Check:
    seen = Check(name="competitor", value=facts.competitor, threshold=list(rules.competitors))
    if facts.competitor is None:
        return seen
    return seen.says("competitor", "This customer competes with the vendor.", REVIEW)


def _agreed(facts: Facts, rules: DealRules) -> Iterator[Check]:
    """One check a kind of agreement that the partner must have in force."""
    for kind in rules.agreements:
        told = facts.partner.stands.bound_by(kind, day_in(rules.zone, facts.now))
        known = Check(name="agreement", value=told.version if told else None, threshold=kind)
        seen = known.told_by(told.event_id, told.position) if told else known
        text = "An agreement that the programme asks for is not in force with the partner."
        yield seen if told else seen.says("agreement-missing", text, REJECT)


def _authorised(facts: Facts, rules: DealRules) -> Check:
    """Every product of the deal is one that the partner is authorised for, in this role and place."""
    reach, today = facts.mine.reach, day_in(rules.zone, facts.now)
    found = {line: facts.partner.stands.authorised_for(line, reach, today) for line in reach.products}
    lacking = [line.sku or line.family for line, grant in found.items() if grant is None]
    last = max((one for one in found.values() if one), key=lambda one: one.position, default=None)
    known = Check(name="authorisation", value=lacking)
    seen = known.told_by(last.event_id, last.position) if last else known
    if not lacking:
        return seen
    return seen.says("not-authorised", "The partner is not authorised for a product, in this role and place.", REJECT)


def _exclusive(facts: Facts) -> Check:
    """Nobody else is authorised for the products here alone."""
    met = facts.background.exclusives or ()
    last = max(met, key=lambda one: one.position, default=None)
    known = Check(name="exclusive_territory", value=[one.authorisation_id for one in met])
    if last is None:
        return known
    seen = known.told_by(last.event_id, last.position)
    return seen.says("exclusive-territory", "Another partner alone is authorised for a product here.", REVIEW)


def _certified(facts: Facts, rules: DealRules) -> Iterator[Check]:
    """One check a certification that the deal's families ask for."""
    families = {line.family for line in facts.mine.reach.products}
    for need in rules.certifications:
        if rules.meant(need.families, families):
            yield _enough(facts.partner, need)


def _enough(partner: PartnerFacts, need: CertificationNeed) -> Check:
    told = partner.certified_in(need.certification)
    count = told.count if told else 0
    seen = Check(
        name="certification",
        value={"certification": need.certification, "people": count},
        threshold=need.count,
        event_id=told.event_id if told else None,
        position=told.position if told else None,
    )
    if count >= need.count:
        return seen
    text = "Too few of the partner's people hold a certification that these products ask for."
    return seen.says("certification-missing", text, REVIEW)


WATCHED = {
    LOOK: ("look-alike-domain", "The website looks like that of another customer, and is not the same."),
    DOCUMENT: ("same-evidence", "One of the documents was shown for another partner's deal too."),
    ASKED: ("changed-after-loss", "The partner lost this customer before, and asks with another country or role."),
}
"""Of each thing that rules may watch for: the code of the check, and what it says."""


def _watched(facts: Facts, rules: DealRules) -> Iterator[Check]:
    behind = facts.background
    met = {LOOK: behind.look_alikes, DOCUMENT: behind.same_documents, ASKED: behind.lost}
    for kind in WATCHES:
        if kind in rules.watch_for:
            seen = Check(name=kind, value=list(met[kind]))
            code, text = WATCHED[kind]
            yield seen.says(code, text, REVIEW) if met[kind] else seen


def _win_rate(facts: Facts, auto: AutoApproval) -> Check:
    closed, won = facts.background.closed, facts.background.won
    least = auto.win_percent or 0
    threshold = {"closed": auto.closed_least, "win_percent": least}
    seen = Check(name="win_rate", value={"closed": closed, "won": won}, threshold=threshold)
    if closed >= auto.closed_least and won * WHOLE_PERCENT >= least * closed:
        return seen
    text = "Too few of the partner's deals were closed and won for an approval by the rules alone."
    return seen.says("win-rate-low", text, REVIEW)


def competitor(domain: str | None, rules: DealRules) -> str | None:
    """The customer's domain, where the rules call it a competitor's."""
    return domain if domain in rules.competitors else None


def _product(facts: Facts, rules: DealRules) -> Check:
    families = sorted({line.family for line in facts.mine.reach.products})
    seen = Check(name="product", value=families, threshold=list(rules.families))
    if not rules.families or rules.as_compared(families) <= rules.as_compared(rules.families):
        return seen
    return seen.says("product-not-listed", "A product is not one of the programme's.", REVIEW)


def _identity(facts: Facts, _: DealRules) -> Check:
    seen = Check(name="identity", value=facts.known)
    if facts.known:
        return seen
    return seen.says("identity-unconfirmed", "No valid identifier or own domain says who the customer is.", REVIEW)


def _rivals(facts: Facts, rules: DealRules, conflicts: tuple[Conflict, ...]) -> Check:
    met = [c for c in conflicts if c.match == IDENTICAL and c.meets.complete and (c.blocks or not c.waits)]
    same = [conflict for conflict in met if conflict.claim.registration_id not in facts.displaces]
    seen = Check(name="rivals", value=len(same), threshold=0)
    if not same:
        return seen
    if not any(conflict.blocks for conflict in same):
        return seen.says("rival-claims", "Another partner asks for this customer too.", REVIEW)
    if _place(facts) > rules.queue_max:
        return seen.says("queue-full", "Too many partners already wait for this customer.", REJECT)
    return seen.says("rival-ahead", "Another partner holds this customer, or asked first.", QUEUE)


def _place_apart(conflicts: tuple[Conflict, ...]) -> Check:
    apart = sum(conflict.meets.only_place_apart and conflict.match == IDENTICAL for conflict in conflicts)
    seen = Check(name="place", value=apart, threshold=0)
    if not apart:
        return seen
    return seen.says("other-place", "Another partner works on this customer in another place.", REVIEW)


def _several_accounts(facts: Facts) -> Check:
    named = [one for one in facts.accounts if one.account_id not in facts.group]
    seen = Check(name="accounts", value=len(named), threshold=1)
    if len(named) == 1:
        return seen
    return seen.says("several-accounts", "The identifiers belong to different customers.", REVIEW)


def _names(findings: tuple[Finding, ...]) -> Check:
    near = [finding.match for finding in findings if finding.match != WEAK]
    seen = Check(name="names", value=near)
    if not near:
        return seen
    return seen.says("similar-customer", "A customer with a similar name is already known.", REVIEW)


def _approval(facts: Facts, rules: DealRules) -> Check:
    limit = in_currency(rules.auto_approval.limits, facts.amount.currency)
    seen = Check(name="approval", value=plain(facts.amount), threshold=plain(limit))
    if rules.auto_approval.on and limit is not None and facts.amount <= limit:
        return seen
    return seen.says("review-required", "A person of the vendor decides deals of this kind.", REVIEW)


# Explanation


def reasons_of(checks: tuple[Check, ...], rules: RuleRef | None = None) -> tuple[Reason, ...]:
    """The checks as reasons of the rulebook version that asked them."""
    name, version = (rules.rulebook_id, rules.version) if rules else ("", 0)
    return tuple(Reason(code=check.code, text=check.text, rule=name, version=version) for check in checks)


def would_change(checks: tuple[Check, ...]) -> tuple[Change, ...]:
    """For each check that did not pass: what the outcome would be without it."""
    return tuple(
        Change(code=check.code, text=check.text, outcome=strictest(tuple(c for c in checks if c != check)))
        for check in checks
        if check.pull != APPROVE
    )


def explained(screening: Screening, rules: RuleRef | None = None) -> Decision:
    """The screening in the one form in which every decision is explained."""
    return Decision(
        outcome=screening.outcome,
        reasons=reasons_of(screening.failed, rules),
        inputs=tuple(
            Input(name=c.name, value=c.value, event_id=c.event_id, position=c.position) for c in screening.checks
        ),
        would_change=would_change(screening.checks),
        detail=plain(
            {
                "conflicts": screening.conflicts,
                "findings": screening.findings,
                "place": screening.place,
                "free_from": screening.free_on,
                "displace": screening.displace,
            }
        ),
    )


def evaluate(facts: Facts, rules: DealRules) -> Decision:
    """What the rules answer to the facts."""
    return explained(screen(facts, rules))


DEAL_RULES = Kind[Facts, DealRules](
    name="deal_rules",
    body=DealRules,
    facts=Facts,
    evaluate=evaluate,
    check=faults,
    check_new=faults_of_new,
    check_before=faults_before,
)
