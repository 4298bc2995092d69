"""The faults that five processes on real engines are put through, one after the other, and what was counted.

Each fault meets a system under load and is healed without anybody repairing anything. Then the clients bring what they
began to its end, and one checker compares what they were told with what the stores hold.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from contracts.catalogue import SERVICES
from services import first_run
from services.gateway.projections.deal_cards import DEAL_CARDS
from tests.faults.checking import Checker, all_is_proven, everything_has_come_out, read_models
from tests.faults.five import EASTGATE, OTHER_TENANT, Engines, Five, engines, five, logs_kept, told, volume
from tests.faults.load import BEGINNING, GIVE_UP_SECONDS, Load, Season, clients
from tests.faults.striking import (
    Pace,
    Strike,
    answers_lost,
    appends,
    commits_offsets,
    cut_off,
    engine_frozen,
    engine_killed,
    engine_killed_at,
    keeps_key,
    killed,
    killed_at,
    leaseholder_woken,
    missed,
    no_room,
    offsets_to_zero,
    produces,
    rebalanced,
    slow,
    writes_documents,
)
from tests.faults.wire import SWALLOWED, UNANSWERED
from tests.scenarios.main_job import AFTER_THE_PERIOD, PAYMENTS, PERIOD
from tests.scenarios.system import System

LANES, AT_ONCE = 3, 10
BEFORE_SECONDS = 1.0
PROFILES = ("full", "compact")
SHORT, FULL = Pace(), Pace(away_seconds=60.0, frozen_seconds=30.0, rebalances=20)
LATER = Season(close_on="2031-06-20", won_at="2031-05-20T12:00:00Z")
"""After the period that is paid."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong and is over when `strike` returns. `core` ones are of the short form."""

    name: str
    strike: Strike
    core: bool = False
    profiles: Sequence[str] = PROFILES


@dataclass(frozen=True)
class Row:
    """What was counted of one fault. `caught_up_seconds` runs from its end until everything was where it belongs.

    `busy` and `unanswered` commands were sent again; `refused` ones were, for good; `lost` and `twice` count by name;
    `wrong` is all else that does not hold.
    """

    fault: str
    acknowledged: int
    refused: int
    busy: int
    unanswered: int
    lost: Counter[str]
    twice: Counter[str]
    caught_up_seconds: float
    wrong: Sequence[str] = ()

    @property
    def named(self) -> list[str]:
        """Each thing that does not hold, for people."""
        lost = [f"lost: {name} ({count})" for name, count in self.lost.items()]
        return [*lost, *(f"done twice: {name} ({count})" for name, count in self.twice.items()), *self.wrong]

    @property
    def holds(self) -> bool:
        return self.named == []

    def line(self) -> str:
        bad = self.lost.total(), self.twice.total(), len(self.wrong)
        counts = (self.acknowledged, self.refused, self.busy, self.unanswered, *bad)
        return f"| {self.fault} | {' | '.join(map(str, counts))} | {self.caught_up_seconds:.0f} |"


HEADING = (
    "| fault, under load | acknowledged | of them refused | busy, sent again | unanswered, sent again | lost | done twice "
    "| else wrong | caught up after (s) |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


REGISTERED, OPENED, CREDITED, ENTERED = (
    "registration.DealRegistered.v1",
    "attribution.OpportunityOpened.v1",
    "incentives.PayoutCalculated.v1",
    "onboarding.PartnerApplied.v1",
)
CARDS = writes_documents("gateway", DEAL_CARDS)
REACTIONS = commits_offsets("entente.incentives.reactions")
SEPARATE = ("full",)
"""Profiles in which the read store is an engine of its own."""
FULL_VOLUME = Fault("no room on the services' volume", no_room)
FAULTS = (
    *(Fault(f"kill -9 of {name}", killed(name)) for name in SERVICES),
    Fault(
        "kill -9 of onboarding, its append not yet at PostgreSQL", killed_at("onboarding", appends(ENTERED), SWALLOWED)
    ),
    Fault(
        "kill -9 of onboarding, its append committed and not answered",
        killed_at("onboarding", appends(ENTERED), UNANSWERED),
    ),
    Fault(
        "kill -9 of registration, its append not yet at PostgreSQL",
        killed_at("registration", appends(REGISTERED), SWALLOWED),
    ),
    Fault(
        "kill -9 of registration, its append committed and not answered",
        killed_at("registration", appends(REGISTERED), UNANSWERED),
        core=True,
    ),
    Fault(
        "kill -9 of incentives, its payout committed and not answered",
        killed_at("incentives", appends(CREDITED), UNANSWERED),
    ),
    Fault(
        "kill -9 of attribution's relay, its batch not yet at Kafka",
        killed_at("attribution", produces("attribution"), SWALLOWED),
    ),
    Fault(
        "kill -9 of attribution's relay, its batch in Kafka and not acknowledged",
        killed_at("attribution", produces("attribution"), UNANSWERED),
    ),
    Fault(
        "kill -9 of incentives' consumer, effects done and offsets not committed",
        killed_at("incentives", REACTIONS, SWALLOWED),
        core=True,
    ),
    Fault(
        "kill -9 of incentives' consumer, offsets committed and not answered",
        killed_at("incentives", REACTIONS, UNANSWERED),
    ),
    Fault(
        "kill -9 of the gateway, its documents not yet at the read store",
        killed_at("gateway", CARDS, SWALLOWED),
    ),
    Fault(
        "kill -9 of the gateway, its documents written and not answered",
        killed_at("gateway", CARDS, UNANSWERED),
    ),
    Fault(
        "the answer to a commit lost, in three services",
        answers_lost(appends(REGISTERED), appends(OPENED), appends(CREDITED)),
    ),
    Fault(
        "the answer to a produce lost, of three relays",
        answers_lost(*(produces(name) for name in ("registration", "attribution", "incentives"))),
    ),
    Fault(
        "kill -9 of PostgreSQL, an append not yet there",
        engine_killed_at("postgres", appends(REGISTERED), SWALLOWED),
    ),
    Fault(
        "kill -9 of PostgreSQL, a payout committed and not answered",
        engine_killed_at("postgres", appends(CREDITED), UNANSWERED),
    ),
    Fault("kill -9 of Kafka, a batch not yet there", engine_killed_at("kafka", produces("registration"), SWALLOWED)),
    Fault(
        "kill -9 of Kafka, a batch taken and not acknowledged",
        engine_killed_at("kafka", produces("attribution"), UNANSWERED),
        core=True,
    ),
    Fault(
        "kill -9 of the read store, documents written and not answered",
        engine_killed_at("documents", CARDS, UNANSWERED),
    ),
    Fault("all offsets back to zero, one service after the other", offsets_to_zero),
    Fault(
        "a leaseholder asleep until another has its lease, then woken: registration", leaseholder_woken("registration")
    ),
    Fault(
        "a leaseholder asleep until another has its lease, then woken: attribution", leaseholder_woken("attribution")
    ),
    Fault("a stranger joins the group of two processes and leaves it, every 3 s", rebalanced("incentives")),
    Fault("kill -9 of Kafka, away for a while", engine_killed("kafka")),
    Fault("Kafka frozen", engine_frozen("kafka")),
    Fault("Kafka slow, 0.2 s a message", slow("kafka", 0.2)),
    Fault("Kafka cut off by the network", cut_off("kafka")),
    Fault("kill -9 of PostgreSQL, away for a while", engine_killed("postgres")),
    Fault("PostgreSQL frozen", engine_frozen("postgres")),
    Fault("kill -9 of the read store, away for a while", engine_killed("documents"), profiles=SEPARATE),
    Fault("the read store frozen", engine_frozen("documents"), profiles=SEPARATE),
    Fault("the read store cut off by the network", cut_off("documents")),
    Fault(
        "kill -9 of the keys' database, a key committed and not answered",
        engine_killed_at("keys", keeps_key("registration"), UNANSWERED),
    ),
    Fault("kill -9 of the keys' database, away for a while", missed(engine_killed("keys"))),
    Fault("the keys' database frozen", missed(engine_frozen("keys"))),
    Fault("the keys' database cut off by the network", missed(cut_off("keys"))),
    FULL_VOLUME,
)


# The run


@dataclass
class Run:
    """One system that goes through faults; `rows` grows, and `tell` hears of each row."""

    it: Five
    load: Load
    checker: Checker
    pace: Pace
    tell: Callable[[Row], None]
    rows: list[Row] = field(default_factory=list)

    async def through(self, fault: Fault) -> None:
        """Meets the load with the fault, lets everything come to its end, and counts."""
        load, before = self.load, len(self.load.acknowledged)
        unanswered, busy = load.repeats, load.busy
        load.begin_again(f"{len(self.rows)}-")
        async with asyncio.TaskGroup() as group:
            for work in (load.run(LANES), load.stream(), self._pays(_payee(len(self.rows)))):
                group.create_task(work)
            await asyncio.sleep(BEFORE_SECONDS)
            await fault.strike(self.it, self.pace)
            over = time.monotonic()
            load.stopping.set()
        lost, twice = await self.checker.counted()
        seconds = time.monotonic() - over
        sent_again = load.busy - busy, load.repeats - unanswered
        new = list(load.acknowledged.values())[before:]
        refused = sum(one.status in (409, 422) for one in new)
        wrong = await self.checker.wrong()
        self.rows.append(Row(fault.name, len(new), refused, *sent_again, lost, twice, seconds, wrong))
        self.tell(self.rows[-1])

    async def _pays(self, payee: first_run.FirstPartner) -> None:
        """Finance pays one partner what it has earned, while the fault goes on."""
        load, key = self.load, payee.domain
        partner_id = (await load.look(_handle(payee), "/v1/me"))["partner_id"]
        period = {"partner_id": partner_id, "period": PERIOD, "currency": first_run.CURRENCY}
        statement = (await load.post("finn", "/v1/incentives/statements", period, f"statement-{key}")).answer
        wish = {"statement_id": statement["statement_id"]}
        payment_id = (await load.post("finn", PAYMENTS, wish, f"propose-{key}")).answer["payment_id"]
        await load.post("faye", f"{PAYMENTS}/{payment_id}/approve", None, f"agree-{key}")
        await load.post("finn", f"{PAYMENTS}/{payment_id}/submit", None, f"submit-{key}")
        self.checker.paid += 1
        await load.until("finn", f"{PAYMENTS}/{payment_id}", "state", "paid")


def _payee(number: int) -> first_run.FirstPartner:
    """The partner that is paid during a fault."""
    return first_run.FirstPartner(f"Payee{number} Trading", "DE", f"payee-{number}.example", "Pat Payee")


def _handle(partner: first_run.FirstPartner) -> str:
    """The name under which its owner signs in in development."""
    return partner.name.split()[0].lower()


async def put_through(
    folder: Path,
    faults: Sequence[Fault],
    pace: Pace,
    tell: Callable[[Row], None],
    profile: str = "full",
    logs_in: Path | None = None,
) -> list[Row]:
    """The rows of all faults, one system meeting them in turn; then what it left behind is proven.

    What the services said is kept in `logs_in`, also when the run ends before its end.

    Raises AssertionError when a log, a decision, a read model or the ledger is not as it has to be in the end.
    """
    async with engines(folder / "engines", profile) as at_hand:
        with volume(folder / "data") if FULL_VOLUME in faults else nullcontext(), told(at_hand.settings()):
            with logs_kept(folder / "data", logs_in):
                async with _begun(folder, at_hand, len(faults), pace, tell) as run:
                    for fault in faults:
                        await run.through(fault)
            with told(at_hand.settings_here()):
                await all_is_proven(folder / "data")
            return run.rows


@asynccontextmanager
async def _begun(
    folder: Path, at_hand: Engines, faults: int, pace: Pace, tell: Callable[[Row], None]
) -> AsyncIterator[Run]:
    """A system in which a partner for each fault has earned what can be paid to it from now on."""
    (folder / "mine").mkdir()
    async with (
        five(folder / "data", at_hand) as it,
        clients(it, seed=7) as load,
        read_models(it.eyes, folder / "mine") as mine,
    ):
        checker = Checker(it.eyes, load, mine)
        await load.set_clock(BEGINNING)
        await _have_earned(it.eyes, load, list(map(_payee, range(faults))))
        await everything_has_come_out(it.eyes, load, GIVE_UP_SECONDS, checker.tally)
        await it.eyes.clock(AFTER_THE_PERIOD)
        load.tokens.clear()
        await it.eyes.settle()
        load.season, load.others = LATER, (f"{OTHER_TENANT}/{_handle(EASTGATE)}",)
        yield Run(it, load, checker, pace, tell)


async def _have_earned(it: System, load: Load, payees: Sequence[first_run.FirstPartner]) -> None:
    """Each of these partners joins and sells one deal."""
    ada = await it.who("ada")
    for some in _batched(payees, AT_ONCE):
        await asyncio.gather(*(first_run.add_partner(ada, payee, key=payee.domain) for payee in some))
    await it.settle()
    for some in _batched(payees, AT_ONCE):
        deals = (load.deal(f"of-{payee.domain}", refunded=False, who=_handle(payee)) for payee in some)
        await asyncio.gather(*deals)


def _batched(payees: Sequence[first_run.FirstPartner], size: int) -> list[Sequence[first_run.FirstPartner]]:
    return [payees[start : start + size] for start in range(0, len(payees), size)]
