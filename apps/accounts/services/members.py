"""Who belongs to an organization, and in which role: nobody gives or takes more than they have themselves.

An organization always has an owner. A role counts from the next request on, and so does its end.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django_scopes import scope, scopes_disabled

from apps.accounts import selectors
from apps.accounts.access import Access
from apps.accounts.models import INVITATION_LIFETIME, ApiKey, Invitation, Membership, Organization, Role, User
from apps.accounts.services.keys import revoke_keys
from apps.common.clock import now
from apps.common.errors import BadRequest, Conflict, NotFound, PermissionDenied

TOKEN_BYTES = 32
LONGEST_NAME = 100

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedInvitation:
    """An invitation with its token, which nobody can see again."""

    invitation: Invitation
    token: str

    def __repr__(self) -> str:
        return f"CreatedInvitation({self.invitation.pk})"


@dataclass(frozen=True, slots=True)
class Excess:
    """What a member has given that goes beyond the role they come to have, or beyond none."""

    keys: Sequence[ApiKey]
    invitations: Sequence[Invitation]

    def __bool__(self) -> bool:
        return bool(self.keys or self.invitations)


@transaction.atomic
def what_would_end(access: Access, membership: Membership, role: Role) -> Excess:
    """Give what another role would put an end to; raises as `change_role` does."""
    return _excess_of(_changeable(access, membership, role), role)


@transaction.atomic
def change_role(access: Access, membership: Membership, role: Role) -> None:
    """Give a member another role; what they have given beyond it, keys and invitations, ends with it."""
    current = _changeable(access, membership, role)
    Membership.objects.filter(pk=current.pk).update(role=role, token_version=current.token_version + 1)
    beyond = _excess_of(current, role)
    revoke_keys(beyond.keys)
    _withdraw_all(beyond.invitations)
    log.info("A member has another role.", action="role_changed", user_id=str(current.user_id), role=role)


@transaction.atomic
def remove_member(access: Access, membership: Membership, *, keep_keys: bool = False) -> None:
    """End a membership at once, one's own too, with the invitations and, unless they are kept, the keys they made."""
    current = _locked(access, membership)
    if current.role == Role.OWNER:
        _refuse_the_last_owner(current)
    beyond = _excess_of(current, None)
    _withdraw_all(beyond.invitations)
    if not keep_keys:
        revoke_keys(beyond.keys)
    current.delete()
    log.info("A member was removed.", action="member_removed", user_id=str(current.user_id))


def invite(access: Access, *, role: Role, email: str = "") -> CreatedInvitation:
    """Make a link for one new member; it is good for a week."""
    if not access.role.may_invite(role):
        raise PermissionDenied(f"Only an owner makes owners; you are {access.role}.", code="role_too_high")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    invitation = Invitation.objects.create(
        organization=access.organization,
        email=email,
        role=role,
        digest=_digest(token),
        invited_by=access.user,
        expires_at=now() + INVITATION_LIFETIME,
    )
    log.info("Somebody was invited.", action="member_invited", role=role)
    return CreatedInvitation(invitation, token)


def withdraw(invitation: Invitation) -> None:
    """End an invitation; its link leads nowhere from now on."""
    invitation.delete()
    log.info("An invitation was withdrawn.", action="invitation_withdrawn")


def find_invitation(token: str) -> Invitation:
    """Give the invitation of a link, with its organization; raises NotFound for one that was used or has run out."""
    with scopes_disabled():
        waiting = Invitation.objects.filter(digest=_digest(token), expires_at__gt=Now())
        found = waiting.select_related("organization", "invited_by").first()
    if found is None or not _may_still_be_sent(found):
        raise NotFound("This invitation was used, withdrawn, or has run out; ask for another.", code="no_invitation")
    return found


@transaction.atomic
def accept(token: str, user: User) -> Organization:
    """Make somebody a member; the link is used up. Who is a member already keeps their role."""
    invitation = find_invitation(token)
    with scope(organization=invitation.organization):
        # Of two who use the link at one moment, one deletes the row.
        deleted, _ = Invitation.objects.filter(pk=invitation.pk).delete()
        if not deleted:
            raise Conflict("Somebody has just used this invitation.", code="invitation_used")
        Membership.objects.get_or_create(
            organization=invitation.organization, user=user, defaults={"role": invitation.role}
        )
    log.info("An invitation was accepted.", action="invitation_accepted", user_id=str(user.pk), role=invitation.role)
    return invitation.organization


@transaction.atomic
def sign_up(token: str, *, username: str, password: str) -> User:
    """Make an account for somebody who was invited, and accept; BadRequest for a name or password that will not do."""
    invitation = find_invitation(token)
    user = User(username=username.strip(), email=invitation.email)
    try:
        user.set_password(password)
        user.full_clean(exclude=["password"])
        validate_password(password, user)
        with transaction.atomic():
            user.save(force_insert=True)
    except ValidationError as wrong:
        raise BadRequest(" ".join(wrong.messages), code="invalid_account") from None
    except IntegrityError:
        raise BadRequest("A user with that username already exists.", code="invalid_account") from None
    accept(token, user)
    return user


def rename_organization(organization: Organization, name: str) -> None:
    """Give an organization another name; its slug stays, because programs use it."""
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadRequest(f"The name must have 1 to {LONGEST_NAME} characters.", code="invalid_name")
    Organization.objects.filter(pk=organization.pk).update(name=name)
    organization.name = name


def _excess_of(membership: Membership, role: Role | None) -> Excess:
    """The keys that may do more than this role, and the invitations that it may not send; None is no role."""
    keys = selectors.keys_made_by(membership.user_id)
    invitations = selectors.invitations_from(membership.user_id)
    return Excess(
        [one for one in keys if role is None or not role.includes(Role(one.role))],
        [one for one in invitations if role is None or not role.may_invite(Role(one.role))],
    )


def _withdraw_all(invitations: Sequence[Invitation]) -> None:
    for invitation in invitations:
        withdraw(invitation)


def _may_still_be_sent(invitation: Invitation) -> bool:
    """Whether who invited could do so now: they may have been made less since, by whatever way."""
    with scope(organization=invitation.organization):
        sender = Membership.objects.filter(user=invitation.invited_by).first() if invitation.invited_by else None
    return sender is not None and Role(sender.role).may_invite(Role(invitation.role))


def _changeable(access: Access, membership: Membership, role: Role) -> Membership:
    """The membership, locked, after all that speaks against this role."""
    current = _locked(access, membership)
    if not access.role.includes(role):
        raise PermissionDenied(f"Only an owner makes owners; you are {access.role}.", code="role_too_high")
    if current.role == Role.OWNER and role != Role.OWNER:
        _refuse_the_last_owner(current)
    return current


def _locked(access: Access, membership: Membership) -> Membership:
    """The membership as it is, with all of the organization's owners locked: two of them cannot leave at one moment."""
    list(Membership.objects.select_for_update().filter(role=Role.OWNER).order_by("pk"))
    current = Membership.objects.select_for_update(of=("self",)).filter(pk=membership.pk).first()
    if current is None:
        raise NotFound("This member has left already.", code="membership_not_found")
    is_own = access.user is not None and current.user_id == access.user.pk
    if not is_own and not access.role.includes(Role(current.role)):
        raise PermissionDenied(f"Only an owner changes owners; you are {access.role}.", code="role_too_high")
    return current


def _refuse_the_last_owner(membership: Membership) -> None:
    others = Membership.objects.filter(role=Role.OWNER).exclude(pk=membership.pk)
    if not others.exists():
        raise Conflict("An organization needs an owner: make somebody else one first.", code="last_owner")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
