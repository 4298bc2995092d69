"""Rules as versioned data: who wrote them, who published them, when they hold, and what they answer.

One aggregate serves every kind of rule (deal rules, credit policies, plans). A kind adds a body, a facts type and one
pure `evaluate(facts, body) -> Decision`. Draft → Published → Ended; a published version never changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypedDict, TypeVar, assert_never

import msgspec

from chassis.decider import Decider, Invalid, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, as_stored, canonical_json, command, event, frozen, iso, sha256

BODIES_KNOWN = 64
LIVE = "live"
SHADOW = "shadow"
"""A version in the shadow is tried beside those that hold: it binds nobody."""

Facts = TypeVar("Facts")
Body = TypeVar("Body")


@frozen
class Reason:
    """Why: a stable code, a sentence for people, the rule that said so and its version."""

    code: str
    text: str
    rule: str = ""
    version: int = 0


class CodedReason(TypedDict):
    """A reason as it is told beside what happened: a stable code, and a sentence for people."""

    code: str
    text: str


@frozen
class Input:
    """A fact that was looked at, and the event that it came from."""

    name: str
    value: Any
    event_id: str | None = None
    position: int | None = None


@frozen
class Change:
    """What would have led elsewhere: without `code`, the outcome would have been `outcome`."""

    code: str
    text: str
    outcome: str


@frozen
class Decision:
    """An outcome with everything that led to it. `detail` holds what a kind adds (a rating's steps, a split's weights)."""

    outcome: str
    reasons: tuple[Reason, ...] = ()
    inputs: tuple[Input, ...] = ()
    would_change: tuple[Change, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)


def decision_from(stored: Mapping[str, Any]) -> Decision:
    """The decision whose plain form an event keeps."""
    return msgspec.convert(stored, Decision)


class RulesOverlap(Refused):
    """Other rules decide the same at the same time, see `rulebook_id`: end them first, or change what these decide."""

    slug = "rules-overlap"


@frozen
class Kind(Generic[Facts, Body]):
    """One kind of rules: how its body and facts look, and how it answers. `check` names what a schema cannot.

    `check_new` names what only rules that are now written must not have: those of older releases hold, and are decided
    again, as they are. `check_before` is the `check` of the first evaluator, where drafts that it refused are taken now.

    `vendor_only` are the fields of the body that no partner reads, because they name others.
    `collides` says whether two bodies, of two rulebooks of one scope, cannot hold at the same time; None: all can.
    `overlap` is the refusal of the second one. `complete` writes into a draft what a library knows of it, such as the
    dates of the holidays that it names: what is published holds all that decisions need.
    """

    name: str
    body: type[Body]
    facts: type[Facts]
    evaluate: Callable[[Facts, Body], Decision]
    check: Callable[[Body], list[str]] = lambda body: []
    check_new: Callable[[Body], list[str]] = lambda body: []
    check_before: Callable[[Body], list[str]] | None = None
    vendor_only: frozenset[str] = frozenset()
    collides: Callable[[Body, Body], bool] | None = None
    overlap: type[RulesOverlap] = RulesOverlap
    complete: Callable[[dict[str, Any], datetime], dict[str, Any]] = lambda body, now: body
    _known: dict[int, tuple[Mapping[str, Any], Body]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def read(self, body: Mapping[str, Any]) -> Body:
        """The typed body, made once of the very same body. Raises Invalid naming the path that does not fit."""
        known = self._known.get(id(body))
        if known is not None and known[0] is body:
            return known[1]
        typed: Body = _converted(body, self.body)
        if len(self._known) >= BODIES_KNOWN:
            self._known.clear()
        self._known[id(body)] = body, typed
        return typed

    def read_anew(self, body: Mapping[str, Any]) -> Body:
        """The typed body of rules that are only now written: a field that the kind does not have is a mistake.

        In rules that are stored it may be one of a newer release, which `read` passes over. Raises RulesInvalid.
        """
        typed = self.read(body)
        unknown = list(_unknown("body", body, as_stored(typed)))
        if unknown:
            errors = [{"path": path, "code": "unknown-field", "message": f"there is no {path}"} for path in unknown]
            raise RulesInvalid(f"there is no {unknown[0]}: see the kind's schema", errors=errors)
        return typed

    def completed(self, body: dict[str, Any], now: datetime) -> dict[str, Any]:
        """The body as it is kept. It may read a library's files.

        Raises RulesInvalid for one that it cannot read in full, and for one that new rules must not have.
        """
        completed = self.complete(body, now)
        sound(self.check_new(self.read_anew(completed)))
        return completed

    def answer(self, facts: Mapping[str, Any], body: Mapping[str, Any]) -> Decision:
        """The decision on plain facts under a plain body."""
        return self.evaluate(_converted(facts, self.facts), self.read(body))

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the body."""
        return msgspec.json.schema(self.body)


def sound(faults: Sequence[str]) -> None:
    """Raises RulesInvalid where a check found faults."""
    if faults:
        raise RulesInvalid(faults[0], errors=[{"path": "body", "code": "rule", "message": text} for text in faults])


def _converted(value: Mapping[str, Any], target: type[Any]) -> Any:
    try:
        return msgspec.convert(value, target)
    except (msgspec.ValidationError, ValueError) as error:
        raise RulesInvalid(str(error)) from error


def _unknown(path: str, given: Any, known: Any) -> Iterator[str]:
    """Where what was given has fields that were not taken over into what is known of it."""
    match given, known:
        case dict(), dict():
            for name, value in given.items():
                if name in known:
                    yield from _unknown(f"{path}.{name}", value, known[name])
                else:
                    yield f"{path}.{name}"
        case list(), list():
            for number, (one, other) in enumerate(zip(given, known, strict=False)):
                yield from _unknown(f"{path}.{number}", one, other)
        case _:
            return


# Events


@event("chassis.RulesDrafted.v1")
class RulesDrafted:
    rulebook_id: str
    kind: str
    scope: str
    version: int
    body: dict[str, Any]
    examples: tuple[dict[str, Any], ...]
    author: str
    drafted_at: datetime


@event("chassis.RulesPublished.v1")
class RulesPublished:
    rulebook_id: str
    kind: str
    scope: str
    version: int
    body: dict[str, Any]
    sha256: str
    author: str
    publisher: str
    effective_from: datetime
    effective_until: datetime | None
    mode: str
    published_at: datetime


@event("chassis.RulesEnded.v1")
class RulesEnded:
    rulebook_id: str
    kind: str
    version: int
    ended_from: datetime
    ended_by: str
    mode: str | LeftOut = LEFT_OUT


RulebookEvent = RulesDrafted | RulesPublished | RulesEnded


# Commands


@command("chassis.DraftRules.v1")
class DraftRules:
    """`examples` are {name, facts, expect}: each must come to the outcome `expect` before the draft is published."""

    rulebook_id: str
    kind: str
    scope: str
    body: dict[str, Any]
    examples: tuple[dict[str, Any], ...] = ()
    author: str
    now: datetime


@command("chassis.PublishRules.v1")
class PublishRules:
    """`beside` are the other rulebooks of a kind whose rules can collide."""

    rulebook_id: str
    version: int
    effective_from: datetime
    effective_until: datetime | None = None
    mode: str = LIVE
    publisher: str
    now: datetime
    beside: tuple[str, ...] = ()


@command("chassis.EndRules.v1")
class EndRules:
    rulebook_id: str
    version: int
    ended_from: datetime
    ended_by: str
    now: datetime


# State


@frozen
class Version:
    """One published version and the time it holds: `[effective_from, effective_until)`."""

    rulebook_id: str
    kind: str
    scope: str
    version: int
    body: dict[str, Any]
    sha256: str
    effective_from: datetime
    effective_until: datetime | None
    mode: str

    def holds(self, at: datetime) -> bool:
        return self.effective_from <= at and (self.effective_until is None or at < self.effective_until)


@dataclass(frozen=True)
class Rulebook:
    """What is drafted and what is published. Version numbers run on over both."""

    draft: RulesDrafted | None = None
    versions: tuple[Version, ...] = ()

    def in_force(self, at: datetime, mode: str = LIVE) -> Version | None:
        """The version that judges what happens at `at`: the highest published one whose dates cover it."""
        holding = [v for v in self.versions if v.mode == mode and v.holds(at)]
        return holding[-1] if holding else None

    def version(self, number: int) -> Version | None:
        """The published version of that number."""
        return next((v for v in self.versions if v.version == number), None)

    @property
    def next_version(self) -> int:
        return 1 + max((v.version for v in self.versions), default=0)


# Refusals


class RulesInvalid(Invalid):
    """The rules do not fit their kind's schema."""

    slug = "rules-invalid"


class UnknownKind(Invalid):
    """This service has no such kind of rules."""

    slug = "unknown-kind"


class ExampleFailed(Invalid):
    """An example of these rules comes to another outcome than it should."""

    slug = "example-failed"


class Backdated(Refused):
    """Rules cannot start or end in the past."""

    slug = "backdated"


class FourEyes(Refused):
    """Who prepared this cannot confirm it: ask a second person."""

    slug = "four-eyes"


class NoDraft(Refused):
    """There is no draft of that version: draft it first."""

    slug = "no-draft"


Kinds = Mapping[str, Kind[Any, Any]]


def body_sha256(body: Mapping[str, Any]) -> str:
    """The name of a body by its content: SHA-256 over its canonical JSON."""
    return sha256(canonical_json(body))


# Decisions


def draft_rules(kinds: Kinds, wish: DraftRules, book: Rulebook) -> list[RulebookEvent]:
    """Keeps one draft, replacing the one before. Its body must fit the kind's schema."""
    kind = _kind(kinds, wish.kind)
    sound(kind.check(kind.read(wish.body)))
    return _draft(wish, book)


def draft_as_before(kinds: Kinds, wish: DraftRules, book: Rulebook) -> list[RulebookEvent]:
    """Evaluator 1: drafts were refused by the check that the kind had then."""
    kind = _kind(kinds, wish.kind)
    sound((kind.check_before or kind.check)(kind.read(wish.body)))
    return _draft(wish, book)


def _draft(wish: DraftRules, book: Rulebook) -> list[RulebookEvent]:
    if book.draft and book.draft.kind != wish.kind:
        raise WrongState(f"rulebook {wish.rulebook_id} holds {book.draft.kind} rules", state=book.draft.kind)
    drafted = RulesDrafted(
        rulebook_id=wish.rulebook_id,
        kind=wish.kind,
        scope=wish.scope,
        version=book.next_version,
        body=wish.body,
        examples=wish.examples,
        author=wish.author,
        drafted_at=wish.now,
    )
    return [] if book.draft and replace(book.draft, drafted_at=wish.now) == drafted else [drafted]


def publish_rules(
    kinds: Kinds, wish: PublishRules, book: Rulebook, beside: Sequence[Rulebook] = ()
) -> list[RulebookEvent]:
    """Makes the draft a version that never changes. Four eyes, dates not past, every example passes, none collides."""
    draft = book.draft
    if book.version(wish.version):
        return []
    if draft is None or draft.version != wish.version:
        raise NoDraft(f"version {wish.version} is not drafted", draft=draft.version if draft else None)
    if draft.author == wish.publisher:
        raise FourEyes("whoever drafted these rules cannot publish them", author=draft.author)
    _not_past(wish.effective_from, wish.now)
    if wish.effective_until is not None and wish.effective_until <= wish.effective_from:
        raise RulesInvalid("effective_until must lie after effective_from")
    if wish.mode not in (LIVE, SHADOW):
        raise RulesInvalid("mode is live or shadow")
    kind = _kind(kinds, draft.kind)
    _examples_pass(kind, draft)
    if kind.collides and wish.mode == LIVE:
        _no_collision(kind, wish, draft, beside)
    return [
        RulesPublished(
            rulebook_id=draft.rulebook_id,
            kind=draft.kind,
            scope=draft.scope,
            version=draft.version,
            body=draft.body,
            sha256=body_sha256(draft.body),
            author=draft.author,
            publisher=wish.publisher,
            effective_from=wish.effective_from,
            effective_until=wish.effective_until,
            mode=wish.mode,
            published_at=wish.now,
        )
    ]


def _no_collision(kind: Kind[Any, Any], wish: PublishRules, draft: RulesDrafted, beside: Sequence[Rulebook]) -> None:
    """Raises RulesOverlap when other rules that hold at some time of these cannot hold beside them."""
    mine = kind.read(draft.body)
    for other in beside:
        starts = [wish.effective_from, *(v.effective_from for v in other.versions)]
        until = wish.effective_until
        within = [at for at in starts if at >= wish.effective_from and (until is None or at < until)]
        for held in [held for at in within if (held := other.in_force(at)) and held.scope == draft.scope]:
            if kind.collides and kind.collides(mine, kind.read(held.body)):
                raise kind.overlap(rulebook_id=held.rulebook_id, version=held.version)


def end_rules(kinds: Kinds, wish: EndRules, book: Rulebook) -> list[RulesEnded]:
    """Ends one version from an instant that is not past."""
    version = book.version(wish.version)
    if version is None:
        raise NoDraft(f"version {wish.version} is not published", draft=None)
    if version.effective_until is not None and version.effective_until <= wish.ended_from:
        return []
    _not_past(wish.ended_from, wish.now)
    return [
        RulesEnded(
            rulebook_id=wish.rulebook_id,
            kind=version.kind,
            version=wish.version,
            ended_from=wish.ended_from,
            ended_by=wish.ended_by,
            mode=version.mode,
        )
    ]


def end_without_mode(kinds: Kinds, wish: EndRules, book: Rulebook) -> list[RulesEnded]:
    """What `end_rules` decided before the end of a version said whether it bound anybody."""
    return [replace(ended, mode=LEFT_OUT) for ended in end_rules(kinds, wish, book)]


def _kind(kinds: Kinds, name: str) -> Kind[Any, Any]:
    if name not in kinds:
        raise UnknownKind(f"{name!r} is not a kind of rules here", kinds=sorted(kinds))
    return kinds[name]


def _not_past(at: datetime, now: datetime) -> None:
    if at < now:
        raise Backdated(f"{iso(at)} is past", now=iso(now))


def _examples_pass(kind: Kind[Any, Any], draft: RulesDrafted) -> None:
    for example in draft.examples:
        got = kind.answer(example["facts"], draft.body).outcome
        if got != example["expect"]:
            raise ExampleFailed(f"{example['name']}: expected {example['expect']}, got {got}", example=example["name"])


# Evolve


def evolve(book: Rulebook, happened: RulebookEvent) -> Rulebook:
    match happened:
        case RulesDrafted():
            return replace(book, draft=happened)
        case RulesPublished():
            return Rulebook(draft=book.draft, versions=(*book.versions, _version(happened)))
        case RulesEnded():
            return replace(book, versions=tuple(_ended(v, happened) for v in book.versions))
        case _:
            assert_never(happened)


def _version(published: RulesPublished) -> Version:
    return Version(
        rulebook_id=published.rulebook_id,
        kind=published.kind,
        scope=published.scope,
        version=published.version,
        body=published.body,
        sha256=published.sha256,
        effective_from=published.effective_from,
        effective_until=published.effective_until,
        mode=published.mode,
    )


def _ended(version: Version, ended: RulesEnded) -> Version:
    return replace(version, effective_until=ended.ended_from) if version.version == ended.version else version


Rules = Decider[Rulebook, RulebookEvent](kind="rulebook", initial=Rulebook(), evolve=evolve)
