"""What experience says about the subjects that tasks are about."""

import re
from dataclasses import dataclass

WORD = re.compile(r"[a-z0-9]+")
STARTERS = frozenset(
    {"add", "build", "check", "create", "debug", "design", "develop", "fix", "implement", "improve", "make", "plan"}
    | {"please", "review", "test", "update", "write", "a", "an", "the", "our", "new", "this"}
)


@dataclass(frozen=True)
class Topic:
    """One subject: the words that name it, what to do about it on either side, and what a review looks for."""

    words: frozenset[str]
    frontend: tuple[str, ...] = ()
    backend: tuple[str, ...] = ()
    review: tuple[tuple[str, str, str], ...] = ()  # word that shows it was thought of, what is wrong without, remedy


def _topic(
    words: str,
    frontend: tuple[str, ...] = (),
    backend: tuple[str, ...] = (),
    review: tuple[tuple[str, str, str], ...] = (),
) -> Topic:
    return Topic(frozenset(words.split()), frontend, backend, review)


TOPICS = (
    _topic(
        "login signin auth authentication password session account signup registration",
        (
            "Fields for name and password with labels, autocomplete and a button to show the password",
            "One message for a wrong name and a wrong password",
        ),
        ("Compare the password with a slow hash, in constant time", "Issue a session that can be revoked"),
        (
            (
                "limit",
                "Nothing limits how often a password may be tried",
                "Limit the attempts per account",
            ),
            ("reset", "There is no way back in for who has forgotten the password", "Reset by a link that works once"),
        ),
    ),
    _topic(
        "form forms input field fields checkout survey",
        ("Check each field when it is left and all of them on sending", "Show errors beside their fields"),
        ("Check every field again on the server and name the wrong ones",),
        (
            (
                "twice",
                "A form sent twice does its work twice",
                "Give it a key that is accepted once",
            ),
            (
                "keyboard",
                "Nobody has tried it with the keyboard and a screen reader",
                "Tab order, labels and errors",
            ),
        ),
    ),
    _topic(
        "component components page pages screen ui view dashboard layout react button table",
        (
            "A component with typed properties and its states: empty, loading, failed, full",
            "Styles from the design tokens, in both themes and on small screens",
        ),
        (),
        (
            (
                "loading",
                "What people see while it loads is open",
                "Design the loading, empty and failed states",
            ),
        ),
    ),
    _topic(
        "api endpoint endpoints rest route service server webhook graphql",
        ("A typed client for the endpoint, with its errors as values",),
        (
            "Describe requests and answers in OpenAPI first",
            "Handler that validates, authorizes, acts and answers",
            "Problem documents with stable codes for every error",
        ),
        (
            ("pagination", "Lists have no pagination", "Keyset pagination with a bound on the page"),
            (
                "idempotency",
                "A repeated POST does its work twice",
                "Accept an idempotency key",
            ),
        ),
    ),
    _topic(
        "database db schema table migration model query sql storage",
        (),
        (
            "Schema with constraints and the indexes its queries need",
            "Migration that runs while the old code still does",
        ),
        (("backup", "Nobody has tried to restore a backup of it", "Restore one on a clean machine, on a schedule"),),
    ),
    _topic(
        "payment payments invoice billing order cart price",
        ("Amounts in the reader's currency, with what is charged when",),
        ("Whole minor units, never floats", "Payment by webhook with a verified signature"),
        (("refund", "There is no path for a refund and a failed payment", "Model both as states of the payment"),),
    ),
    _topic(
        "upload uploads file files image images document import export csv",
        ("Progress of the upload, and a way to cancel it",),
        ("Limit size and tell the type by content", "Store outside the web root under an id of our own"),
        (("virus", "What strangers upload is not scanned", "Scan before anybody may download it"),),
    ),
    _topic(
        "search filter list sort find",
        ("Search as people type, and the query in the URL",),
        ("Search through an index, with a bound on the result",),
        (("empty", "An empty result says nothing", "Say what to try next"),),
    ),
)

ALWAYS = Topic(
    frozenset(),
    ("Tests of what people do with it",),
    ("Tests against a real database", "Logs and metrics that show whether it works"),
    (("authorize", "Who may do this, and who may not, is not said", "Name the roles, and test each one that may not"),),
)


def topics_of(task: str) -> list[Topic]:
    """Give the topics whose words the task has, and what always counts."""
    found = set(WORD.findall(task.lower()))
    found |= {word.removesuffix("s") for word in found}
    return [topic for topic in TOPICS if topic.words & found] + [ALWAYS]


def subject_of(task: str) -> str:
    """Give what a task is about: "Create a login form" is about "login form"."""
    words = task.strip().rstrip(".!?").split()
    while len(words) > 1 and words[0].lower() in STARTERS:
        words = words[1:]
    return " ".join(words) or "the task"
