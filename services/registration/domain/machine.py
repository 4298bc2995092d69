"""A state machine as data: the decisions ask it what may be done, and everybody can read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

State = TypeVar("State", bound=StrEnum)


@dataclass(frozen=True)
class Move(Generic[State]):
    """One command: the verb by which it is asked for ("": the service's own), where it begins, where it may lead.

    It may also leave the thing where it stands. Refusals name the verb, unless it is `new`: those that were recorded
    before it was in the table are the same when they are decided again.
    """

    verb: str
    begins: tuple[State, ...]
    leads: tuple[State, ...]
    new: bool = False


def allowed_in(moves: Mapping[type[Any], Move[State]], state: State) -> list[str]:
    """The verbs that a refusal in a state names, in the order of the table."""
    return [move.verb for move in moves.values() if move.verb and not move.new and state in move.begins]
