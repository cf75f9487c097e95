"""Who may do what, in which organization. Secrets are kept as digests only."""

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Now
from django_scopes import ScopedManager
from django_scopes.manager import DisabledQuerySet

from apps.common.clock import now
from apps.common.ids import uuid7
from apps.common.models import BaseModel

API_KEY_LIFETIME = timedelta(days=90)
IDEMPOTENCY_LIFETIME = timedelta(hours=24)
INVITATION_LIFETIME = timedelta(days=7)


class Capability(StrEnum):
    """What an endpoint asks of the caller."""

    VIEW = "view"
    RUN = "run"
    EDIT = "edit"
    MANAGE = "manage"


class Role(models.TextChoices):
    """What a member or a key may do; each role includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    EDITOR = "editor"
    ADMIN = "admin"
    OWNER = "owner"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Give what this role may do."""
        return CAPABILITIES[self]

    def includes(self, other: "Role") -> bool:
        """Tell whether this role may do all that the other may, so that it may be given by its holder."""
        order = list(Role)
        return order.index(self) >= order.index(other)

    def may_invite(self, role: "Role") -> bool:
        """Tell whether a member in this role may invite somebody to that one."""
        return Capability.MANAGE in self.capabilities and self.includes(role)


CAPABILITIES = {
    Role.VIEWER: frozenset({Capability.VIEW}),
    Role.OPERATOR: frozenset({Capability.VIEW, Capability.RUN}),
    Role.EDITOR: frozenset({Capability.VIEW, Capability.RUN, Capability.EDIT}),
    Role.ADMIN: frozenset(Capability),
    Role.OWNER: frozenset(Capability),
}


class User(AbstractUser):
    """A person who signs in; what they may do is in their memberships."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)


class Organization(BaseModel):
    """The owner of every other row."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=50, unique=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name


M = TypeVar("M", bound=models.Model)

if TYPE_CHECKING:
    ScopedBase = models.Manager
else:
    ScopedBase = type(ScopedManager(organization="organization"))


class ClosedQuerySet(DisabledQuerySet):  # type: ignore[misc] # django-scopes has no types
    """Refuses what django-scopes forgets to refuse when there is no scope."""

    contains = exclude = exists = in_bulk = explain = DisabledQuerySet.error


class OrganizationManager(ScopedBase[M]):
    """Reaches the rows of the organization in scope; without a scope every query raises ScopeError."""

    def get_queryset(self) -> models.QuerySet[M]:
        """Give the rows that may be seen."""
        found: models.QuerySet[M] = super().get_queryset()
        if isinstance(found, DisabledQuerySet):
            return ClosedQuerySet(self.model, using=self._db, missing_scopes={"organization"})
        return found


class OrganizationModel(BaseModel):
    """A row of one organization; without `django_scopes.scope(organization=...)` no query reaches it.

    Subclasses index `organization` together with what they sort or filter by.
    """

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)

    objects = OrganizationManager()

    class Meta:
        abstract = True


class Membership(OrganizationModel):
    """A user's role in an organization."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER)
    token_version = models.PositiveIntegerField(default=1)  # raising it ends every token issued before

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="one_membership_per_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role}"


class ApiKey(OrganizationModel):
    """A program's access to one organization: `ork_<env>_<public id>_<secret>_<checksum>`, shown once."""

    name = models.CharField(max_length=100)
    public_id = models.CharField(max_length=8, unique=True)
    digest = models.CharField(max_length=64)  # SHA-256 of the secret: 256 random bits need no slow hash
    role = models.CharField(max_length=20, choices=Role, default=Role.OPERATOR)
    scopes = models.JSONField(default=list, blank=True)  # capabilities it is narrowed to; empty: all of its role's
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        indexes = [models.Index(fields=["organization", "-created_at", "-id"], name="api_key_newest")]

    def __str__(self) -> str:
        return f"{self.name} ({self.public_id})"

    @property
    def has_expired(self) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now()


class RefreshToken(BaseModel):
    """One use of a sign-in: refreshing takes this one and makes the next of its family.

    A token that comes back after it was used has been copied: the whole family ends.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    family = models.UUIDField()
    digest = models.CharField(max_length=64, unique=True)
    password_mark = models.CharField(max_length=16)  # changes with the password: a new one ends every sign-in
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["family"], name="refresh_token_family")]

    def __str__(self) -> str:
        return f"refresh token of {self.user}"


class IdempotentRequest(OrganizationModel):
    """The first answer to an `Idempotency-Key`, given again for a day."""

    key = models.CharField(max_length=255)
    method = models.CharField(max_length=10)
    path = models.TextField()
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)  # null only inside the transaction that does the work
    response = models.TextField(default="")  # JSON as it was sent, so that a replay is the same to the byte
    expires_at = models.DateTimeField(db_default=Now() + IDEMPOTENCY_LIFETIME, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="one_answer_per_idempotency_key")]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Invitation(OrganizationModel):
    """A link that makes whoever opens it first a member; its token is kept as a digest and shown once."""

    email = models.EmailField(blank=True, default="")  # for whom it is meant; a note, as nobody proves an address
    role = models.CharField(max_length=20, choices=Role, default=Role.VIEWER)
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["organization", "-created_at", "-id"], name="invitation_newest")]

    def __str__(self) -> str:
        return f"invitation as {self.role}"
