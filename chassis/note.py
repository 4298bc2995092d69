"""Signed notes and tree checkpoints, in the text forms of C2SP `signed-note` and `tlog-checkpoint`, with Ed25519.

A checkpoint is the origin, the number of leaves and the root in base64, a line each; then an empty line and the
signature line `— <name> <base64(key id | signature)>`. A verifier key is `<name>+<key id>+<base64(0x01 | public key)>`.
"""

import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chassis import secret_file

ED25519 = b"\x01"
KEY_ID_BYTES = 4
SEED_BYTES = 32
DASH = "\u2014"


class BadNote(ValueError):
    """The note is damaged, or not signed by the expected key."""


@dataclass(frozen=True)
class Checkpoint:
    """What a signature stands for: a log's name, how many leaves it had, and its root then."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def of(cls, text: str) -> "Checkpoint":
        """The checkpoint written in a note's text; extension lines are passed over. Raises BadNote."""
        try:
            origin, size, root = text.split("\n")[:3]
            found = cls(origin, int(size), b64decode(root, validate=True))
        except ValueError as error:
            raise BadNote("this is not a checkpoint") from error
        if not text.startswith(found.text()):
            raise BadNote("this checkpoint is not in its one canonical spelling")
        return found


class NoteVerifier:
    """Checks the notes of one named key."""

    def __init__(self, name: str, public: bytes) -> None:
        if not name or "+" in name or any(letter.isspace() for letter in name):
            raise ValueError("a key's name has neither spaces nor a plus")
        self.name, self._public = name, public
        self.key_id = sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]

    @classmethod
    def of(cls, vkey: str) -> "NoteVerifier":
        """The verifier of a written verifier key. Raises ValueError when its parts do not belong together."""
        name, key_id, body = vkey.strip().split("+", 2)
        decoded = b64decode(body, validate=True)
        found = cls(name, decoded[1:])
        if decoded[:1] != ED25519 or len(decoded) != 1 + SEED_BYTES or found.key_id.hex() != key_id:
            raise ValueError("this is not an Ed25519 verifier key")
        return found

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(ED25519 + self._public).decode()}"

    def open(self, note: str) -> str:
        """The signed text. Raises BadNote unless this key signed it; other signatures are passed over."""
        text, gap, signatures = note.rpartition("\n\n")
        if not gap:
            raise BadNote("this note is not signed")
        for line in signatures.splitlines():
            signature = self._own(line)
            if signature is not None:
                self._check(signature, f"{text}\n")
                return f"{text}\n"
        raise BadNote(f"this note is not signed by {self.name}")

    def _own(self, line: str) -> bytes | None:
        dash, _, rest = line.partition(" ")
        name, _, body = rest.partition(" ")
        try:
            decoded = b64decode(body, validate=True)
        except ValueError as error:
            raise BadNote("a signature line is damaged") from error
        own = dash == DASH and name == self.name and decoded[:KEY_ID_BYTES] == self.key_id
        return decoded[KEY_ID_BYTES:] if own else None

    def _check(self, signature: bytes, text: str) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self._public).verify(signature, text.encode())
        except InvalidSignature:
            raise BadNote(f"the signature of {self.name} does not hold") from None


class NoteSigner:
    """Signs notes under a name."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = NoteVerifier(name, self._key.public_key().public_bytes_raw())

    @classmethod
    def in_file(cls, name: str, path: Path) -> "NoteSigner":
        """Signs with the key in a file of mode 0600, made at first use."""
        return cls(name, secret_file.make_once(path, os.urandom(SEED_BYTES)))

    def sign(self, text: str) -> str:
        """The note: the text, which ends a line, and its signature."""
        body = b64encode(self.verifier.key_id + self._key.sign(text.encode())).decode()
        return f"{text}\n{DASH} {self.verifier.name} {body}\n"
