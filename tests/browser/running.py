"""The whole system as `make run` starts it, in a process of its own, and clients of its public API over the network."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.engines import free_port, wait_until_ready
from tests.patience import PATIENCE_SECONDS

TENANT = "acme"
LOOK_SECONDS = 0.02
START_SECONDS = 120.0
STOP_SECONDS = 45.0
CALL_SECONDS = 30.0
PROVIDER_SECRET = "the-provider-and-we"
SETTINGS = {"ENTENTE_PROVIDER_SECRET": PROVIDER_SECRET}


def until(look: Callable[[], Any], otherwise: str = "it did not come about in time") -> Any:
    """What `look` answers, once that is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(LOOK_SECONDS)
    return found


@dataclass(frozen=True)
class Client:
    """A program that calls the public API as somebody."""

    url: str
    token: str = ""

    def get(self, path: str) -> Any:
        """What is there, once it is: what was just made shows within moments."""
        return until(lambda: self.look(path), f"GET {path}: there is no such thing")

    def look(self, path: str) -> Any:
        """What is there; None while there is nothing."""
        with self._answer("GET", path, None, "") as answer:
            return None if answer.status == HTTPStatus.NOT_FOUND else _content("GET", path, answer)

    def is_let_in(self) -> bool:
        """Whether its partner, if it has one, is known to be active by now."""
        with self._answer("GET", "/v1/me", None, "") as answer:
            return b"partner-suspended" not in answer.read()

    def post(self, path: str, body: Any = None, key: str = "") -> Any:
        """Does something, once: whoever is told when to come again does, under the same key."""
        named, deadline = key or uuid.uuid4().hex, time.monotonic() + PATIENCE_SECONDS
        while True:
            with self._answer("POST", path, body, named) as answer:
                wait = float(answer.headers.get("retry-after", PATIENCE_SECONDS))
                if time.monotonic() + wait > deadline or answer.status < HTTPStatus.BAD_REQUEST:
                    return _content("POST", path, answer)
            time.sleep(wait)

    def _answer(self, method: str, path: str, body: Any, key: str) -> Any:
        headers = {"content-type": "application/json", "idempotency-key": key}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        content = None if method == "GET" else json.dumps(body or {}).encode()
        try:
            return urlopen(Request(self.url + path, content, headers, method=method), timeout=CALL_SECONDS)
        except HTTPError as refused:
            return refused


def _content(method: str, path: str, answer: Any) -> Any:
    """The JSON of a good answer, or its text."""
    text = answer.read()
    assert answer.status < HTTPStatus.BAD_REQUEST, f"{method} {path}: {answer.status} {text.decode()}"
    return json.loads(text) if text.startswith((b"{", b"[")) else text


@dataclass(frozen=True)
class Running:
    """The addresses of a system that runs."""

    url: str
    crm_url: str

    @property
    def anyone(self) -> Client:
        return Client(self.url)

    @property
    def crm(self) -> Client:
        """The simulated CRM, as a salesperson works in it."""
        return Client(self.crm_url)

    def who(self, name: str, tenant: str = TENANT) -> Client:
        """The API as somebody, once they are known and let in: who has just joined shows within moments."""
        wish = {"tenant": tenant, "as": name}

        def token() -> str:
            with self.anyone._answer("POST", "/dev/token", wish, "") as answer:
                return json.loads(answer.read()).get("token", "")

        client = Client(self.url, until(token, f"nobody is known as {name}"))
        until(client.is_let_in, f"{name} is not let in")
        return client

    def forward(self, days: int = 0, hours: int = 0) -> None:
        """Sets the clock of all services forward; sessions may be over by then."""
        now = datetime.fromisoformat(self.anyone.get("/dev/clock")["now"])
        self.anyone.post("/dev/clock", {"to": (now + timedelta(days=days, hours=hours)).isoformat()})


@contextmanager
def running_system() -> Iterator[Running]:
    """A fresh system that is ready; it and its data are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="entente-browser-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as folder:
        port, log, data = free_port(), Path(folder) / "log.txt", Path(folder) / "data"
        command = [sys.executable, "-m", "services", "--port", str(port), "--data", str(data)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **SETTINGS})
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(process, lambda: _ready(url), log, START_SECONDS)
            # The port after the system's own, or another one where somebody has just taken that.
            yield Running(url, f"http://127.0.0.1:{(data / 'crm_simulator' / 'port').read_text()}")
        finally:
            _stop(process)


def _ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=CALL_SECONDS) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
