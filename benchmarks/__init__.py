"""Our figures beside a peer's or a limit's, from one run: `python -m benchmarks [name …]`."""
