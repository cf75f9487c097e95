"""Docstrings as people read them on a page."""

from apps.common.templatetags.ui import opening, written


def test_the_lines_of_a_paragraph_flow():
    assert written("Sends a request and\ngives the answer.\n\nIt is\nkept.") == (
        "Sends a request and gives the answer.\n\nIt is kept."
    )


def test_the_lines_of_a_list_stay():
    assert written("There are:\n- one that\n  goes on\n- two") == "There are:\n- one that goes on\n- two"


def test_what_stands_in_backticks_is_code_and_markup_is_text():
    assert written("Takes `a<b>` & <i>") == "Takes <code>a&lt;b&gt;</code> &amp; &lt;i&gt;"


def test_what_comes_before_a_list_is_enough_for_a_card():
    assert opening("Checks tables,\nby rules.\n\n- `one`: {x}") == "Checks tables,\nby rules."
    assert opening("Checks:\n- one") == "Checks:"
    assert opening("Says A - or B.") == "Says A - or B."
    assert opening("") == ""
