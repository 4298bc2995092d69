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


def test_what_is_counted_has_labels_of_few_values() -> None:
    telemetry = Telemetry("incentives")
    telemetry.recorded("incentives.PayoutCalculated.v1")
    telemetry.conflict()
    telemetry.request("POST", 201, 0.004)
    telemetry.relay_age(2.5)
    telemetry.consumer_lag("entente.incentives.reactions", "entente.onboarding", 7)
    telemetry.projection_lag("lines__v1", 1, stopped=True, incomplete=True, no_feed=2)
    page = telemetry.text().decode()
    for line in (
        'entente_events_total{service="incentives",type="incentives.PayoutCalculated.v1"} 1.0',
        'entente_conflicts_total{service="incentives"} 1.0',
        'entente_request_seconds_bucket{le="0.005",method="POST",service="incentives",status="2xx"} 1.0',
        'entente_relay_age_seconds{service="incentives"} 2.5',
        'entente_consumer_lag_messages{group="entente.incentives.reactions",service="incentives",topic="entente.onboarding"} 7.0',
        'entente_projection_stopped{projection="lines__v1",service="incentives"} 1.0',
        'entente_projection_incomplete{projection="lines__v1",service="incentives"} 1.0',
        'entente_projection_no_feed{projection="lines__v1",service="incentives"} 2.0',
    ):
        assert line in page


def test_an_append_that_fails_is_measured_too() -> None:
    telemetry = Telemetry("registration")
    with pytest.raises(OSError, match="away"), telemetry.append():
        raise OSError("away")
    assert b'entente_append_seconds_count{service="registration"} 1.0' in telemetry.text()
