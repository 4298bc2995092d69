"""What a partner's verifier says of a run of facts: its events as a proof names them, from the first one on."""

import json
from collections.abc import Sequence
from typing import Any

from chassis.event import encode, plain
from services.incentives.domain.books import BooksOpened, RatesRecorded
from services.incentives.domain.exchange import Rate
from services.incentives.domain.verifying import FORMAT, earnings
from tests.incentives.facts import NOW, World
from tests.incentives.fund_facts import Log

AFTER_ALL = 1_000
"""More than the versions of a stream: where it was told of a rate, all that came before at its position is known."""


def proof_of(world: World) -> dict[str, Any]:
    """The lines and windows of a world in the form of a statement's proof, with the words of all its plans."""
    places = {
        id(happened): (kind, identity, version)
        for (kind, identity), events in world.streams.items()
        for version, happened in enumerate(events, 1)
    }
    events = [
        {
            "id": f"e{position}",
            "position": position,
            "version": places[id(happened)][2],
            "stream": f"acme:{places[id(happened)][0]}-{places[id(happened)][1]}",
            "type": happened.type,
            "data": plain(happened),
        }
        for position, happened in enumerate(world.events, 1)
        if id(happened) in places
    ]
    versions = [version for book in world.books for version in book.versions]
    plans = [
        {"rulebook_id": one.rulebook_id, "version": one.version, "sha256": one.sha256, "body": one.body}
        for one in versions
    ]
    return {"format": FORMAT, "events": [*_books(world), *events], "plans": plans, "kept_back": []}


def _books(world: World) -> list[dict[str, Any]]:
    """The currency of the books and the rates: those that came later after the events that were before them."""
    currency, rates = world.known.get("books_currency"), world.known.get("rates", ())
    if currency is None:
        return []
    first = len(rates) - sum(len(later) for _, later in world.rates_recorded)
    opened = BooksOpened(currency=currency, source_event_id="t", opened_at=NOW)
    told = [(0, opened), (0, _recorded(rates[:first]))]
    told += [(position, _recorded(later)) for position, later in world.rates_recorded]
    return [
        {
            "id": f"b{place}",
            "position": position,
            "version": AFTER_ALL + place,
            "stream": "books",
            "type": one.type,
            "data": plain(one),
        }
        for place, (position, one) in enumerate(told, 1)
    ]


def _recorded(rates: Sequence[Rate]) -> RatesRecorded:
    return RatesRecorded(month="2026-03", source="ecb", rates=tuple(rates), recorded_by="fin-1", recorded_at=NOW)


def proof_of_all(*happened: Any) -> dict[str, Any]:
    """Events in the form of a statement's proof, in their order."""
    events = [
        {"id": f"e{position}", "position": position, "version": 1, "type": one.type, "data": json.loads(encode(one))}
        for position, one in enumerate(happened, 1)
    ]
    return {"format": FORMAT, "events": events, "plans": [], "kept_back": []}


def proof_of_log(log: Log) -> dict[str, Any]:
    """The claims of a log, with the rules of its funds before them."""
    rules = [one for (kind, _), events in log.streams.items() if kind == "rulebook" for one in events]
    return proof_of_all(*rules, *log.happened)


def findings(world: World) -> list[str]:
    """What does not follow, in the verifier's words."""
    return earnings(proof_of(world))
