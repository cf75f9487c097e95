"""The roles that write and object: code, texts, criticism."""

import re
from typing import Any

from apps.agents.builtin.roles.base import RoleAgent, counted, sentences_of
from apps.agents.builtin.roles.topics import subject_of, topics_of

LONGEST_SENTENCE = 30  # words, beyond which people read it twice
CHECKS = (  # pattern that shows it was thought of, what is missing without, remedy
    (r"\d", "No figure says how much, how many or until when", "Give the figure that the claim rests on"),
    (r"https?://|source|according to|\[\d+\]", "No source is named", "Name who says so, and where"),
    (
        r"\b(but|however|although|risk|limit|unless)",
        "Nothing is said against it",
        "Meet the best objection",
    ),
    (r"\b(for example|such as|e\.g\.)", "It has no example", "Show one case from beginning to end"),
)


class Code(RoleAgent):
    """Writes the code of one part by a model; by rules, without one, it plans the work and writes no file."""

    name = "code"
    capabilities = ("code", "coding")
    may_be_replaced = True

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        planned = [step for result in earlier for step in result.get("plan") or [] if isinstance(step, str)]
        steps = planned or [step for topic in topics_of(task) for step in (*topic.frontend, *topic.backend)]
        plan = [f"Write and test: {step}" for step in dict.fromkeys(steps)]
        summary = f"{counted(plan, 'step')} to the code of {subject_of(task)}; to write files it needs a model."
        return {"summary": summary, "plan": plan, "files": []}


class Writer(RoleAgent):
    """Writes a text by a model; by rules, without one, it puts together what was found before."""

    name = "writer"
    capabilities = ("writer", "writing")
    may_be_replaced = True

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        subject = subject_of(task)
        parts = [(subject_of(result["task"]), sentences_of(result)) for result in earlier]
        parts = [(about, sentences) for about, sentences in parts if sentences] or [(subject, ["[No material yet.]"])]
        title = subject[:1].upper() + subject[1:]
        sections = [f"## {about}\n\n{' '.join(sentences)}" for about, sentences in parts]
        return {
            "summary": f"{title}: {counted(parts, 'part')}, put together without a model.",
            "plan": [f"Say what is known of {about}" for about, _ in parts],
            "title": title,
            "text": "\n\n".join([f"# {title}", *sections]),
        }


class Critic(RoleAgent):
    """Objects to texts, plans and arguments: by a model, or by rules where there is only the demo model."""

    name = "critic"
    capabilities = ("critic", "critique")
    may_be_replaced = True

    def work(self, task: str, earlier: list[dict[str, Any]]) -> dict[str, Any]:
        read = [(subject_of(result["task"]), _text_of(result)) for result in earlier] or [(subject_of(task), task)]
        findings = [finding for about, text in read for finding in _objections(about, text)]
        kept = [f"{about} is in short sentences" for about, text in read if not _is_long(text)]
        return {
            "summary": f"Read {counted(read, 'text')}, {counted(findings, 'objection')}.",
            "plan": [f"{one['remedy']} ({one['about']})" for one in findings] or ["Leave it as it is"],
            "findings": findings,
            "approved": not findings,
            "strengths": kept,
        }


def _text_of(result: dict[str, Any]) -> str:
    text = result.get("text")
    return text if isinstance(text, str) else " ".join(sentences_of(result))


def _objections(about: str, text: str) -> list[dict[str, str]]:
    found = [(missing, remedy) for shown, missing, remedy in CHECKS if not re.search(shown, text, re.IGNORECASE)]
    if _is_long(text):
        found.append((f"A sentence has more than {LONGEST_SENTENCE} words", "Make two sentences of it"))
    return [{"about": about, "finding": missing, "remedy": remedy} for missing, remedy in found]


def _is_long(text: str) -> bool:
    return any(len(sentence.split()) > LONGEST_SENTENCE for sentence in re.split(r"[.!?]\s|\n", text))
