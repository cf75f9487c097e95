"""Docstrings as people read them on a page."""

from apps.common.templatetags.ui import written


def test_the_lines_of_a_paragraph_flow():
    assert written("Sends a request and\ngives the answer.\n\nIt is\nkept.") == (
        "Sends a request and gives the answer.\n\nIt is kept."
    )


def test_the_lines_of_a_list_stay():
    assert written("There are:\n- one that\n  goes on\n- two") == "There are:\n- one that goes on\n- two"


def test_what_stands_in_backticks_is_code_and_markup_is_text():
    assert written("Takes `a<b>` & <i>") == "Takes <code>a&lt;b&gt;</code> &amp; &lt;i&gt;"
