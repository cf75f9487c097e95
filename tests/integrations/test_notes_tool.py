"""`demo.search`: notes for demo agents to find."""

from apps.integrations import registry


def search(query: str, limit: int = 2) -> list[dict[str, str]]:
    tool = registry.get("demo.search")
    return tool.function(**tool.arguments({"query": query, "limit": limit}))


def test_the_notes_that_share_most_words_come_first() -> None:
    found = search("the market for heat pumps", 3)

    assert found[0]["title"] == "Heat pumps: the market"
    assert len(found) == 3


def test_what_no_note_is_about_finds_nothing() -> None:
    assert search("xylophones") == []
