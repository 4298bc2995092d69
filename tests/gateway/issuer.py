"""An OpenID Connect issuer of our own for tests: it lets in at once whoever it is told to, and lies when it is told to."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from time import time
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "entente", "a secret of theirs"


@dataclass
class Account:
    """Somebody at the issuer."""

    sub: str
    mail: str
    confirmed: Any = True


@dataclass
class Pretend:
    """The issuer's state: who signs in next, and what its next tokens say otherwise."""

    who: Account = field(default_factory=lambda: Account("1", "ada@acme.example"))
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}))
    signing: Any = None
    algorithm: str = "RS256"
    lies: dict[str, Any] = field(default_factory=dict)
    description: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    url: str = ""

    def token(self, nonce: str) -> str:
        now = int(time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": self.who.sub, "iat": now, "exp": now + 300, "nonce": nonce}
        claims |= {"email": self.who.mail, "email_verified": self.who.confirmed, **self.lies}
        key = self.signing or self.key
        header = {"alg": self.algorithm, "kid": getattr(key, "kid", None) or "first"}
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(header, given, key, algorithms=[self.algorithm])


def issuer(state: Pretend) -> FastAPI:
    """The issuer as an application."""
    app = FastAPI()

    @app.get("/.well-known/openid-configuration")
    async def description() -> Response:
        if state.away:
            return Response("<html>busy</html>", 502)
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        found = {"issuer": state.url, **{name: f"{state.url}/{end}" for name, end in ends.items()}}
        return JSONResponse({**found, **state.description})

    @app.get("/keys")
    async def keys() -> Response:
        return JSONResponse({"keys": [state.key.as_dict(private=False), {"kty": "new", "kid": "unheard-of"}]})

    @app.get("/authorize")
    async def authorize(request: Request) -> Response:
        asked = dict(request.query_params)
        code = f"code-{len(state.asked)}"
        state.asked[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 303)

    @app.post("/token")
    async def token(request: Request) -> Response:
        form = dict((await request.form()).items())
        asked = state.asked.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        proven = asked and asked["code_challenge"] == urlsafe_b64encode(digest).decode().rstrip("=")
        if not asked or not proven or "authorization" not in request.headers:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"id_token": state.token(asked["nonce"]), "token_type": "Bearer", "access_token": "x"})

    return app
