"""Models behind a server that speaks OpenAI's chat protocol, asked over real HTTP."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from apps.common.asyncio_loop import run_coroutine
from apps.common.errors import Fatal, NotFound, Retryable
from apps.integrations.language_models import Attachment, Message, OfferedTool, Request, openai_chat
from apps.integrations.language_models.openai_chat import Reading
from apps.integrations.language_models.records import Listener
from tests.language_models.chat_server import Answer, ChatServer, chatting, in_turn
from tests.language_models.conftest import KEY, Desk

LOOK_UP = OfferedTool(name="look_up", description="Looks it up.", parameters={"type": "object"})
PRICES = {"input_price": Decimal("2.5"), "output_price": Decimal(10), "cached_price": Decimal("1.25")}


def test_an_answer_comes_in_pieces_and_is_whole_at_the_end(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda _: Answer("The sea is salty.")
    desk.setting(desk.provider(server))
    heard: list[str] = []

    reply = desk.ask(hear=heard.append)

    assert reply.message.content == "The sea is salty."
    assert heard == ["The", " sea", " is", " salty."]
    assert (reply.model, reply.is_demo, reply.ended) == ("smart", False, "complete")


def test_the_server_is_asked_as_its_reference_says(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server), options={"temperature": 0.2, "top_p": 1})

    desk.ask(tools=(LOOK_UP,), options={"temperature": 0}, output_schema={"type": "object"})

    (asked,) = server.asked
    assert server.keys == [f"Bearer {KEY}"]
    assert (asked["model"], asked["stream"], asked["stream_options"]) == ("m", True, {"include_usage": True})
    assert asked["messages"] == [{"role": "user", "content": "Hi"}]
    assert (asked["temperature"], asked["top_p"]) == (0, 1)
    assert asked["tools"] == [{"type": "function", "function": LOOK_UP.model_dump()}]
    assert asked["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_any_model_of_a_provider_can_be_asked_by_its_name(desk: Desk, server: ChatServer) -> None:
    desk.provider(server)

    assert desk.ask("local/org/big-model").message.content == "Hello"
    assert server.asked[0]["model"] == "org/big-model"


def test_an_unknown_model_is_told_with_the_nearest_name(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server))

    with pytest.raises(NotFound, match="Did you mean 'smart'"):
        desk.ask("smrt")
    with pytest.raises(NotFound, match="Set up OpenAI under Settings, Models"):
        desk.ask("openai/gpt-4o")


def test_what_a_call_took_adds_up_with_what_the_server_says(desk: Desk, server: ChatServer) -> None:
    server.answer = in_turn(
        Answer(usage=(1000, 50), cached=400, reasoning=20), Answer(usage=(123, 456)), Answer(usage=(1, 1))
    )
    desk.setting(desk.provider(server), **PRICES)

    for _ in range(3):
        desk.ask()

    rows = desk.usage()
    assert [(row.input_tokens, row.output_tokens) for row in rows] == server.usage
    assert (rows[0].cached_tokens, rows[0].reasoning_tokens) == (400, 20)
    assert [row.cost_micro_usd for row in rows] == [600 * 2.5 + 400 * 1.25 + 500, 308 + 4560, 13]  # rounded up
    assert {(row.outcome, row.agent, row.caller, row.served_by) for row in rows} == {
        ("answered", "tester", "user:alice", "local/m")
    }
    assert all(row.first_token_ms is not None and row.total_ms >= row.first_token_ms for row in rows)


def test_a_model_whose_price_nobody_knows_is_noted_as_such(desk: Desk, server: ChatServer) -> None:
    desk.setting(desk.provider(server))

    assert not desk.ask().usage.is_priced
    assert not desk.usage()[0].is_priced


@pytest.mark.parametrize(
    ("first", "told"),
    [({"content": "Tea"}, ["Tea"]), ({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "look_up"}}]}, [])],
    ids=["text", "call"],
)
def test_the_first_token_is_of_a_text_or_of_a_call_and_not_the_name_of_the_role(
    first: dict[str, Any], told: list[str]
) -> None:
    heard: list[str] = []
    begun: list[bool] = []
    listener = Listener(heard.append)

    async def chunks() -> AsyncIterator[Any]:
        for delta in ({"role": "assistant", "content": ""}, first):
            yield {"choices": [{"delta": delta, "finish_reason": None}]}
            begun.append(listener.first is not None)
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}]}

    question = Request(model="m", messages=(Message(role="user", content="Hi"),))
    run_coroutine(Reading("local/m", listener, question).read(chunks()), timeout=10)

    assert begun == [False, True]
    assert heard == told


def test_tools_are_asked_for_with_their_arguments(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda _: Answer("", calls=[("look_up", '{"what": "tea"}'), ("look_up", "{}")])
    desk.setting(desk.provider(server))

    first, second = desk.ask(tools=(LOOK_UP,)).message.tool_calls

    assert (first.id, first.name, first.arguments) == ("c0", "look_up", {"what": "tea"})
    assert (second.id, second.arguments) == ("c1", {})


def test_tools_have_plain_names_on_the_way_and_their_own_at_both_ends(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda _: Answer("", calls=[("crm_find", "{}"), ("crm_find_2", "{}")])
    desk.setting(desk.provider(server))
    tools = tuple(LOOK_UP.model_copy(update={"name": name}) for name in ("crm.find", "crm_find"))

    calls = desk.ask(tools=tools).message.tool_calls

    assert [call.name for call in calls] == ["crm.find", "crm_find"]
    assert [tool["function"]["name"] for tool in server.asked[0]["tools"]] == ["crm_find", "crm_find_2"]


@pytest.mark.parametrize("broken", ['{"what": ', "[1]", '{"n": NaN}', '{"a": 1, "a": 2}', "null"])
def test_arguments_that_are_no_json_object_are_kept_as_they_came(desk: Desk, server: ChatServer, broken: str) -> None:
    server.answer = lambda _: Answer("", calls=[("look_up", broken)])
    desk.setting(desk.provider(server))

    (call,) = desk.ask(tools=(LOOK_UP,)).message.tool_calls

    assert (call.arguments, call.invalid) == ({}, broken)


def test_pictures_and_files_go_with_the_question() -> None:
    files = (
        Attachment(media_type="image/png", data="AAAA"),
        Attachment(media_type="application/pdf", data="BBBB", name="a.pdf"),
    )

    message = Message(role="user", content="Look", attachments=files)
    body = openai_chat.body("m", Request(model="m", messages=(message,)))

    text, image, file = body["messages"][0]["content"]
    assert text == {"type": "text", "text": "Look"}
    assert image == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert file["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}


def test_a_server_that_does_not_stream_is_understood_too(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda _: Answer("All at once", streams=False)
    desk.setting(desk.provider(server))

    assert desk.ask().message.content == "All at once"


def test_an_answer_that_had_to_end_says_so(desk: Desk, server: ChatServer) -> None:
    server.answer = in_turn(Answer(ended="length"), Answer(ended="content_filter"))
    desk.setting(desk.provider(server))

    assert [desk.ask().ended, desk.ask().ended] == ["length", "filter"]


def test_halves_of_characters_do_no_harm(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda _: Answer("a\ud83d b\x00")
    desk.setting(desk.provider(server))

    assert desk.ask().message.content.startswith("a")


# ---- servers that misbehave -----------------------------------------------------------------------------------------


def test_too_many_requests_are_asked_again_after_the_time_that_the_server_names(desk: Desk, server: ChatServer) -> None:
    refused = Answer(status=429, headers={"Retry-After": "0.02"}, error={"error": {"message": "Slow down"}})
    server.answer = in_turn(refused, refused, Answer("At last"))
    desk.setting(desk.provider(server))

    assert desk.ask().message.content == "At last"
    assert [row.outcome for row in desk.usage()] == ["failed", "failed", "answered"]
    assert [row.error for row in desk.usage()] == ["rate_limited", "rate_limited", ""]


def test_a_long_rest_is_left_to_the_run_which_is_told_how_long(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda _: Answer(status=429, headers={"Retry-After": "900"}, error={"error": {"message": "Later"}})
    desk.setting(desk.provider(server))

    with pytest.raises(Retryable) as refused:
        desk.ask()

    assert (refused.value.retry_after, refused.value.code) == (900, "rate_limited")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_server_in_trouble_is_asked_three_times(desk: Desk, server: ChatServer, status: int) -> None:
    server.answer = lambda _: Answer(status=status, error={"error": {"message": "Oh no"}})
    desk.setting(desk.provider(server))

    with pytest.raises(Retryable, match="Oh no"):
        desk.ask()

    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (401, {"error": {"message": "Bad key"}}, "key_refused"),
        (404, {"error": {"message": "No model"}}, "unknown_model"),
        (400, {"error": {"message": "Bad"}}, "request_refused"),
        (400, {"error": {"code": "context_length_exceeded", "message": "Long"}}, "context_too_long"),
        (429, {"error": {"code": "insufficient_quota", "message": "Pay"}}, "quota_used_up"),
        (418, "teapot", "request_refused"),
    ],
)
def test_what_asking_again_does_not_mend_is_not_asked_again(
    desk: Desk, server: ChatServer, status: int, said: Any, code: str
) -> None:
    server.answer = lambda _: Answer(status=status, error=said)
    desk.setting(desk.provider(server))

    with pytest.raises(Fatal) as refused:
        desk.ask()

    assert refused.value.code == code
    assert KEY not in str(refused.value)
    assert len(server.asked) == 1


def test_a_refusal_that_repeats_the_key_is_told_without_it(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda _: Answer(status=401, error={"error": {"message": f"No such key: {KEY}"}})
    desk.setting(desk.provider(server))

    with pytest.raises(Fatal, match=r"No such key: \*\*\*\*\."):
        desk.ask()


@pytest.mark.parametrize("broken", [b"data: {not json\n\n", b"data: [1, 2]\n\n", b'data: {"choices": [3]}\n\n'])
def test_an_answer_that_cannot_be_read_is_asked_for_again(desk: Desk, server: ChatServer, broken: bytes) -> None:
    server.answer = in_turn(Answer("one two", garbage=broken), Answer("fine"))
    desk.setting(desk.provider(server))

    assert desk.ask().message.content == "fine"
    assert [(row.outcome, row.error) for row in desk.usage()] == [("lost", "answer_unreadable"), ("answered", "")]


def test_an_answer_that_breaks_off_is_asked_for_again(desk: Desk, server: ChatServer) -> None:
    server.answer = in_turn(Answer("one two three", cut_after=2), Answer("fine"))
    desk.setting(desk.provider(server))

    assert desk.ask().message.content == "fine"
    assert desk.usage()[0].outcome == "lost"


def test_an_error_in_the_middle_of_a_stream_is_one(desk: Desk, server: ChatServer) -> None:
    error = b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'
    server.answer = in_turn(Answer("one two", garbage=error), Answer("fine"))
    desk.setting(desk.provider(server))

    assert desk.ask().message.content == "fine"


def test_a_server_that_hangs_is_left_after_the_time_of_the_model(desk: Desk, server: ChatServer) -> None:
    server.answer = in_turn(Answer("one two", hang_after=1), Answer("fine"))
    desk.setting(desk.provider(server), seconds=1)

    assert desk.ask().message.content == "fine"
    assert (desk.usage()[0].outcome, desk.usage()[0].error) == ("lost", "timeout")


def test_a_server_that_is_not_there_is_told(desk: Desk) -> None:
    with chatting() as gone:
        desk.setting(desk.provider(gone))

    with pytest.raises(Retryable) as refused:
        desk.ask()

    assert refused.value.code == "connection_failed"


def test_a_connection_that_is_refused_has_failed_and_one_that_breaks_off_is_lost(
    desk: Desk, server: ChatServer
) -> None:
    with chatting() as gone:
        away = desk.provider(gone, name="away")
    desk.setting(away, "away")
    desk.setting(desk.provider(server))
    server.answer = lambda _: Answer("one two three", cut_after=1)

    for name in ("away", "smart"):
        with pytest.raises(Retryable):
            desk.ask(name)

    assert {(one.model, one.outcome, one.error) for one in desk.usage()} == {
        ("away", "failed", "connection_failed"),
        ("smart", "lost", "connection_failed"),
    }


def test_an_address_that_is_not_public_is_not_asked(desk: Desk, server: ChatServer, settings: Any) -> None:
    desk.setting(desk.provider(server))
    settings.ORCHESTRA_EGRESS_ALLOW = frozenset()

    with pytest.raises(Fatal) as refused:
        desk.ask()

    assert refused.value.code == "egress_refused"
    assert server.asked == []


# ---- fallbacks and the cache ----------------------------------------------------------------------------------------


def test_where_a_model_gives_no_answer_its_fallbacks_are_asked_in_turn(desk: Desk, server: ChatServer) -> None:
    down = Answer(status=500, error={"error": {"message": "down"}})
    server.answer = lambda asked: Answer("From the third") if asked["model"] == "three" else down
    provider = desk.provider(server)
    desk.setting(provider, "first", model="one", fallbacks=["second", "gone", "third"])
    desk.setting(provider, "second", model="two")
    desk.setting(provider, "third", model="three")

    record = desk.record("first")

    assert (record["model"], record["reply"]["content"]) == ("third", "From the third")
    assert [one["model"] for one in record["passed_over"]] == ["first", "second"]


def test_each_call_says_which_models_were_to_answer_before_it_and_what_became_of_them(
    desk: Desk, server: ChatServer
) -> None:
    refused = {"one": Answer(status=401, error={"error": {"message": "no"}}), "two": Answer(status=500)}
    server.answer = lambda asked: refused.get(asked["model"], Answer("From the third"))
    provider = desk.provider(server)
    desk.setting(provider, "first", model="one", fallbacks=["second", "third"])
    desk.setting(provider, "second", model="two")
    desk.setting(provider, "third", model="three", cache_seconds=60)

    record, _ = desk.record("first"), desk.record("first")
    rows = desk.usage()

    codes = [("first", "key_refused"), ("second", "model_unavailable")]
    assert [(one["model"], one["code"]) for one in record["passed_over"]] == codes
    assert record["passed_over"][1]["ms"] > 0, "the second was tried again, with a rest between"
    assert {(row.model, len(row.passed_over)) for row in rows} == {("first", 0), ("second", 1), ("third", 2)}
    for row, outcome in zip((row for row in rows if row.model == "third"), ("answered", "cached"), strict=True):
        assert row.outcome == outcome
        assert [(one["model"], one["code"]) for one in row.passed_over] == codes


def test_a_call_without_an_answer_has_its_time_too(desk: Desk, server: ChatServer) -> None:
    server.answer = in_turn(Answer("begun and", cut_after=2), Answer(status=401, error={"error": {"message": "no"}}))
    desk.setting(desk.provider(server))

    with pytest.raises(Fatal):
        desk.ask()

    lost, failed = desk.usage()
    assert (lost.outcome, failed.outcome) == ("lost", "failed")
    assert lost.first_token_ms <= lost.total_ms
    assert (failed.first_token_ms, failed.total_ms >= 0) == (None, True)


def test_the_failure_of_the_first_is_told_when_none_answers(desk: Desk, server: ChatServer) -> None:
    server.answer = lambda asked: Answer(
        status=401 if asked["model"] == "one" else 500, error={"error": {"message": asked["model"]}}
    )
    provider = desk.provider(server)
    desk.setting(provider, "first", model="one", fallbacks=["second", "first"])
    desk.setting(provider, "second", model="two")

    with pytest.raises(Fatal, match="one"):
        desk.ask("first")


def test_the_default_is_what_the_organization_has_chosen(desk: Desk, server: ChatServer) -> None:
    assert desk.ask("default", options={"seconds": 0}).model == "demo/scripted"

    desk.setting(desk.provider(server), is_default=True)

    assert desk.ask("default").model == "smart"


def test_the_same_question_has_the_same_answer_where_that_is_wanted(desk: Desk, server: ChatServer) -> None:
    server.answer = in_turn(Answer("first"), Answer("second"), Answer("third"))
    desk.setting(desk.provider(server), cache_seconds=60, **PRICES)

    answers = [desk.ask(text=text).message.content for text in ("a", "a", "b")]

    assert answers == ["first", "first", "second"]
    assert [(row.outcome, row.cost_micro_usd > 0) for row in desk.usage()] == [
        ("answered", True), ("cached", False), ("answered", True),
    ]  # fmt: skip


def test_a_key_is_kept_sealed_and_appears_in_no_record(desk: Desk, server: ChatServer) -> None:
    provider = desk.provider(server)
    desk.setting(provider)

    record = desk.record()

    assert KEY not in json.dumps(record)
    assert KEY.encode() not in bytes(provider.key.sealed) + bytes(provider.key.wrapped)
    assert provider.key.hint == "****cdef"


def test_openai_is_told_the_bound_of_an_answer_as_its_models_that_reason_take_it(
    desk: Desk, server: ChatServer
) -> None:
    desk.setting(desk.provider(server, kind="openai"), options={"max_tokens": 50})

    desk.ask()

    assert server.asked[0]["max_completion_tokens"] == 50
    assert "max_tokens" not in server.asked[0]
