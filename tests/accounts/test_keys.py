import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.keys import new_secret, read_secret


def test_a_key_has_the_documented_shape():
    secret = new_secret()

    assert re.fullmatch(r"ork_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", secret.text)
    assert secret.digest == hashlib.sha256(secret.text.split("_")[3].encode()).hexdigest()


def test_a_key_reads_back():
    secret = new_secret()

    assert read_secret(secret.text) == secret


def test_a_typing_error_is_seen_without_the_database():
    text = new_secret().text
    other = "x" if text[20] != "x" else "y"

    assert read_secret(text[:20] + other + text[21:]) is None


@given(st.text())
def test_nothing_else_is_a_key(text):
    assert read_secret(text) is None


@pytest.mark.parametrize("suffix", ["\n", " ", "\0"])
def test_a_key_has_nothing_after_it(suffix):
    assert read_secret(new_secret().text + suffix) is None


def test_a_key_is_not_shown_by_accident():
    secret = new_secret()

    assert secret.text not in repr(secret)
