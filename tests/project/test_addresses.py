"""The addresses that people type."""

from django.test import Client


def test_the_bare_address_leads_to_the_documentation(client: Client) -> None:
    response = client.get("/")

    assert (response.status_code, response["Location"]) == (302, "/v1/docs")
