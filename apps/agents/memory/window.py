"""The part of a session that a model is shown: the last turns that fit, and a summary of those before."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from apps.agents.memory.short_term import Turn
from apps.agents.memory.writing import CHARACTERS_OF_A_TOKEN, cut, data_block, tokens_of
from apps.integrations.language_models import Message

FEWEST_TOKENS = 400
USUAL_TOKENS = 4_000
SHARE_OF_SUMMARY = 0.25  # of the window, at most
SHARE_OF_TURNS = 0.5  # that stays after summarising, so that it is not done again at the next turn
LONGEST_QUOTED = 2_000  # characters of a turn that is summarised
LONGEST_PIECE = 24_000  # characters that are summarised in one go
SUMMARY_TITLE = "A summary of the earlier part of this conversation."


class Window(BaseModel):
    """What `ctx.session.window()` gives: `messages` is what a model is shown before the new question."""

    model_config = ConfigDict(frozen=True)

    summary: str = ""
    summary_seq: int = 0  # the last turn that the summary covers
    turns: tuple[Turn, ...] = ()
    tainted: bool = False  # whether any of it was made of what came from outside

    @property
    def messages(self) -> list[Message]:
        """Give the summary as a block of data, and the turns."""
        summary = [data_block(SUMMARY_TITLE, self.summary)] if self.summary else []
        return [*summary, *(turn.message for turn in self.turns)]


class Parted(BaseModel):
    """The turns of a session that stay in the window, and the older ones that have to be summarised."""

    summary: str = ""
    summary_seq: int = 0
    older: tuple[Turn, ...] = ()
    turns: tuple[Turn, ...] = ()
    tainted: bool = False


def part(turns: Sequence[Turn], tokens: int, *, summary: str, summary_seq: int, tainted: bool) -> Parted:
    """Part the turns behind the summary into those that fit and those before them."""
    tainted = tainted or any(turn.tainted for turn in turns)
    parted = Parted(summary=cut(summary, most_characters(tokens)), summary_seq=summary_seq, tainted=tainted)
    shown = [data_block(SUMMARY_TITLE, parted.summary)] if summary else []
    if tokens_of([*shown, *(turn.message for turn in turns)]) <= tokens:
        return parted.model_copy(update={"turns": tuple(turns)})
    count = _fitting(turns, int(tokens * SHARE_OF_TURNS))
    older, kept = turns[: len(turns) - count], turns[len(turns) - count :]
    if not kept:  # not even the last one fits: a part of it says more than none
        older, kept = turns[:-1], [_shortened(turns[-1], int(tokens * SHARE_OF_TURNS))]
    return parted.model_copy(update={"older": tuple(map(_quoted, older)), "turns": tuple(kept)})


def _fitting(turns: Sequence[Turn], tokens: int) -> int:
    """Count the last turns that fit; they do not begin with the answer to a call that is not among them."""
    count, left = 0, tokens
    for turn in reversed(turns):
        left -= tokens_of([turn.message])
        if left < 0:
            break
        count += 1
    while count and turns[-count].message.role == "tool":
        count -= 1
    return count


def _shortened(turn: Turn, tokens: int) -> Turn:
    """Give the turn with as much of its text as fits; a call and its answer need each other, and become text."""
    text = turn.message.content or ", ".join(f"called {call.name}" for call in turn.message.tool_calls)
    role = "assistant" if turn.message.role == "tool" else turn.message.role
    most = max(1, tokens - 8) * CHARACTERS_OF_A_TOKEN
    return turn.model_copy(update={"message": Message(role=role, content=cut(text, most))})


def _quoted(turn: Turn) -> Turn:
    """Give the turn with as much of its text as a summary is made of."""
    content = cut(turn.message.content, LONGEST_QUOTED)
    return turn.model_copy(update={"message": turn.message.model_copy(update={"content": content})})


def pieces(turns: Sequence[Turn]) -> list[str]:
    """Give the turns as text, in pieces that can be summarised one after the other."""
    found: list[str] = []
    for turn in turns:
        line = written(turn)
        if found and len(found[-1]) + len(line) < LONGEST_PIECE:
            found[-1] += f"\n\n{line}"
        else:
            found.append(line)
    return found


def written(turn: Turn) -> str:
    """Give a turn as a line of a protocol."""
    calls = "".join(f" [calls {call.name}]" for call in turn.message.tool_calls)
    return f"{turn.message.role}: {turn.message.content}{calls}"


def most_characters(tokens: int) -> int:
    """Say how long the summary in a window of so many tokens may be; the block around it takes its part, too."""
    return int(tokens * SHARE_OF_SUMMARY * CHARACTERS_OF_A_TOKEN)
