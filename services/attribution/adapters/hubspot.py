"""HubSpot's CRM v3 as a `CrmPort`: deals by `hs_lastmodifieddate`, `batch/upsert` by our id, pushes signed (v3).

Throttling (429 with Retry-After), their errors (5xx), silence and broken JSON become CrmTrouble; the caller waits and
asks again. Nothing is written twice: a row is found by our own unique property.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import aiohttp
import orjson

from services.attribution.application import (
    AuthFailed,
    CrmPage,
    CrmRow,
    CrmTrouble,
    CrmWish,
    CrmWritten,
    Malformed,
    RateLimited,
    Unavailable,
)

DEALS = "/crm/v3/objects/deals"
PIPELINES = "/crm/v3/pipelines/deals"
MODIFIED, OUR_ID = "hs_lastmodifieddate", "entente_opportunity_id"
CALL_SECONDS = 10.0
BATCH_MAX = 100
SEARCH_MAX = 200
FRESH_MS, STAMP_DIGITS_MAX = 300_000, 15
RETRY_AFTER_SECONDS, RETRY_AFTER_MAX_SECONDS = 1.0, 600.0
REFUSAL_LENGTH_MAX = 200

PROPERTIES = (
    "dealname",
    "dealstage",
    "amount",
    "deal_currency_code",
    "closedate",
    "closed_lost_reason",
    "entente_refunded_amount",
    MODIFIED,
    OUR_ID,
)
OURS = {
    "registration_id": "entente_registration_id",
    "registration_number": "entente_registration_number",
    "partner_id": "entente_partner_id",
    "status": "entente_status",
    "protected_until": "entente_protected_until",
    "partner_amount": "entente_partner_amount",
    "partner_currency": "entente_partner_currency",
    "partner_close_on": "entente_partner_close_on",
}
THEIRS = {
    "name": "dealname",
    "amount": "amount",
    "currency": "deal_currency_code",
    "close_on": "closedate",
    "stage": "dealstage",
}


@dataclass(frozen=True)
class Credential:
    """The access token of a private app, and the secret that signs its webhooks."""

    token: str
    client_secret: str


class HubSpot:
    """One HubSpot account."""

    def __init__(self, base_url: str, credential: Credential, *, call_seconds: float = CALL_SECONDS) -> None:
        self._base_url, self._credential = base_url, credential
        self._timeout = aiohttp.ClientTimeout(total=call_seconds)

    async def describe(self) -> tuple[str, ...]:
        found = await self._call("GET", PIPELINES)
        return tuple(stage["id"] for pipeline in found["results"] for stage in pipeline["stages"])

    async def changed_since(self, since: datetime, after: str | None, limit: int) -> CrmPage:
        """Rows modified from `since` on. HubSpot's search index lags some seconds: read again with an overlap."""
        wanted: dict[str, Any] = {
            "filterGroups": [{"filters": [{"propertyName": MODIFIED, "operator": "GTE", "value": str(_ms(since))}]}],
            "sorts": [{"propertyName": MODIFIED, "direction": "ASCENDING"}],
            "properties": PROPERTIES,
            "limit": min(limit, SEARCH_MAX),
        }
        found = await self._call("POST", f"{DEALS}/search", wanted | ({"after": after} if after else {}))
        following = found.get("paging", {}).get("next", {}).get("after")
        return CrmPage(rows=tuple(_row(row) for row in found["results"]), after=following)

    async def read(self, external_ids: Sequence[str]) -> list[CrmRow]:
        return await self._read(external_ids, {})

    async def find(self, opportunity_ids: Sequence[str]) -> list[CrmRow]:
        return await self._read(opportunity_ids, {"idProperty": OUR_ID})

    async def _read(self, ids: Sequence[str], by: dict[str, str]) -> list[CrmRow]:
        rows: list[CrmRow] = []
        for start in range(0, len(ids), BATCH_MAX):
            inputs = [{"id": identity} for identity in ids[start : start + BATCH_MAX]]
            wanted = {"inputs": inputs, "properties": PROPERTIES, **by}
            found = await self._call("POST", f"{DEALS}/batch/read", wanted)
            rows += [_row(row) for row in found["results"]]
        return rows

    async def upsert(self, wishes: Sequence[CrmWish]) -> list[CrmWritten]:
        """A row that is known by HubSpot's id, any other by ours: then it is made if it is not there."""
        known = [wish for wish in wishes if wish.external_id]
        fresh = [wish for wish in wishes if not wish.external_id]
        written = await self._batch("update", known, lambda wish: wish.external_id or "", {}) if known else []
        if fresh:
            written += await self._batch("upsert", fresh, lambda wish: wish.opportunity_id, {"idProperty": OUR_ID})
        return written

    async def _batch(self, verb: str, wishes: Sequence[CrmWish], identify: Any, by: dict[str, str]) -> list[CrmWritten]:
        inputs = [{"id": identify(wish), "properties": _properties(wish), **by} for wish in wishes[:BATCH_MAX]]
        answer = await self._call("POST", f"{DEALS}/batch/{verb}", {"inputs": inputs})
        rows = {_ours(row): row for row in answer["results"]}
        refusals = _refusals(answer)
        return [_written(w, rows.get(w.opportunity_id), refusals.get(identify(w))) for w in wishes[:BATCH_MAX]]

    def genuine(self, method: str, uri: str, body: bytes, headers: Mapping[str, str], now_ms: int) -> bool:
        """HMAC-SHA-256 with the client secret over method, uri, body and timestamp; not older than five minutes."""
        stamp = headers.get("x-hubspot-request-timestamp", "")
        given = headers.get("x-hubspot-signature-v3", "")
        if not stamp.isdecimal() or len(stamp) > STAMP_DIGITS_MAX or abs(now_ms - int(stamp)) > FRESH_MS:
            return False
        expected = signature(self._credential.client_secret, method, uri, body, stamp)
        return hmac.compare_digest(expected.encode(), given.encode())

    def pushed_ids(self, body: bytes) -> tuple[str, ...]:
        """The deals of a push: a list of events, each with `objectId`. Raises Malformed."""
        try:
            events = orjson.loads(body)
            return tuple(dict.fromkeys(str(event["objectId"]) for event in events))[:BATCH_MAX]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise Malformed("the push is not a list of events") from error

    async def listen(self, url: str) -> None:
        """Nothing: a HubSpot app's webhooks are set up with the app."""

    async def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._credential.token}", "Content-Type": "application/json"}
        data = orjson.dumps(body) if body is not None else None
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.request(method, self._base_url + path, data=data, headers=headers) as response,
            ):
                return _answer(response.status, response.headers, await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"HubSpot did not answer: {type(error).__name__}") from error


def signature(secret: str, method: str, uri: str, body: bytes, timestamp: str) -> str:
    """HubSpot's signature in version 3, in Base64."""
    text = f"{method}{unquote(uri)}".encode() + body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha256).digest()).decode()


def _answer(status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    trouble = _trouble(status, headers)
    if trouble:
        raise trouble
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed("HubSpot answered no JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("results"), list):
        raise Malformed("HubSpot answered without results")
    return found


def _trouble(status: int, headers: Mapping[str, str]) -> CrmTrouble | None:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited("HubSpot asks for patience", _retry_after(headers))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AuthFailed("HubSpot does not accept the credential", retry_after_seconds=60.0)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(f"HubSpot answered {status}", _retry_after(headers))
    if status >= HTTPStatus.BAD_REQUEST:
        return Malformed(f"HubSpot answered {status}", retry_after_seconds=60.0)
    return None


def _retry_after(headers: Mapping[str, str]) -> float:
    given = headers.get("Retry-After", "")
    return min(float(given), RETRY_AFTER_MAX_SECONDS) if given.isdecimal() else RETRY_AFTER_SECONDS


def _row(row: Mapping[str, Any]) -> CrmRow:
    try:
        fields = row["properties"]
        modified_at = _time(fields.get(MODIFIED) or row.get("updatedAt"))
        if modified_at is None:
            raise Malformed("a deal without its time of change")
        return CrmRow(
            external_id=str(row["id"]),
            modified_at=modified_at,
            stage=fields.get("dealstage") or "",
            opportunity_id=fields.get(OUR_ID) or None,
            amount=fields.get("amount") or None,
            currency=fields.get("deal_currency_code") or None,
            refunded=fields.get("entente_refunded_amount") or None,
            close_at=_time(fields.get("closedate")),
            lost_reason=fields.get("closed_lost_reason") or None,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise Malformed("HubSpot answered a deal that cannot be read") from error


def _time(text: str | None) -> datetime | None:
    """HubSpot writes times as ISO 8601, as milliseconds since 1970, or as a date."""
    if not text:
        return None
    if text.lstrip("-").isdecimal():
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _properties(wish: CrmWish) -> dict[str, str]:
    ours = {OURS[name]: value for name, value in wish.fields.items() if name in OURS}
    return {OUR_ID: wish.opportunity_id, **ours, **({} if wish.external_id else _creation(wish))}


def _creation(wish: CrmWish) -> dict[str, str]:
    """Their own fields, for a row that is made. A day is written as its noon, which is that day in nearly every zone."""
    theirs = {THEIRS[name]: value for name, value in wish.creation.items()}
    return theirs | ({"closedate": f"{theirs['closedate']}T12:00:00Z"} if "closedate" in theirs else {})


def _ours(row: Mapping[str, Any]) -> str:
    return str(row.get("properties", {}).get(OUR_ID, ""))


def _refusals(answer: Mapping[str, Any]) -> dict[str, str]:
    """What a 207 says of single inputs: the ids named in an error's context, and its message."""
    return {
        identity: str(error.get("message", "refused"))[:REFUSAL_LENGTH_MAX]
        for error in answer.get("errors", ())
        for identity in (error.get("context", {}).get("ids") or [error.get("id", "")])
    }


def _written(wish: CrmWish, row: Mapping[str, Any] | None, refusal: str | None) -> CrmWritten:
    if row is not None:
        return CrmWritten(opportunity_id=wish.opportunity_id, row=_row(row), created=bool(row.get("new")))
    return CrmWritten(opportunity_id=wish.opportunity_id, refusal=refusal)
