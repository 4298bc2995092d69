"""An operator lets a vendor in at the command line: the tenant, and somebody who can add everybody else."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.gateway.__main__ import gateway

OPEN = ("open-tenant", "acme", "--by", "olga", "--name", "Acme", "--zone", "Europe/Berlin", "--currency", "EUR")
ADD = ("add-admin", "acme", "ada", "--by", "olga", "--name", "Ada", "--mail", "ada@acme.example")


def said(data: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(gateway(), [*words, "--data", str(data)])
    return result.exit_code, result.output


def test_a_tenant_is_opened_once_and_has_an_admin(tmp_path: Path) -> None:
    assert said(tmp_path, *ADD) == (1, "not-found: acme is not open\n")
    assert said(tmp_path, *OPEN) == (0, "acme is open\n")
    status, told = said(tmp_path, *OPEN)
    assert (status, told.partition(":")[0]) == (1, "slug-taken")
    for _ in range(2):
        assert said(tmp_path, *ADD) == (0, "ada is an admin of acme\n")
    status, told = said(tmp_path, "verify", "--decide")
    assert (status, "4 decisions: all as recorded" in told) == (0, True), told


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ((*OPEN, "--zone", "Nowhere"), "zone is an IANA time zone"),
        ((*OPEN, "--currency", "EURO"), "currency"),
        (("open-tenant", "Acme", *OPEN[2:]), "slug"),
        (("open-tenant", "shared", *OPEN[2:]), "reserved"),
    ],
)
def test_what_the_api_would_refuse_is_refused_here(tmp_path: Path, words: tuple[str, ...], wrong: str) -> None:
    status, told = said(tmp_path, *words)
    assert (status != 0, wrong in told) == (True, True), told
