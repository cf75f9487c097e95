import io
import json
import logging

import pytest
import structlog

from apps.accounts.keys import new_secret
from apps.common.redaction import hide, redact, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 back", "got eyJ*** back"),
        ("orr_abcdefghijklmnop", "orr_***"),
        ("postgresql://orchestra:s3cret@127.0.0.1/db", "postgresql://orchestra:***@127.0.0.1/db"),
        ("redis://:s3cret@127.0.0.1", "redis://:***@127.0.0.1"),
        ("http://example.com:8000/a@b", "http://example.com:8000/a@b"),
        ("a bearer of news", "a bearer of news"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text, shown):
    assert redact(text) == shown


def test_a_key_keeps_what_tells_it_from_others():
    secret = new_secret()

    assert redact(f"key {secret.text}, used") == f"key ork_live_{secret.public_id}_***, used"


def test_a_secret_is_hidden_wherever_it_stands():
    value = {"a secret1": ["secret1", {"x": "is secret1!"}], "n": 1, "none": None}

    assert hide("secret1", value) == {"a ***": ["***", {"x": "is ***!"}], "n": 1, "none": None}
    assert hide("", "words") == hide("or", "words") == "words"  # which are no secrets, and stand in any text


def test_fields_that_hold_secrets_are_hidden_at_every_depth():
    event = {"event": "x", "password": "p", "body": {"Token": "t", "list": [{"secret": 1}], "name": "n"}, "count": 3}

    assert redacted(None, "info", event) == {
        "event": "x",
        "password": "***",
        "body": {"Token": "***", "list": [{"secret": "***"}], "name": "n"},
        "count": 3,
    }


@pytest.fixture
def written():
    """What the configured formatter writes."""
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(next(one for one in formatters if isinstance(one, structlog.stdlib.ProcessorFormatter)))
    logging.getLogger("test.redaction").addHandler(handler)
    yield handler.stream
    logging.getLogger("test.redaction").removeHandler(handler)


def test_no_log_line_shows_a_secret_or_floods_the_log(written):
    secret = new_secret()

    structlog.get_logger("test.redaction").warning("A %s", secret.text, key=secret.text, long="x" * 100_000)
    logging.getLogger("test.redaction").error("Standard logging: %s\nsecond line", secret.text)

    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    assert all(json.loads(line) for line in lines)
    assert secret.text not in written.getvalue()
    assert len(lines[0]) < 10_000
