"""Texts as vectors, without a model."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.asyncio_loop import run_coroutine
from apps.common.errors import NotFound
from apps.integrations.embeddings import WIDTH, Vector, chosen, embed

PINNED = [(305, -0.31), (275, 0.302), (319, -0.302), (328, -0.302)]


def vectors(*texts: str) -> list[Vector]:
    return run_coroutine(embed(texts))[1]


def likeness(first: str, second: str) -> float:
    one, other = vectors(first, second)
    return sum(a * b for a, b in zip(one, other, strict=True))


@given(st.text(max_size=500))
def test_any_text_has_a_vector_of_length_one(text: str) -> None:
    (vector,) = vectors(text)

    assert len(vector) == WIDTH
    assert math.isclose(math.hypot(*vector), 1)


def test_what_was_kept_yesterday_is_found_tomorrow() -> None:
    """The vectors of other processes and versions are in the database: they must not change."""
    (vector,) = vectors("Ada likes green tea.")

    places = sorted(range(WIDTH), key=lambda place: -abs(vector[place]))[:4]
    assert [(place, round(vector[place], 3)) for place in places] == PINNED


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("Where is my invoice?", "Invoices are sent on Mondays.", "The cat sleeps."),
        ("deliveries to Berlin", "A delivery to Berlin takes three days.", "Bern is in Switzerland."),
        ("grüner Tee", "Ada mag grünen Tee.", "Bob mag Kaffee."),
    ],
)
def test_texts_with_words_in_common_are_nearer(text: str, near: str, far: str) -> None:
    assert likeness(text, near) > likeness(text, far)


def test_words_that_are_in_every_text_say_little() -> None:
    least = chosen().least

    assert likeness("What is the colour of the sky?", "Where is the key to the door?") < least
    assert likeness("Which colour has the sky?", "The colour of the sky is blue.") > least


def test_a_provider_that_is_not_there_is_named(settings) -> None:
    settings.ORCHESTRA_EMBEDDINGS = "local/hash"

    with pytest.raises(NotFound, match="Did you mean 'local/hashed'"):
        vectors("x")
