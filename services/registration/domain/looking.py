"""One look at a deal: its screening at an instant, and the events that follow from it for the deal and its claims."""

from collections.abc import Sequence
from datetime import datetime

from chassis.event import LEFT_OUT, LeftOut, frozen, replace
from chassis.rulebook import Rulebook, Version
from contracts.values import AccountId, Entitlement, PartnerId, Span
from services.registration.domain.account import Account
from services.registration.domain.background import Background
from services.registration.domain.claim import HOLDING, Claim
from services.registration.domain.claims import (
    ClaimEvent,
    Claims,
    ClaimsOf,
    hold,
    kept_out,
    place,
    queue,
    release,
    support,
    take_part,
)
from services.registration.domain.deal import Deal
from services.registration.domain.deal_commands import REPLACED, GivesWay, RegisterDeal, Screens, entered
from services.registration.domain.deal_events import (
    ConflictDetected,
    DealApproved,
    DealEvent,
    DealQueued,
    DealRejected,
    DealScreened,
    ParticipantJoined,
)
from services.registration.domain.ending import give_way, over_with, parted
from services.registration.domain.entitlement import entitlement
from services.registration.domain.exclusion import ExclusionList, entries
from services.registration.domain.judging import judging
from services.registration.domain.matching import Candidate
from services.registration.domain.partner_facts import PartnerFacts
from services.registration.domain.protection import protection_of
from services.registration.domain.review_clock import appeal_until, begin, end
from services.registration.domain.rules import SECOND_REDUCED, WHOLE_PERCENT, DealRules
from services.registration.domain.screening import (
    APPROVE,
    DEAL_RULES,
    QUEUE,
    REJECT,
    Facts,
    OnAccount,
    Screening,
    competitor,
    reasons_of,
    screen,
)
from services.registration.domain.trace import Traces, look_alikes, same_documents

ROLE_HELD = "role-held"
Settles = Screens | RegisterDeal
Settled = tuple[list[list[ClaimEvent]], list[list[DealEvent]]]


@frozen
class Look:
    """What was seen of a deal at `now`."""

    deal: Deal
    facts: Facts
    rules: DealRules
    screening: Screening
    screening_id: str
    now: datetime
    verdict: str
    exclusive: bool
    replaces: bool = True

    def shared(self) -> "Look":
        """The same look where several may hold: nobody gives way."""
        return replace(self, exclusive=False, replaces=False)

    def decided(self, verdict: str, deal: Deal) -> "Look":
        """The same look where a person decides otherwise than the rules by themselves, on the deal as it is by then."""
        return replace(self, verdict=verdict, deal=deal)

    @property
    def news(self) -> frozenset[str]:
        """What the screening before had not found."""
        before = self.deal.screened.screening.evidence if self.deal.screened else frozenset()
        return self.screening.evidence - before

    def found(self) -> list[DealEvent]:
        """The evidence: the screening, and the conflict if a rival wants the same."""
        screened = DealScreened(
            **self.deal.judged,
            screening_id=self.screening_id,
            rules=self.deal.first.terms.rules,
            facts=self.facts,
            screening=self.screening,
            screened_at=self.now,
        )
        return [screened, *self._conflict()]

    def _conflict(self) -> list[DealEvent]:
        match, met = self.screening.match, [c for c in self.screening.conflicts if c.meets.complete]
        if match is None:
            return []
        told = self.screening.told_match
        return [
            ConflictDetected(
                **self.deal.judged,
                screening_id=self.screening_id,
                match=match,
                outcome=self.screening.outcome,
                rivals=tuple(dict.fromkeys(conflict.claim.deal for conflict in met)),
                free_on=self.screening.free_on,
                detected_at=self.now,
                told_match=told if told and told != match else LEFT_OUT,
            )
        ]

    def outcome(self) -> list[DealEvent]:
        """What the rules decide by themselves: approved, queued, rejected; where a person decides, the review begins."""
        match self.verdict:
            case "approve":
                return [*self.over("approved"), *self.approved(by=None)]
            case "queue":
                return [*self.over("queued"), self._queued()]
            case "reject":
                return [*self.over("rejected"), self._rejected(), *over_with(self.now, self.deal, "rejected")]
            case _:
                return begin(self.deal, self.rules, self.now)

    def over(self, outcome: str) -> list[DealEvent]:
        """The end of the review, where one is going on."""
        return end(self.deal, self.rules, outcome, self.now)

    def approved(self, by: str | None, basis: str | None = None) -> list[DealEvent]:
        """The approval of this deal, now. Whoever takes part and is kept out by a rival leaves before."""
        gone = [parted(self.deal, one, ROLE_HELD, self.now, deal_over=False) for one in self._kept_out()]
        return [*gone, self._approval(by, basis)]

    def _approval(self, by: str | None, basis: str | None) -> DealApproved:
        return DealApproved(
            **self.deal.judged,
            terms=replace(self.deal, participants=self._taking_part()).terms(),
            protection=self.span,
            exclusive=self.exclusive,
            basis=basis or self.rules.priorities[0],
            screening_id=self.screening_id,
            reasons=reasons_of(self.screening.failed, self.deal.first.terms.rules),
            approved_by=by,
            approved_at=self.now,
            entitlement=self._entitlement(),
            inactive_days=self.rules.protection.inactive_days,
            warn_days=self.rules.protection.warn_days,
        )

    def _kept_out(self) -> tuple[ParticipantJoined, ...]:
        """The participants in whose role a rival holds the customer, or asked first."""
        if not self.deal.participants:
            return ()
        lines = [one.without(self.facts.displaces) for one in self.facts.accounts]
        mine = {one.invitation_id: self.deal.claim_of(one) for one in self.deal.participants}
        blocked = (
            any(kept_out(line, mine[one.invitation_id], self.now) for line in lines) for one in self.deal.participants
        )
        return tuple(one for one, is_out in zip(self.deal.participants, blocked, strict=True) if is_out)

    def _taking_part(self) -> tuple[ParticipantJoined, ...]:
        out = self._kept_out()
        return tuple(one for one in self.deal.participants if one not in out)

    def _entitlement(self) -> Entitlement | None:
        """The benefits at this instant; less for who comes second where two may hold."""
        rules = self.rules
        if not rules.benefits:
            return None
        held = any(c.claim.state in HOLDING and c.meets.complete for c in self.screening.conflicts)
        reduced = held and SECOND_REDUCED in rules.priorities
        factor = rules.second_factor_percent if reduced else WHOLE_PERCENT
        return entitlement(rules, self.facts.mine.reach, factor_percent=factor)

    def _queued(self) -> DealQueued:
        return DealQueued(
            **self.deal.judged,
            place=self.screening.place or 1,
            free_on=self.screening.free_on,
            reasons=reasons_of(self.screening.deciding, self.deal.first.terms.rules),
            queued_at=self.now,
        )

    def _rejected(self) -> DealRejected:
        return DealRejected(
            **self.deal.judged,
            reasons=reasons_of(self.screening.deciding, self.deal.first.terms.rules),
            message=None,
            rejected_by=None,
            rejected_at=self.now,
            appeal_until=appeal_until(self.rules, self.now),
        )

    @property
    def span(self) -> Span:
        """The protection that an approval now would give."""
        return protection_of(self.rules, submitted_at=self.deal.submitted_at, approved_at=self.now)

    def settle(self, wish: Settles, claims: Sequence[Claims], others: Sequence[Deal]) -> Settled:
        """What the verdict does to the claims on each account, and to the deals that give way to an approval."""
        gone = wish.gives_way if self.verdict == APPROVE and self.replaces else ()
        ended = {told.registration_id: self._ended(other, told) for other, told in zip(others, gone, strict=False)}
        ending = [told for told in gone if ended[told.registration_id]]
        placed = zip(entered(wish), claims, strict=True)
        changes = [self._on(account, state, ending) for account, state in placed]
        return changes, [ended.get(told.registration_id, []) for told in wish.gives_way]

    def ended(self, wish: Settles, claims: Sequence[Claims], others: Sequence[Deal]) -> Settled:
        """The end of the deals that give way, where nobody takes their place."""
        gone = zip(others, wish.gives_way, strict=True)
        deals = [self._ended(other, told) for other, told in gone]
        ending = [told for told, events in zip(wish.gives_way, deals, strict=True) if events]
        return [self._gone(state, [], ending) for state in claims], deals

    def _ended(self, other: Deal, told: GivesWay) -> list[DealEvent]:
        return give_way(other, told, self.deal, self.rules, self.now)

    def _on(self, account: AccountId, claims: Claims, gone: Sequence[GivesWay]) -> list[ClaimEvent]:
        """The changes on one account. What gives way goes last, so that nobody is freed in between."""
        return self._gone(claims, self._own(claims) if account in self.deal.accounts else [], gone)

    def _gone(self, claims: Claims, changed: list[ClaimEvent], gone: Sequence[GivesWay]) -> list[ClaimEvent]:
        for name, reason_code in ((name, told.reason_code) for told in gone for name in told.holds):
            before = ClaimsOf.fold(changed, claims)
            changed = [*changed, *release(before, name, reason_code, self.now)]
        return changed

    def _own(self, claims: Claims) -> list[ClaimEvent]:
        """The deal's own claim on one account. A claim that is not there yet is placed first."""
        if self.verdict == REJECT:
            return release(claims, self.facts.mine.registration_id, "rejected", self.now)
        mine = self.facts.mine
        known = claims.of(mine.registration_id)
        new = tuple(one for one in mine.evidence if known and one not in known.evidence)
        more = support(claims, mine.registration_id, new, self.now) if new else []
        placed = [*place(claims, mine, self.now), *more]
        return [*placed, *self._settled(ClaimsOf.fold(placed, claims))]

    def _settled(self, claims: Claims) -> list[ClaimEvent]:
        mine = self.facts.mine.registration_id
        if self.verdict == APPROVE:
            return self._held(claims, hold(claims, mine, self.span, self.now, exclusive=self.exclusive))
        return queue(mine, self.now) if self.verdict == QUEUE else []

    def _held(self, claims: Claims, held: list[ClaimEvent]) -> list[ClaimEvent]:
        """The hold on one account, and with it those of who takes part in the deal."""
        for one in self._taking_part():
            line = ClaimsOf.fold(held, claims)
            held = [*held, *take_part(line, self.deal.claim_of(one), self.span, self.now, exclusive=self.exclusive)]
        return held


def look(deal: Deal, facts: Facts, version: Version, screening_id: str) -> Look:
    """Screens a deal on these facts under one version of the rules."""
    rules = DEAL_RULES.read(version.body)
    screening = screen(facts, rules)
    return Look(
        deal=deal,
        facts=facts,
        rules=rules,
        screening=screening,
        screening_id=screening_id,
        now=facts.now,
        verdict=screening.outcome,
        exclusive=rules.exclusive,
    )


Unseen = tuple[Rulebook, PartnerFacts, Account, tuple[Claims, ...], tuple[ExclusionList, ...]]
Around = tuple[*Unseen, tuple[Traces, ...]]
"""What a new look at a deal reads besides it: the rules, the partner, its account, the claims of the candidates, the
exclusions, what it and others have left behind."""


def look_again(wish: Screens, deal: Deal, claims: Sequence[Claims], *around: *Around) -> Look:
    """Screens a known deal on what is known now, under the version that judged it first."""
    book, partner, account, nearby, exclusions, traces = around
    version = judging(deal, book)
    candidates = tuple(c for c in wish.candidates if c.account_id not in deal.decided)
    facts = Facts(
        mine=claims[0].counted(deal.claim(), wish.counts_as) if claims else deal.claim(),
        amount=deal.now_details.amount,
        tender=deal.now_details.tender,
        known=account.known,
        partner=partner.for_open_deals.about(deal.first.reach.products),
        accounts=_on_accounts(wish, deal, claims),
        candidates=candidates,
        nearby=_near(wish.candidates, nearby, candidates),
        displaces=tuple(one.registration_id for one in wish.gives_way if one.reason_code != REPLACED),
        exclusions=entries(exclusions),
        competitor=competitor(deal.first.customer.domain, DEAL_RULES.read(version.body)),
        background=_background(wish, deal, traces),
        group=deal.group,
        now=wish.now,
        index=wish.index,
    )
    return look(deal, facts, version, wish.screening_id)


def _background(wish: Screens, deal: Deal, traces: tuple[Traces, ...]) -> Background:
    """What was known when it was submitted, with what was left behind by others since."""
    before = deal.screened.facts.background if deal.screened else Background()
    decided = (*deal.accounts, *deal.decided)
    return replace(
        before,
        look_alikes=look_alikes(wish.traces, traces, decided),
        same_documents=same_documents(wish.traces, traces, wish.partner_id),
    )


def _on_accounts(wish: Screens, deal: Deal, claims: Sequence[Claims]) -> tuple[OnAccount, ...]:
    """The line on each of the deal's accounts, with its own claim as it is by now; last where it was released."""
    mine = deal.claim()
    return tuple(
        OnAccount(account_id=account, live=_with_mine(one, mine, wish.counts_as), incumbents=one.incumbents)
        for account, one in zip(deal.accounts, claims, strict=False)
    )


def _with_mine(claims: Claims, mine: Claim, counts_as: PartnerId | LeftOut) -> tuple[Claim, ...]:
    known = claims.of(mine.registration_id)
    if known is None:
        return (*claims.live, claims.counted(mine, counts_as))
    return tuple(replace(one, evidence=mine.evidence) if one is known else one for one in claims.live)


def _near(
    all_candidates: Sequence[Candidate], nearby: Sequence[Claims], kept: Sequence[Candidate]
) -> tuple[OnAccount, ...]:
    return tuple(
        OnAccount(account_id=candidate.account_id, live=claims.live)
        for candidate, claims in zip(all_candidates, nearby, strict=True)
        if candidate in kept and claims.live
    )
