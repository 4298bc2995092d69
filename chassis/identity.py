"""Who is acting, and the signed token in which one service tells another.

A token is a JWS (Ed25519, RFC 9864's name for EdDSA on that curve) for one audience and 60 seconds. Only that algorithm
is ever accepted, whatever a token's header says. Tokens live in machine time: moving a development clock ends none.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from time import monotonic, time
from typing import Any, Generic, TypeVar

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from chassis import secret_file
from chassis.decider import Problem
from chassis.event import Actor, frozen

ALGORITHM = "Ed25519"
ISSUER = "entente"
TOKEN_SECONDS = 60
REUSE_SECONDS = 30
"""A signed token is handed out again this long, so that its receiver has at least the other half of its life."""
SKEW_SECONDS = 5
TOKEN_BYTES_LIMIT = 8_192
TOKENS_LIMIT = 4_096
SIGNING_KEYS_KEPT = 2
RELOAD_SECONDS = 1.0

K = TypeVar("K")
V = TypeVar("V")


class Unauthenticated(Problem):
    """Sign in, then ask again."""

    status = 401
    slug = "unauthenticated"
    headers = {"WWW-Authenticate": "Bearer"}


@frozen
class Principal:
    """Who is acting. `kind` is vendor, partner, service, operator or anonymous; `view_as` names who is looking on.

    `person` is who answers for a program that acts by a key. `absorbed` are the partners that `partner_id` goes on for
    now: what was recorded for them is its own, what is new is recorded for itself. `home_id` is the partner of the own
    membership, where that may be one of these: None is `partner_id`.
    """

    tenant: str
    subject: str
    kind: str
    partner_id: str | None = None
    roles: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    session: str | None = None
    step_up_at: str | None = None
    view_as: str | None = None
    person: str | None = None
    absorbed: tuple[str, ...] = ()
    home_id: str | None = None

    @property
    def home(self) -> str | None:
        """The partner whose membership it holds, whoever goes on for that one."""
        return self.home_id or self.partner_id

    @property
    def partner_ids(self) -> tuple[str, ...]:
        """Every partner that it acts for, its own first; none for who acts for none."""
        return (self.partner_id, *self.absorbed) if self.partner_id else ()

    def acts_for(self, partner_id: str | None) -> bool:
        """Whether what is recorded for this partner is its own."""
        return partner_id is not None and partner_id in self.partner_ids

    def is_of_another(self, partner_id: str | None) -> bool:
        """Whether its own partner is another than this one, though they may be one now; never for who is of none."""
        return self.home not in (None, partner_id)

    def named_in(self, partner_ids: Collection[str | None]) -> str | None:
        """The first of its partners among these, None where it is none of them."""
        return next((one for one in self.partner_ids if one in partner_ids), None)

    @property
    def by(self) -> str:
        """Who answers for what is done: "a second person" is never a program of the first one."""
        return self.person or self.subject

    @property
    def actor(self) -> Actor:
        """The principal as it is recorded with an event."""
        return Actor(kind=self.kind, subject=self.subject, partner_id=self.partner_id, view_as=self.view_as)


class Recent(Generic[K, V]):
    """The most recently used values, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def peek(self, key: K) -> V | None:
        """As `get`, which does not count as a use."""
        return self._values.get(key)

    def drop(self, key: K) -> None:
        self._values.pop(key, None)

    def put(self, key: K, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)


class SigningKeys:
    """The signing keys in a file of mode 0600: the newest signs, the one before it still verifies.

    Made at first use in development. A process that meets an unknown key id reads the file again, at most each second.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = monotonic()
        self._keys = _keys_in(secret_file.make_once(path, _body_of([_new_key()])))

    @property
    def newest(self) -> OKPKey:
        return self._keys[-1]

    def public(self) -> dict[str, Any]:
        """The public halves as a JSON Web Key Set."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def find(self, kid: str | None) -> OKPKey | None:
        """The key of that id, or None."""
        found = self._known(kid)
        if found is None and monotonic() - self._read_at >= RELOAD_SECONDS:
            self._keys, self._read_at = _keys_in(self._path.read_bytes()), monotonic()
            found = self._known(kid)
        return found

    def rotate(self) -> None:
        """Signs with a new key from now on."""
        self._keys = [*self._keys, _new_key()][-SIGNING_KEYS_KEPT:]
        secret_file.replace(self._path, _body_of(self._keys))

    def _known(self, kid: str | None) -> OKPKey | None:
        return next((key for key in self._keys if key.kid == kid), None)


def _keys_in(body: bytes) -> list[OKPKey]:
    return [OKPKey.import_key(key) for key in json.loads(body)["keys"]]


def _body_of(keys: list[OKPKey]) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=True) for key in keys]}).encode()


def _new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", auto_kid=True)


class Signer:
    """Signs principals for one service at a time. `now` gives the seconds since 1970."""

    def __init__(self, keys: SigningKeys, *, now: Callable[[], float] = time) -> None:
        self._keys = keys
        self._now = now
        self._signed: Recent[tuple[Principal, str, str | None], tuple[str, float]] = Recent(TOKENS_LIMIT)

    def sign(self, principal: Principal, audience: str) -> str:
        """A token for that service, good for 30 to 60 seconds."""
        key = self._keys.newest
        slot = (principal, audience, key.kid)
        held = self._signed.get(slot)
        if held is None or not 0 <= self._now() - held[1] < REUSE_SECONDS:
            held = (self._make(principal, audience, key), self._now())
            self._signed.put(slot, held)
        return held[0]

    def _make(self, principal: Principal, audience: str, key: OKPKey) -> str:
        now = int(self._now())
        claims = {"iss": ISSUER, "aud": audience, "sub": principal.subject, "iat": now, "exp": now + TOKEN_SECONDS}
        claims["principal"] = msgspec.to_builtins(principal)
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])


class Verifier:
    """Turns a token into its principal, or refuses it. Verified tokens are remembered until they expire."""

    def __init__(
        self,
        keys: SigningKeys,
        *,
        skew_seconds: int = SKEW_SECONDS,
        tokens_limit: int = TOKENS_LIMIT,
        now: Callable[[], float] = time,
    ) -> None:
        self._keys = keys
        self._skew = skew_seconds
        self._now = now
        self._verified: Recent[tuple[str, str], tuple[Principal, int]] = Recent(tokens_limit)

    def verify(self, token: str, audience: str) -> Principal:
        """The principal that the gateway signed for this service. Raises Unauthenticated for anything else."""
        held = self._verified.get((token, audience))
        if held is None:
            held = self._read(token, audience)
            self._verified.put((token, audience), held)
        if held[1] + self._skew <= self._now():
            raise Unauthenticated("The token has expired.")
        return held[0]

    def _read(self, token: str, audience: str) -> tuple[Principal, int]:
        if len(token) > TOKEN_BYTES_LIMIT:
            raise Unauthenticated("The token is too long.")
        try:
            claims = jwt.decode(token, self._choose, algorithms=[ALGORITHM]).claims
            self._check(claims, audience)
            return msgspec.convert(claims["principal"], Principal, strict=True), claims["exp"]
        except (JoseError, ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
            raise Unauthenticated("The token is not one that this service accepts.") from error

    def _choose(self, header: Any) -> KeySet:
        key = self._keys.find(header.headers().get("kid"))
        if key is None:
            raise Unauthenticated("The token is signed by a key that is not known.")
        return KeySet([key])

    def _check(self, claims: dict[str, Any], audience: str) -> None:
        if claims["iss"] != ISSUER or claims["aud"] != audience:
            raise Unauthenticated("The token is meant for another service.")
        if not isinstance(claims["exp"], int) or claims["iat"] > self._now() + self._skew:
            raise Unauthenticated("The token is not yet valid.")
        if claims["exp"] - claims["iat"] > TOKEN_SECONDS:
            raise Unauthenticated("The token is valid for longer than this service accepts.")
