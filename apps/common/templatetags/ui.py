"""The components of pages (`{% load ui %}`): icons, statuses, figures, and the blocks that stand around content.

`/ui` shows all of them with what to write. A component is a template in `templates/components/`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from apps.common import json
from apps.common.ids import short_id
from apps.common.money import cost_text, usd

register = template.Library()

NOTHING = "—"


# ---- icons and statuses ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """How a status looks: never its colour alone."""

    word: str
    tone: str  # one of the `tone-...` classes
    shape: str  # the icon `status-...`


LOOKS: Mapping[str, Look] = {
    "pending": Look("Queued", "queued", "queued"),
    "queued": Look("Queued", "queued", "queued"),
    "running": Look("Running", "running", "running"),
    "waiting": Look("Waiting", "waiting", "waiting"),
    "paused": Look("Paused", "waiting", "paused"),
    "retrying": Look("Retrying", "retrying", "retrying"),
    "completed": Look("Completed", "completed", "completed"),
    "failed": Look("Failed", "failed", "failed"),
    "timed_out": Look("Timed out", "failed", "timed-out"),
    "cancelled": Look("Cancelled", "cancelled", "cancelled"),
    "skipped": Look("Skipped", "skipped", "skipped"),
    # Agents outside
    "idle": Look("Idle", "completed", "completed"),
    "busy": Look("Busy", "running", "running"),
    "draining": Look("Draining", "waiting", "paused"),
    "disabled": Look("Disabled", "cancelled", "cancelled"),
    "offline": Look("Offline", "skipped", "skipped"),
    # Questions to people
    "open": Look("Waiting", "waiting", "waiting"),
    "approved": Look("Approved", "completed", "completed"),
    "rejected": Look("Rejected", "failed", "failed"),
    "sent_back": Look("Sent back", "retrying", "retrying"),
    "expired": Look("Expired", "cancelled", "cancelled"),
}


def look_of(status: object) -> Look:
    """Give the look of a status; one that is unknown here looks queued and says its own name."""
    known = LOOKS.get(str(status))
    return known or Look(str(status).replace("_", " ").capitalize(), "queued", "queued")


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """Draw an icon of the sprite; without a label it is decoration."""
    hidden = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    sprite = static("icons.svg")
    return format_html('<svg class="icon {}" {}><use href="{}#{}"/></svg>', css, hidden, sprite, name)


@register.simple_tag
def status_icon(status: object) -> SafeString:
    """Draw the shape of a status in its colour; the word is for those who do not see it."""
    look = look_of(status)
    turning = " turning" if look.shape == "running" else ""
    return icon(f"status-{look.shape}", look.word, f"status-icon tone-{look.tone}{turning}")


@register.inclusion_tag("components/status_pill.html")
def status_pill(status: object, note: str = "", announce: bool = False) -> dict[str, Any]:
    """Show a status: colour, shape and word, with a note such as `2/3`; announced when it changes, if asked."""
    return {"look": look_of(status), "status": str(status), "note": note, "announce": announce}


# ---- figures --------------------------------------------------------------------------------------


@register.filter
def duration(value: timedelta | float | None) -> str:
    """Say how long something took, with as much precision as is read: 412 ms, 2.3 s, 4 min 5 s, 2 h 10 min, 3 d 4 h."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    for unit, size, rest, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            more = int(seconds % size // part)
            return f"{int(seconds // size)} {unit}" + (f" {more} {rest}" if more else "")
    raise AssertionError


@register.filter
def duration_ms(milliseconds: float) -> str:
    """Say the same of what was measured in milliseconds."""
    return duration(milliseconds / 1000)


@register.filter
def ago(moment: datetime | None) -> str | SafeString:
    """Say how long ago something was; the browser keeps it true, and shows the time itself on hover."""
    if moment is None:
        return NOTHING
    since = (timezone.now() - moment).total_seconds()
    return format_html(
        '<time datetime="{}" title="{} UTC" data-ago>{}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S}",
        ago_words(since),
    )


def ago_words(seconds: float) -> str:
    """Say the words, as static/js/times.js does."""
    if abs(seconds) < 5:  # noqa: PLR2004
        return "now"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if abs(seconds) >= size:
            words = f"{int(abs(seconds) // size)} {unit}"
            return f"in {words}" if seconds < 0 else f"{words} ago"
    raise AssertionError


@register.filter
def money(dollars: Decimal | float | None) -> str:
    """Write an amount: four decimals, six below a cent's hundredth."""
    if dollars is None:
        return NOTHING
    amount = Decimal(str(dollars))
    return f"${amount:,.6f}" if 0 < amount < Decimal("0.0001") else f"${amount:,.4f}"


@register.filter
def micro_money(micro_usd: int) -> str:
    """Write an amount of millionths of a dollar exactly, with up to six decimals."""
    text = usd(abs(micro_usd))
    return f"-${text}" if micro_usd < 0 else f"${text}"


@register.filter
def figure(number: float | None) -> str:
    """Write a number with its thousands apart."""
    return NOTHING if number is None else f"{number:,}"


register.filter("short_id", short_id)
register.filter("cost", cost_text)


@register.filter
def actor(name: str) -> str:
    """Say who did something: `user:ada` is ada, `key:ork_live_…` the key that begins so, `timeout` nobody."""
    kind, _, rest = name.partition(":")
    if name == "timeout":
        return "nobody in time"
    return {"user": rest, "key": f"the key {rest}"}.get(kind, name)


@register.filter
def written(text: str) -> SafeString:
    """Show a docstring: the lines of a paragraph flow, those of a list stay, and what stands in backticks is code."""
    flowing = re.sub(r"(?<=\S)\n(?!\n|\s*[-*] )\s*", " ", text)
    return mark_safe(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", escape(flowing)))  # noqa: S308 - escaped


@register.filter
def opening(text: str) -> str:
    """Give the first paragraph of a docstring, without the list that follows."""
    return re.split(r"\n\s*(?:\n|[-*] )", text, maxsplit=1)[0]


@register.filter
def as_json(value: Any) -> str:
    """Write a value as people read JSON."""
    return json.dumps(value, indent=True).decode()


# ---- blocks around content ------------------------------------------------------------------------


@register.simple_block_tag
def card(content: str, title: str = "", heading_id: str = "", flush: bool = False, css: str = "") -> str:
    """Frame content; `flush` leaves out the inner margin, for tables and graphs."""
    names = {"title": title, "heading_id": heading_id, "flush": flush, "css": css}
    return render_to_string("components/card.html", {"content": content, **names})


@register.simple_block_tag
def dialog(content: str, id: str, title: str) -> str:  # noqa: A002 - as the attribute is called
    """Give a modal dialog, opened by any button with `data-opens="<id>"`."""
    return render_to_string("components/dialog.html", {"content": content, "id": id, "title": title, "kind": "dialog"})


@register.simple_block_tag
def drawer(content: str, id: str, title: str) -> str:  # noqa: A002 - as the attribute is called
    """Give a panel that slides over the right side, opened by any button with `data-opens="<id>"`."""
    return render_to_string("components/dialog.html", {"content": content, "id": id, "title": title, "kind": "drawer"})


@register.simple_block_tag
def menu(content: str, id: str, label: str, icon: str = "ellipsis", css: str = "square ghost") -> str:  # noqa: A002
    """Give a button with a menu of links and buttons; the label is shown unless the button is `square`."""
    names = {"id": id, "label": label, "icon": icon, "css": css, "square": "square" in css}
    return render_to_string("components/menu.html", {"content": content, **names})


@register.simple_block_tag
def banner(content: str, tone: str = "accent", icon: str = "info", announce: bool = False) -> str:
    """Say one sentence above the page, with the button for it; start with the subject in `<strong>`."""
    names = {"tone": tone, "icon": icon, "announce": announce}
    return render_to_string("components/banner.html", {"content": content, **names})


@register.simple_block_tag
def empty(content: str, icon: str, sentence: str) -> str:
    """Say that there is nothing yet; the content is one primary action and one link."""
    return render_to_string("components/empty.html", {"content": content, "icon": icon, "sentence": sentence})
