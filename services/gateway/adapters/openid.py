"""The client of an OpenID Connect issuer: the authorization code flow with PKCE (RFC 6749, RFC 7636, OpenID Connect Core)."""

import asyncio
import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from chassis.decider import Problem
from chassis.identity import Unauthenticated

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
KEY_TYPES = ("RSA", "EC", "OKP")
SKEW_SECONDS = 60
CALL_SECONDS = 10.0
KEPT_SECONDS = 3_600.0
"""How long the issuer's description and keys are believed."""
ASKED_AGAIN_SECONDS = 30.0
"""How soon keys are asked for again because a token names one that is not among them."""
VERIFIER_BYTES, STATE_BYTES = 48, 24


class IssuerAway(Problem):
    """The issuer that vouches for people cannot be reached, or answers what it must not; try again in a moment."""

    status = 503
    slug = "issuer-unreachable"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, retry_after_seconds=5)


class NotVouched(Unauthenticated):
    """The issuer did not vouch for anybody: sign in again."""

    slug = "not-vouched"


@dataclass(frozen=True)
class Issuer:
    """The issuer of an installation, and how it knows us. `back` is where it sends people back to."""

    url: str
    client: str
    secret: str
    back: str


@dataclass(frozen=True)
class Attempt:
    """What of one sign-in only this browser and we know."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> "Attempt":
        made = (secrets.token_urlsafe(size) for size in (STATE_BYTES, STATE_BYTES, VERIFIER_BYTES))
        return cls(*made)

    @property
    def challenge(self) -> str:
        """PKCE, method S256."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class Vouched:
    """Whom the issuer vouches for. `mail` only where the issuer says that it is confirmed."""

    issuer: str
    subject: str
    mail: str | None


@dataclass
class _Kept:
    """What the issuer has said of itself, and when."""

    description: Mapping[str, Any]
    keys: KeySet
    at: float


class OpenId:
    """Sends people to the issuer and finds out whom it vouched for."""

    def __init__(self, issuer: Issuer, now: Callable[[], float] = time) -> None:
        self.issuer = issuer
        self._now = now
        self._kept: _Kept | None = None
        self._asking = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def where(self, attempt: Attempt) -> str:
        """The address to which the browser goes to sign in. Raises IssuerAway."""
        query = {
            "response_type": "code",
            "client_id": self.issuer.client,
            "redirect_uri": self.issuer.back,
            "scope": "openid email",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        address: str = (await self._known()).description["authorization_endpoint"]
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"

    async def vouched(self, code: str, attempt: Attempt) -> Vouched:
        """Whom the code stands for. Raises NotVouched, IssuerAway."""
        claims = await self._claims(await self._id_token(code, attempt))
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), attempt.nonce.encode()):
            raise NotVouched("the answer belongs to another sign-in")
        mail = claims.get("email")
        confirmed = isinstance(mail, str) and claims.get("email_verified") is True
        return Vouched(issuer=self.issuer.url, subject=claims["sub"], mail=mail if confirmed else None)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _id_token(self, code: str, attempt: Attempt) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.issuer.back,
            "code_verifier": attempt.verifier,
        }
        address = (await self._known()).description["token_endpoint"]
        us = aiohttp.encode_basic_auth(quote_plus(self.issuer.client), quote_plus(self.issuer.secret))
        status, answer = await self._call("POST", address, data=form, headers={"Authorization": us})
        if status != 200:  # noqa: PLR2004
            raise NotVouched(f"the issuer did not take the code: {str(answer.get('error', status))[:80]}")
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise IssuerAway("the issuer gave no id_token")
        return token

    async def _claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that the issuer signed for us and that is good now."""
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._now()),
            leeway=SKEW_SECONDS,
            iss={"essential": True, "value": self.issuer.url},
            aud={"essential": True, "value": self.issuer.client},
            sub={"essential": True, "allow_blank": False},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            claims = (await self._signed(token)).claims
            registry.validate(claims)
        except (JoseError, ValueError) as no:
            raise NotVouched(f"the issuer's token does not hold: {type(no).__name__}") from no
        if claims.get("azp", self.issuer.client) != self.issuer.client:
            raise NotVouched("the issuer's token is for another client")
        return claims

    async def _signed(self, token: str) -> jwt.Token:
        """The token, its signature checked; keys are asked for again where it names one that is new."""
        kept = await self._known()
        try:
            return jwt.decode(token, kept.keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            if monotonic() - kept.at < ASKED_AGAIN_SECONDS:
                raise
        return jwt.decode(token, (await self._known(since=kept.at)).keys, algorithms=ALGORITHMS)

    async def _known(self, since: float | None = None) -> _Kept:
        """What the issuer says of itself, asked for when nothing newer than `since` is at hand."""
        async with self._asking:
            kept = self._kept
            stale = kept is None or monotonic() - kept.at > KEPT_SECONDS or kept.at == since
            if kept is None or stale:
                kept = self._kept = await self._ask()
            return kept

    async def _ask(self) -> _Kept:
        description = await self._read(f"{self.issuer.url.rstrip('/')}/.well-known/openid-configuration")
        if description.get("issuer") != self.issuer.url:
            raise IssuerAway("the issuer calls itself by another name")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if urlsplit(str(description.get(name))).scheme not in ("https", urlsplit(self.issuer.url).scheme):
                raise IssuerAway(f"the issuer names no {name}")
        return _Kept(description, _keys(await self._read(description["jwks_uri"])), monotonic())

    async def _read(self, url: str) -> dict[str, Any]:
        status, answer = await self._call("GET", url)
        if status != 200:  # noqa: PLR2004
            raise IssuerAway(f"the issuer answered {status}")
        return answer

    async def _call(self, method: str, url: str, **more: Any) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS))
        try:
            async with self._session.request(method, url, allow_redirects=False, **more) as answer:
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as no:
            raise IssuerAway(f"the issuer cannot be reached: {type(no).__name__}") from no
        if not isinstance(body, dict):
            raise IssuerAway("the issuer did not answer with an object")
        return answer.status, body


def _keys(published: Mapping[str, Any]) -> KeySet:
    """The issuer's keys of kinds that we know."""
    wanted = [key for key in published.get("keys", ()) if isinstance(key, dict) and key.get("kty") in KEY_TYPES]
    try:
        return KeySet.import_key_set({"keys": [key for key in wanted if key.get("use", "sig") == "sig"]})
    except (JoseError, ValueError, TypeError, KeyError) as no:
        raise IssuerAway("the issuer's keys cannot be read") from no
