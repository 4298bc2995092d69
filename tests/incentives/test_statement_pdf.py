"""A statement as a PDF: every line is on it, the table of objects is right, and the same statement is the same bytes."""

import re

from chassis.event import plain
from services.incentives.adapters.statement_pdf import LINES_A_PAGE, statement_pdf
from tests.incentives.orders import issued, line


def document(*lines):
    return plain(issued(*lines))


def test_every_line_with_its_amount_the_closing_and_the_seal_are_on_it():
    stated = document(line("100.00", 5), line("-12.50", 6, "reversed"))
    made = statement_pdf(stated).decode("cp1252")
    for said in ("Statement 1 of 2026-03", "100.00 EUR", "-12.50 EUR", "87.50 EUR", stated["sha256"]):
        assert said in made


def test_each_object_begins_where_the_table_says():
    made = statement_pdf(document(line("100.00", 5)))
    begin = int(re.findall(rb"startxref\n(\d+)", made)[0])
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n", made[begin:])]
    assert [made[place:].split(b"\n", 1)[0] for place in places] == [b"%d 0 obj" % n for n in range(1, len(places) + 1)]


def test_a_long_statement_goes_on_on_another_page():
    many = [line("1.00", position) for position in range(1, 2 * LINES_A_PAGE)]
    assert b"/Count 3" in statement_pdf(document(*many))


def test_brackets_and_letters_of_elsewhere_do_no_harm():
    stated = document(line("1.00", 5))
    stated["lines"][0]["cause"] = "a (b\\) \N{SNOWMAN}"
    assert rb"a \(b\\\) ?" in statement_pdf(stated)


def test_an_instalment_is_named_with_its_number():
    stated = document(line("1.00", 5))
    stated["lines"][0]["cause"] = "01a22216-59c1-7493-8ab4-d96e0bf46a29/24"
    assert b"01a22216-59c1-7493-8ab4-d96e0bf46a29/24 " in statement_pdf(stated)


def test_the_same_statement_is_the_same_bytes():
    assert statement_pdf(document(line("1.00", 5))) == statement_pdf(document(line("1.00", 5)))
