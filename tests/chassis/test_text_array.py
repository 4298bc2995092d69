"""Texts arrive in PostgreSQL as they were."""

import psycopg
import pytest

from chassis import text_array
from chassis.text_array import Texts


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        [None],
        ["a", None, "", "Zoë", 'quoted "{}" and \\, with a comma', "null"],
        [f"d{number}" for number in range(2_000)],
    ],
)
def test_texts_arrive_as_they_were(postgres: str, texts: list[str | None]) -> None:
    with psycopg.connect(postgres) as connection:
        text_array.register(connection)
        assert connection.execute("SELECT %b::text[]", (Texts(texts),)).fetchone() == (texts,)


def test_bytes_are_taken_for_the_utf_8_that_they_are(postgres: str) -> None:
    with psycopg.connect(postgres) as connection:
        text_array.register(connection)
        assert connection.execute("SELECT %b::text[]", (Texts([b"Zo\xc3\xab", None]),)).fetchone() == (["Zoë", None],)
