"""given(events).when(command).then(events): a decision as a sentence, and `then` is exact."""

from collections.abc import Sequence
from typing import Any

from chassis.decider import Problem, Stream
from chassis.event import decode, encode
from chassis.execution import Handles, Verdict, decide


class When:
    """What a command led to."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def then(self, *expected: Sequence[Any]) -> None:
        """All events, whole payload: one list a stream, in the order of the command's streams."""
        assert self.verdict.refusal is None, f"refused: {self.verdict.refusal!r}"
        assert [list(events) for events in expected] == [list(events) for events in self.verdict.events]

    def then_nothing(self) -> None:
        """It is so already."""
        assert self.verdict.refusal is None, f"refused: {self.verdict.refusal!r}"
        assert not any(self.verdict.events)

    def refused(self, refusal: type[Problem]) -> Problem:
        """Exactly this refusal; answers it, so that its fields can be looked at."""
        assert self.verdict.refusal is not None, f"not refused: {self.verdict.events!r}"
        assert refusal is type(self.verdict.refusal)
        return self.verdict.refusal


class Given:
    """What had happened before, by stream: the decider's kind or the stream itself."""

    def __init__(self, handles: Handles, history: Sequence[tuple[Stream, Sequence[Any]]]) -> None:
        self.handles = handles
        self.history = {(stream.decider.kind, stream.identity): list(events) for stream, events in history}

    def when(self, command: Any) -> When:
        """Decides the command as the executor would; events and command survive their JSON form."""
        wish = decode(command.type, encode(command))
        assert command == wish, "the command does not survive its stored form"
        touched = self.handles.touched(wish)
        states, reads = ([self._state(one) for one in streams] for streams in (touched.guarded, touched.read))
        verdict = decide(self.handles, wish, touched, states, reads)
        for happened in (happened for events in verdict.events for happened in events):
            assert happened == decode(happened.type, encode(happened)), "an event does not survive its stored form"
        return When(verdict)

    def _state(self, stream: Stream) -> Any:
        return stream.decider.fold(self.history.get((stream.decider.kind, stream.identity), ()))


def given(handles: Handles, *history: tuple[Stream, Sequence[Any]]) -> Given:
    """`given(REGISTER, (Deals.at("d1"), [DealRegistered(...)])).when(command).then([...], [...])`."""
    return Given(handles, history)
