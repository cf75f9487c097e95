"""What goes over the wire compressed."""

import gzip

import pytest
from django.test import Client

TAKES_IT = {"Accept-Encoding": "gzip, br"}


@pytest.fixture
def owner(alice) -> Client:
    client = Client()
    client.force_login(alice.user)
    return client


def test_a_page_is_compressed_for_who_takes_it(owner):
    plain, small = owner.get("/runs"), owner.get("/runs", headers=TAKES_IT)

    assert "Content-Encoding" not in plain
    assert small["Content-Encoding"] == "gzip"
    assert b"<h1" in gzip.decompress(small.content)
    assert len(small.content) < len(plain.content) / 2


def test_answers_of_the_api_are_not(alice):
    answer = alice.client.get("/v1/node-types", headers=TAKES_IT)

    assert answer.status_code == 200
    assert "Content-Encoding" not in answer
