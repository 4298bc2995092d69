"""The simulated CRM keeps its address over restarts."""

from pathlib import Path

from fastapi import FastAPI

from services.attribution.adapters.loopback import on_kept_port


async def test_a_restart_keeps_the_port_and_never_touches_the_file_that_tells_it(tmp_path: Path) -> None:
    kept = tmp_path / "crm" / "port"
    async with on_kept_port(FastAPI(), kept) as first:
        written = kept.stat()
        assert first.endswith(f":{kept.read_text()}")
    async with on_kept_port(FastAPI(), kept) as second:
        # Whoever reads it while a process starts, or is killed then, must not find it empty.
        assert second == first
        assert (kept.stat().st_ino, kept.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
