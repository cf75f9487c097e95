import pytest

from apps.agents.builtin.text_processor.words import sentences
from apps.agents.context import LocalContext
from apps.agents.runtime import run_agent
from apps.common.errors import Fatal
from tests.bounds import bounded

ARTICLE = """
The James Webb Space Telescope has delivered its first deep images of the early universe. Astronomers were thrilled by
the quality of the pictures. The telescope, which cost about 10 billion dollars, launched in December after many years
of delay. Its infrared instruments can see galaxies that formed a few hundred million years after the Big Bang.
Dr. Jane Rigby said that the space telescope performs better than expected. Some scientists worry that micrometeoroid
impacts could shorten its life. A small impact in May damaged one mirror segment. Even so, the mission has fuel for
more than twenty years. Teams around the world are already publishing results from galaxies and star-forming regions.
"""


def run(task_type, text, **more):
    return run_agent("text_processor", {"task_type": task_type, "text": text, **more}, LocalContext()).output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I love this product, it works wonderfully!", "positive"),
        ("Great service. The staff was friendly and helpful. I will come back.", "positive"),
        ("This is terrible. I hate it and want my money back.", "negative"),
        ("It is not good.", "negative"),
        ("The box is blue.", "neutral"),
        ("Sample text to analyze", "neutral"),
        (":-)", "positive"),
    ],
)
def test_the_sentiment_of_a_text(text, expected):
    output = run("sentiment_analysis", text)

    assert output["sentiment"] == expected
    assert -1 <= output["score"] <= 1
    assert 0.5 <= output["confidence"] <= 1


def test_mixed_sentences_are_counted_and_weighed():
    output = run(
        "sentiment_analysis", "I love the screen. I hate the battery. The case is black. The sound is fantastic!"
    )

    assert (output["positive_sentences"], output["negative_sentences"], output["sentences"]) == (2, 1, 4)
    assert output["sentiment"] == "positive"
    assert output["confidence"] < 0.8


def test_a_summary_keeps_telling_sentences_in_their_order():
    output = run("text_summary", ARTICLE)

    kept = sentences(output["summary"])
    every = sentences(ARTICLE)
    assert output["sentences"] == len(kept) == 3
    assert output["total_sentences"] == len(every) == 9
    assert [sentence for sentence in every if sentence in kept] == kept
    assert "telescope" in output["summary"].lower()
    assert 0.1 < output["compression"] < 0.6


def test_a_summary_is_as_long_as_wanted():
    assert run("text_summary", ARTICLE, max_sentences=1)["sentences"] == 1
    assert run("text_summary", "One. Two.", max_sentences=5)["summary"] == "One. Two."


def test_a_short_text_is_its_own_summary():
    output = run("text_summary", "Only this.")

    assert (output["summary"], output["compression"]) == ("Only this.", 1.0)


def test_keywords_are_what_a_text_is_about():
    found = run("keyword_extraction", ARTICLE, max_keywords=5)["keywords"]

    assert len(found) == 5
    assert found[0]["score"] == 1.0
    assert {"space telescope", "galaxies"} <= {entry["keyword"] for entry in found}
    assert [entry["score"] for entry in found] == sorted((entry["score"] for entry in found), reverse=True)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hello world", "en"),
        ("This is a great day for all of us.", "en"),
        ("Das ist ein schöner Tag für uns alle.", "de"),
        ("C'est une belle journée pour nous tous.", "fr"),
        ("El rápido zorro marrón salta sobre el perro.", "es"),
        ("Questa è una bella giornata per tutti noi.", "it"),
        ("De kat zit op de tafel in de keuken.", "nl"),
        ("Сегодня прекрасный день для всех нас.", "ru"),
        ("今日はとても良い天気です。", "ja"),
        ("今天天气很好,我们去公园吧。", "zh"),
        ("اليوم يوم جميل لنا جميعا", "ar"),
        ("12345 !?", "und"),
    ],
)
def test_the_language_of_a_text(text, code):
    output = run("language_detection", text)

    assert output["language"] == code
    assert 0 <= output["confidence"] <= 1


@pytest.mark.parametrize("text", ["", "   \n ", "!!!", "1 2 3"])
def test_texts_without_words_have_results_too(text):
    assert run("sentiment_analysis", text)["sentiment"] == "neutral"
    assert run("keyword_extraction", text) == {"keywords": []}
    assert run("language_detection", text)["language"] == "und"
    assert run("text_summary", "")["summary"] == ""


def test_an_unknown_task_type_names_the_nearest():
    with pytest.raises(Fatal, match="Did you mean 'sentiment_analysis'") as caught:
        run("sentimnt_analysis", "x")

    assert caught.value.code == "invalid_input"
    assert caught.value.errors[0].pointer == "/task_type"


@pytest.mark.parametrize(
    "given", [{"text": "x"}, {"task_type": "text_summary"}, {"task_type": "text_summary", "text": 1}]
)
def test_incomplete_input_is_a_final_error(given):
    with pytest.raises(Fatal) as caught:
        run_agent("text_processor", given, LocalContext())

    assert caught.value.code == "invalid_input"


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(Fatal, match="1000000"):
        run("text_summary", "x" * 1_000_001)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith lives in the U.S. today. He is well.", ["Dr. Smith lives in the U.S. today.", "He is well."]),
        ('She said "No." Then she left.', ['She said "No."', "Then she left."]),
        ("Version 2.0 is out. It has 3.5 stars!", ["Version 2.0 is out.", "It has 3.5 stars!"]),
        ("First line\n\nSecond line", ["First line", "Second line"]),
        ("これはペンです。それは本です。", ["これはペンです。", "それは本です。"]),
        ("", []),
    ],
)
def test_where_sentences_end(text, expected):
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "task_type", ["sentiment_analysis", "text_summary", "keyword_extraction", "language_detection"]
)
@pytest.mark.parametrize("piece", ["a", "but ", "! ", "A. ", "😀", "Dr. ", "\n- ", "x\n\n", "\"' ", "great bad "])
@bounded
def test_no_text_takes_for_ever(task_type, piece):
    text = piece * (60_000 // len(piece))

    assert run(task_type, text, max_sentences=100)
