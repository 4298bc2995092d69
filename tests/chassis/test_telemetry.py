"""The figures of a service, as Prometheus reads them."""

from typing import Any

import pytest

from chassis.telemetry import Telemetry


def test_the_page_names_every_figure_with_its_labels() -> None:
    telemetry = Telemetry("registration")
    telemetry.projection_lag("deal_board", 0.25)
    telemetry.relay_age(1.5)
    telemetry.parked("entente.registration.reactions", 2)
    telemetry.command("registration.RegisterDeal.v1", "accepted")
    with telemetry.append():
        pass
    page = telemetry.text().decode()
    assert 'entente_projection_lag_seconds{projection="deal_board",service="registration"} 0.25' in page
    assert 'entente_relay_position_age_seconds{service="registration"} 1.5' in page
    assert 'entente_parked_messages{group="entente.registration.reactions",service="registration"} 2.0' in page
    counted = (
        'entente_commands_total{command="registration.RegisterDeal.v1",outcome="accepted",service="registration"} 1.0'
    )
    assert counted in page
    assert 'entente_append_seconds_count{service="registration"} 1.0' in page


def test_two_services_in_one_process_keep_their_figures_apart() -> None:
    one, other = Telemetry("registration"), Telemetry("incentives")
    one.relay_age(1.0)
    assert b"registration" not in other.text()


def test_an_append_that_fails_is_measured_too() -> None:
    telemetry = Telemetry("registration")
    with pytest.raises(OSError, match="away"), telemetry.append():
        raise OSError("away")
    assert b'entente_append_seconds_count{service="registration"} 1.0' in telemetry.text()


async def test_metrics_is_an_asgi_application() -> None:
    sent = []

    async def send(message: dict[str, Any]):
        sent.append(message)

    telemetry = Telemetry("registration")
    telemetry.relay_age(1.5)
    await telemetry.metrics({"type": "http"}, None, send)
    assert sent[0]["status"] == 200
    assert b"entente_relay_position_age_seconds" in sent[1]["body"]
