"""Plans, wins, credits and reversals as tests write them: short, in euros, in March 2026."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from chassis.rulebook import Rulebook, Version, body_sha256
from contracts.attribution import Share
from contracts.values import PartnerId, money
from services.incentives.application.sales import DECISIONS
from services.incentives.domain.budget import (
    AllocateBudget,
    AllocateUnits,
    Budget,
    Budgets,
    allocate_budget,
    allocate_units,
)
from services.incentives.domain.dues import Known
from services.incentives.domain.exchange import InBooks, Rate
from services.incentives.domain.journal import NO_JOURNAL
from services.incentives.domain.meter import (
    CloseWindow,
    Meter,
    Meters,
    ReleaseTrueUp,
    ResumeWindow,
    SettleRebate,
    close_window,
    release_true_up,
    resume_window,
    settle_rebate,
)
from services.incentives.domain.payee import Payee
from services.incentives.domain.posting import AtHand, Decided
from services.incentives.domain.rating import Sold
from services.incentives.domain.sale import Sale, Sales
from services.incentives.domain.sale_commands import RecordBasis, RecordCredit, RecordReversal, RecordWin
from services.incentives.domain.taking import Part

NOW = datetime(2026, 3, 16, 12, tzinfo=UTC)
START = datetime(2026, 1, 1, tzinfo=UTC)


def plan(*bands: dict[str, Any], semantics: str = "marginal", **changes: Any) -> dict[str, Any]:
    """The body of a plan; ten percent of everything when no band is named."""
    schedule = {"semantics": semantics, "bands": list(bands) or [{"percent": "10"}]}
    schedule |= {name: changes.pop(name) for name in ("axis", "quota") if name in changes}
    return {"kind": "commission", "name": "Commission", "currency": "EUR", "schedule": schedule, **changes}


def book(body: dict[str, Any], plan_id: str = "plan-a", effective_from: datetime = START, number: int = 1) -> Rulebook:
    """A rulebook with one published version."""
    return Rulebook(versions=(version(body, plan_id, effective_from, number),))


def version(body: dict[str, Any], plan_id: str, effective_from: datetime, number: int) -> Version:
    return Version(
        rulebook_id=plan_id,
        kind="plan",
        scope="default",
        version=number,
        body=body,
        sha256=body_sha256(body),
        effective_from=effective_from,
        effective_until=None,
        mode="live",
    )


def win(amount: str = "1000.00", *, sold: tuple[Sold, ...] = (), **changes: Any) -> RecordWin:
    fields: dict[str, Any] = {
        "opportunity_id": "o1",
        "registration_id": "r1",
        "win_no": 1,
        "amount": money(amount, changes.pop("currency", "EUR")),
        "sold": sold,
        "deal_type": "new",
        "closed_on": date(2026, 3, 16),
        "source_event_id": "e-win",
        "plan_ids": ("plan-a",),
        "now": NOW,
    }
    return RecordWin(**{**fields, **changes})


def sold(line_id: str, family: str, amount: str, quantity: int = 1) -> Sold:
    return Sold(line_id=line_id, family=family, amount=money(amount, "EUR"), quantity=quantity)


def share(partner_id: str, percent: str, **changes: Any) -> Share:
    fields = {"role": "source", "from_month": "2026-01", "until_month": None, **changes}
    return Share(partner_id=PartnerId(partner_id), percent=Decimal(percent), **fields)


def credit(*shares: Share, revision: int = 1, **changes: Any) -> RecordCredit:
    fields: dict[str, Any] = {
        "opportunity_id": "o1",
        "pool": "sourced",
        "revision": revision,
        "shares": shares or (share("p1", "100.00"),),
        "source_event_id": f"e-credit-{revision}",
        "plan_ids": ("plan-a",),
        "now": NOW,
    }
    return RecordCredit(**{**fields, **changes})


def reversal(reversal_id: str, amount: str, *parts: tuple[str, str], **changes: Any) -> RecordReversal:
    fields: dict[str, Any] = {
        "opportunity_id": "o1",
        "win_no": 1,
        "reversal_id": reversal_id,
        "amount": money(amount, "EUR"),
        "parts": tuple(Part(line_id=line_id, amount=money(part, "EUR")) for line_id, part in parts),
        "reason_code": "refund",
        "occurred_on": date(2026, 3, 20),
        "source_event_id": f"e-{reversal_id}",
        "plan_ids": ("plan-a",),
        "now": NOW,
    }
    return RecordReversal(**{**fields, **changes})


def basis(kind: str, external_id: str, amount: str | None, **changes: Any) -> RecordBasis:
    fields: dict[str, Any] = {
        "opportunity_id": "o1",
        "kind": kind,
        "external_id": external_id,
        "amount": None if amount is None else money(amount, changes.pop("currency", "EUR")),
        "happened_on": date(2026, 3, 20),
        "source_event_id": f"e-{external_id}",
        "plan_ids": ("plan-a",),
        "now": NOW,
    }
    return RecordBasis(**{**fields, **changes})


class World:
    """The sales, meters, budgets and payees of a run of facts, with all their events."""

    def __init__(self, *books: Rulebook, **known: Any) -> None:
        self.books = books
        self.known = known
        self.rates_recorded: list[tuple[int, tuple[Rate, ...]]] = []
        """Rates that came later, each with how many events there were before."""
        self.sales: dict[str, Sale] = {}
        self.meters: dict[str, Meter] = {}
        self.budgets: dict[str, Budget] = {}
        self.events: list[Any] = []
        self.streams: dict[tuple[str, str], list[Any]] = {}

    @property
    def measures(self) -> dict[str, Decimal]:
        return {meter: state.measure for meter, state in self.meters.items()}

    def allocate(self, budget_id: str, amount: str) -> "World":
        wish = AllocateBudget(budget_id=budget_id, ref="first", amount=money(amount, "EUR"), by="adm", now=NOW)
        self.keep(self.budgets, Budgets, {budget_id: allocate_budget(wish, Budgets.initial)})
        return self

    def allocate_units(self, budget_id: str, units: str) -> "World":
        wish = AllocateUnits(budget_id=budget_id, ref="first", units=Decimal(units), by="adm", now=NOW)
        self.keep(self.budgets, Budgets, {budget_id: allocate_units(wish, Budgets.initial)})
        return self

    def record_rates(self, rates: Iterable[Rate]) -> None:
        """Rates from now on."""
        self.rates_recorded.append((len(self.events), tuple(rates)))
        self.known["rates"] = (*self.known["rates"], *self.rates_recorded[-1][1])

    def tell(self, *wishes: Any) -> "World":
        """Decides each fact in turn."""
        for wish in wishes:
            sale = self.sales.get(wish.opportunity_id, Sales.initial)
            made = self._decided(wish, sale)
            self.keep(self.sales, Sales, {wish.opportunity_id: made.sale})
            self.keep(self.meters, Meters, made.meters)
            self.keep(self.budgets, Budgets, made.budgets)
        return self

    def keep(self, states: dict[str, Any], decider: Any, happened: Any) -> None:
        for identity, events in happened.items():
            states[identity] = decider.fold(events, states.get(identity, decider.initial))
            self.events += events
            self.streams.setdefault((decider.kind, identity), []).extend(events)

    def _decided(self, wish: Any, sale: Sale) -> Decided:
        known = Known(books=self.books, **{"payees": {}, **self.known})
        needed = DECISIONS[type(wish)](wish, sale, AtHand(), known)
        meters = {meter: self.meters.get(meter, Meter()) for meter in needed.meters}
        budgets = {budget: self.budgets.get(budget, Budget()) for budget in needed.budgets}
        return DECISIONS[type(wish)](wish, sale, AtHand(meters, budgets), known)

    def close(
        self, meter_id: str, day: date, payee: Payee | None = None, survivors: dict[str, Payee] | None = None
    ) -> "World":
        """Closes a window once it is over."""
        known = survivors or {}
        more = {"survivor_ids": tuple(known), "rates": self.known.get("rates", ())}
        wish = self._on_meter(CloseWindow, meter_id, day, **more)
        payee = payee or self.known.get("payees", {}).get(wish.payee_id, Payee())
        happened = close_window(wish, self.meters[meter_id], self.books, payee, tuple(known.values()))
        self.keep(self.meters, Meters, {meter_id: happened})
        return self

    def settle(self, meter_id: str, day: date) -> "World":
        wish = self._on_meter(SettleRebate, meter_id, day)
        self.keep(self.meters, Meters, {meter_id: settle_rebate(wish, self.meters[meter_id], self.books, Payee())})
        return self

    def resume(self, meter_id: str, day: date) -> "World":
        """Posts what a window could not for want of a rate."""
        wish = self._on_meter(ResumeWindow, meter_id, day, rates=self.known.get("rates", ()))
        payee = self.known.get("payees", {}).get(wish.payee_id, Payee())
        self.keep(self.meters, Meters, {meter_id: resume_window(wish, self.meters[meter_id], self.books, payee)})
        return self

    def release_true_ups(self, day: date) -> "World":
        """Releases each true-up whose hold is over on a day."""
        now = datetime.combine(day, NOW.time(), tzinfo=UTC)
        for meter_id, meter in list(self.meters.items()):
            for held in [one for one in meter.held if one.payable_on <= day]:
                wish = ReleaseTrueUp(meter_id=meter_id, line_id=held.line_id, now=now)
                self.keep(self.meters, Meters, {meter_id: release_true_up(wish, self.meters[meter_id])})
        return self

    def _on_meter(self, kind: Any, meter_id: str, day: date, **more: Any) -> Any:
        meter = self.meters[meter_id]
        now = datetime.combine(day, NOW.time(), tzinfo=UTC)
        books = InBooks(currency=self.known.get("books_currency"), rates=self.known.get("rates", ()))
        return kind(meter_id=meter_id, plan_id=meter.plan_id, payee_id=meter.payee_id, now=now, books=books, **more)

    def standing(self) -> list[tuple[Any, ...]]:
        """The lines that stand, with earned and remaining amounts, sorted."""
        return sorted(
            (sale_id, line.key.win_no, line.key.partner_id, line.key.plan_id, line.amount.amount, line.remaining.amount)
            for sale_id, sale in self.sales.items()
            for line in sale.lines.values()
            if not line.superseded
        )

    def of(self, kind: type[Any]) -> list[Any]:
        return [happened for happened in self.events if isinstance(happened, kind)]

    def posted(self) -> list[Any]:
        """Every ledger entry."""
        return [entry for happened in self.events for entry in getattr(happened, "journal", NO_JOURNAL).entries]
