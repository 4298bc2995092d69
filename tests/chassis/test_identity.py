"""Who is acting: what a service believes, and everything that it does not."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey, RSAKey

from chassis.event import Actor
from chassis.identity import Principal, Recent, Signer, SigningKeys, Unauthenticated, Verifier

ANNA = Principal(
    tenant="acme",
    subject="anna",
    kind="partner",
    partner_id="p-1",
    roles=("owner", "seller"),
    duties=("signatory",),
    scopes=("deals:write",),
    session="s-1",
    step_up_at="2026-03-03T10:00:00Z",
    view_as="olga",
)


class Seconds:
    """Seconds since 1970 that a test sets."""

    def __init__(self) -> None:
        self.now = 1_770_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds():
    return Seconds()


@pytest.fixture
def keys(tmp_path: Path):
    return SigningKeys(tmp_path / "signing.json")


@pytest.fixture
def signer(keys: SigningKeys, seconds: Seconds):
    return Signer(keys, now=seconds)


@pytest.fixture
def verifier(keys: SigningKeys, seconds: Seconds):
    return Verifier(keys, skew_seconds=5, now=seconds)


def claims(seconds: Seconds, **changed: Any):
    now = int(seconds.now)
    principal = {"tenant": "acme", "subject": "anna", "kind": "vendor"}
    return {"iss": "entente", "aud": "registration", "iat": now, "exp": now + 60, "principal": principal} | changed


def forged(keys: SigningKeys, seconds: Seconds, header: dict[str, Any] | None = None, key: Any = None, **changed: Any):
    header = {"alg": "Ed25519", "kid": keys.newest.kid} | (header or {})
    return jwt.encode(header, claims(seconds, **changed), key or keys.newest, algorithms=[header["alg"]])


def unsigned(header: dict[str, Any], body: dict[str, Any]):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, body)]
    return f"{parts[0]}.{parts[1]}."


def test_a_principal_arrives_as_it_was_signed(signer: Signer, verifier: Verifier) -> None:
    assert verifier.verify(signer.sign(ANNA, "registration"), "registration") == ANNA


def test_a_principal_is_recorded_as_an_actor() -> None:
    assert Actor(kind="partner", subject="anna", partner_id="p-1", view_as="olga") == ANNA.actor


def test_a_token_for_another_service_is_refused(signer: Signer, verifier: Verifier) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(signer.sign(ANNA, "incentives"), "registration")
    assert (refused.value.status, refused.value.slug) == (401, "unauthenticated")


def test_a_token_that_was_verified_for_one_service_is_refused_by_another(signer: Signer, verifier: Verifier) -> None:
    token = signer.sign(ANNA, "registration")
    verifier.verify(token, "registration")
    with pytest.raises(Unauthenticated):
        verifier.verify(token, "incentives")


def test_a_token_expires_after_a_minute_and_the_skew_also_when_it_is_remembered(
    signer: Signer, verifier: Verifier, seconds: Seconds
) -> None:
    token = signer.sign(ANNA, "registration")
    seconds.now += 64
    assert verifier.verify(token, "registration") == ANNA
    seconds.now += 1
    with pytest.raises(Unauthenticated):
        verifier.verify(token, "registration")


def test_one_changed_letter_is_refused_anywhere(signer: Signer, verifier: Verifier) -> None:
    token = signer.sign(ANNA, "registration")
    # The last letter of each part holds spare bits, which a decoder may overlook.
    places = [place for place in range(0, len(token) - 1, 7) if token[place] != "." and token[place + 1] != "."]
    for place in places:
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Unauthenticated):
            verifier.verify(token[:place] + other + token[place + 1 :], "registration")


def test_a_token_without_a_signature_is_refused(keys: SigningKeys, verifier: Verifier, seconds: Seconds) -> None:
    for algorithm in ("none", "None", "Ed25519", "EdDSA"):
        with pytest.raises(Unauthenticated):
            verifier.verify(unsigned({"alg": algorithm, "kid": keys.newest.kid}, claims(seconds)), "registration")


def test_the_public_key_does_not_serve_as_a_shared_secret(
    keys: SigningKeys, verifier: Verifier, seconds: Seconds
) -> None:
    secret = OctKey.import_key(json.dumps(keys.public()["keys"][0]).encode())
    with pytest.raises(Unauthenticated):
        verifier.verify(forged(keys, seconds, {"alg": "HS256"}, secret), "registration")


def test_another_algorithm_is_refused(keys: SigningKeys, verifier: Verifier, seconds: Seconds) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(forged(keys, seconds, {"alg": "RS256"}, RSAKey.generate_key(2048)), "registration")


def test_a_strangers_key_is_refused_also_under_our_keys_name(
    keys: SigningKeys, verifier: Verifier, seconds: Seconds
) -> None:
    stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
    for header in ({"kid": stranger.kid}, {"kid": keys.newest.kid}, {"jwk": stranger.as_dict(private=False)}):
        with pytest.raises(Unauthenticated):
            verifier.verify(forged(keys, seconds, header, stranger), "registration")


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "somebody"},
        {"aud": ["registration", "incentives"]},
        {"exp": 1_770_000_000 + 86_400},
        {"exp": "1770000060"},
        {"iat": 1_770_000_000 + 3_600, "exp": 1_770_000_000 + 3_660},
        {"principal": {"tenant": "acme"}},
        {"principal": None},
    ],
)
def test_claims_that_our_signer_never_makes_are_refused(
    keys: SigningKeys, verifier: Verifier, seconds: Seconds, changed: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(forged(keys, seconds, **changed), "registration")


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.ü.ö", "\x00", "x" * 100_000, "e30.e30.e30"])
def test_what_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(token, "registration")


def test_a_claim_left_out_is_refused(keys: SigningKeys, verifier: Verifier, seconds: Seconds) -> None:
    for name in ("iss", "aud", "iat", "exp", "principal"):
        body = claims(seconds)
        del body[name]
        token = jwt.encode({"alg": "Ed25519", "kid": keys.newest.kid}, body, keys.newest, algorithms=["Ed25519"])
        with pytest.raises(Unauthenticated):
            verifier.verify(token, "registration")


def test_a_token_is_handed_out_again_for_half_its_life(signer: Signer, seconds: Seconds) -> None:
    first = signer.sign(ANNA, "registration")
    seconds.now += 29
    assert first == signer.sign(ANNA, "registration")
    seconds.now += 1
    assert first != signer.sign(ANNA, "registration")


def test_a_key_that_was_rotated_out_once_still_verifies_twice_does_not(
    keys: SigningKeys, signer: Signer, verifier: Verifier
) -> None:
    token = signer.sign(ANNA, "registration")
    keys.rotate()
    assert verifier.verify(token, "registration") == ANNA
    assert token != signer.sign(ANNA, "registration")
    keys.rotate()
    with pytest.raises(Unauthenticated):
        verifier.verify(token, "incentives")


def test_the_signing_key_outlives_a_restart_and_only_its_owner_reads_it(tmp_path: Path, seconds: Seconds) -> None:
    path = tmp_path / "signing.json"
    token = Signer(SigningKeys(path), now=seconds).sign(ANNA, "registration")
    assert Verifier(SigningKeys(path), now=seconds).verify(token, "registration") == ANNA
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_published_keys_hold_no_private_half(keys: SigningKeys) -> None:
    keys.rotate()
    published = keys.public()["keys"]
    assert len(published) == 2
    assert all("d" not in key for key in published)


def test_only_the_most_recently_used_are_remembered() -> None:
    recent = Recent(2)
    for name in ("a", "b"):
        recent.put(name, name.upper())
    assert recent.get("a") == "A"
    recent.put("c", "C")
    assert [recent.get(name) for name in ("a", "b", "c")] == ["A", None, "C"]
    assert len(recent) == 2
