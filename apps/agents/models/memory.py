"""What agents keep between runs: sessions with their turns, and memories."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.models import OrganizationModel
from apps.common.fields import JSONTextField, VectorField
from apps.integrations.embeddings import WIDTH

LONGEST_KEY = 200
LONGEST_TEXT = 4_000  # of a memory


class AgentSession(OrganizationModel):
    """A conversation that runs go on with: what nodes with this `session` have said and heard.

    Its row is locked while turns are added, which makes their `seq` gapless.
    """

    key = models.CharField(max_length=LONGEST_KEY)  # as the node's field `session` names it
    agent = models.CharField(max_length=100, blank=True, default="")  # who began it; each turn says whose it is
    created_by = models.CharField(max_length=200, blank=True, default="")
    last_used_at = models.DateTimeField(db_default=Now())
    last_seq = models.PositiveIntegerField(default=0)
    summary = models.TextField(blank=True, default="")
    summary_seq = models.PositiveIntegerField(default=0)  # the last turn that the summary covers
    summary_tainted = models.BooleanField(default=False)

    class Meta:
        verbose_name = "session"
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="one_session_of_a_key")]
        indexes = [
            models.Index(fields=["organization", "-last_used_at", "-id"], name="session_last_used"),
            models.Index(fields=["last_used_at"], name="session_unused"),  # of all organizations, for retention
        ]

    def __str__(self) -> str:
        return self.key


class SessionTurn(OrganizationModel):
    """Something that was said in a session; it is added and never changed."""

    session = models.ForeignKey(AgentSession, on_delete=models.CASCADE, related_name="turns", db_index=False)
    seq = models.PositiveIntegerField()
    role = models.CharField(max_length=10)
    content = models.TextField(blank=True)
    tool_calls = JSONTextField(default=list)
    tool_call_id = models.CharField(max_length=200, blank=True, default="")
    tainted = models.BooleanField(default=False)  # made of what came from outside
    agent = models.CharField(max_length=100, blank=True, default="")
    run_id = models.UUIDField(null=True, blank=True)  # a plain id: runs belong to an app above, and leave earlier
    node = models.CharField(max_length=200, blank=True, default="")
    visit = models.PositiveIntegerField(default=1)
    origin = models.CharField(max_length=500)  # the same in every attempt, so that a turn is added once

    class Meta:
        verbose_name = "turn"
        ordering = ["session", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["session", "seq"], name="one_turn_of_a_seq"),
            models.UniqueConstraint(fields=["session", "origin"], name="turn_added_once"),
            models.CheckConstraint(condition=Q(role__in=["user", "assistant", "tool"]), name="turn_is_no_instruction"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.role}"


class Memory(OrganizationModel):
    """A sentence or a few that an agent keeps, and finds again by what it is about."""

    class Kind(models.TextChoices):
        """What it is."""

        FACT = "fact"
        REFLECTION = "reflection"  # a lesson that an agent has drawn from a run
        NOTE = "note"

    session = models.ForeignKey(
        AgentSession, null=True, blank=True, on_delete=models.CASCADE, related_name="memories", db_index=False
    )  # None: for the agent in all its sessions
    agent = models.CharField(max_length=100, blank=True, default="")  # empty: for every agent of the session
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.NOTE)
    text = models.TextField(max_length=LONGEST_TEXT)
    importance = models.FloatField(default=0.5)
    tainted = models.BooleanField(default=False)  # written by a run that had read what came from outside
    run_id = models.UUIDField(null=True, blank=True)
    node = models.CharField(max_length=200, blank=True, default="")
    origin = models.CharField(max_length=500)
    last_recalled_at = models.DateTimeField(null=True, blank=True)
    recalls = models.PositiveIntegerField(default=0)
    embedder = models.CharField(max_length=100)  # only vectors of one provider can be compared
    embedding = VectorField(WIDTH)

    class Meta:
        verbose_name = "memory"
        verbose_name_plural = "memories"
        # No index of vectors: a recall reads the memories of one agent or session, and those go by these.
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="memory_newest"),
            models.Index(fields=["organization", "agent", "-created_at", "-id"], name="memory_of_agent"),
            models.Index(fields=["session", "-created_at", "-id"], name="memory_of_session"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["organization", "origin"], name="memory_kept_once"),
            models.CheckConstraint(condition=~Q(session=None, agent=""), name="memory_is_somebodys"),
            models.CheckConstraint(condition=Q(importance__gt=0, importance__lte=1), name="memory_importance"),
            models.CheckConstraint(condition=Q(kind__in=["fact", "reflection", "note"]), name="memory_kind"),
        ]

    def __str__(self) -> str:
        return self.text[:80]
