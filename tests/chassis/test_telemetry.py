"""The figures of a service, as Prometheus reads them."""

import pytest

from chassis.telemetry import Telemetry


def test_the_page_names_every_figure_with_its_labels() -> None:
    telemetry = Telemetry("registration")
    telemetry.projection_lag("deal_board__v1", 3)
    telemetry.parked(2)
    telemetry.command("accepted")
    with telemetry.append():
        pass
    page = telemetry.text().decode()
    assert 'entente_projection_lag_events{projection="deal_board__v1",service="registration"} 3.0' in page
    assert 'entente_parked_messages{service="registration"} 2.0' in page
    assert 'entente_commands_total{outcome="accepted",service="registration"} 1.0' in page
    assert 'entente_append_seconds_count{service="registration"} 1.0' in page


def test_two_services_in_one_process_keep_their_figures_apart() -> None:
    one, other = Telemetry("registration"), Telemetry("incentives")
    one.parked(1)
    assert b"registration" not in other.text()


def test_an_append_that_fails_is_measured_too() -> None:
    telemetry = Telemetry("registration")
    with pytest.raises(OSError, match="away"), telemetry.append():
        raise OSError("away")
    assert b'entente_append_seconds_count{service="registration"} 1.0' in telemetry.text()
