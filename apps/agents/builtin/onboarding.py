"""The node classes of the state-machine demo "Agentic User Onboarding"."""

from typing import Any

from apps.agents.context import Context
from apps.agents.sdk import BaseNode, Route
from apps.common.errors import ErrorItem
from apps.common.registry import nearest
from apps.common.validation import InvalidInput

USER_TYPES = ("premium", "standard")
DEFAULT_USER = {"user_type": "standard", "name": "New user", "email": "new.user@example.com"}

Shared = dict[str, Any]


class StartNode(BaseNode):
    """Begins a state machine; changes nothing."""

    def run(self, context: Shared, ctx: Context) -> Shared:  # noqa: ARG002
        return {}


class EndNode(BaseNode):
    """Ends a path of a state machine; its output is the shared context as it is then."""

    def run(self, context: Shared, ctx: Context) -> Shared:  # noqa: ARG002
        return context


class GetUserDataNode(BaseNode):
    """Takes the user from the run's input: `user_type` (premium or standard), `name`, `email`, all with defaults."""

    def run(self, context: Shared, ctx: Context) -> Shared:
        user = {field: context.get(field) or default for field, default in DEFAULT_USER.items()}
        user["user_type"] = _user_type(user["user_type"])
        ctx.log.info("Found the user.", name=user["name"], user_type=user["user_type"])
        return user


class RouteUserByTypeNode(BaseNode):
    """Sends premium users to people and the others on by themselves."""

    targets = ("EscalateToPremiumSupportNode", "ProcessStandardUserNode")

    def run(self, context: Shared, ctx: Context) -> Route:  # noqa: ARG002
        is_premium = _user_type(context.get("user_type", "standard")) == "premium"
        return Route("EscalateToPremiumSupportNode" if is_premium else "ProcessStandardUserNode")


class EscalateToPremiumSupportNode(BaseNode):
    """Gives a premium user a person of the support team."""

    def run(self, context: Shared, ctx: Context) -> Shared:
        ctx.log.info("Escalated to premium support.", name=context.get("name"))
        return {
            "support_level": "premium",
            "contact": "premium-support@example.com",
            "next_steps": ["A person of our premium support calls you today.", "Your data is moved over by us."],
        }


class ProcessStandardUserNode(BaseNode):
    """Sets a standard user up without a person's help."""

    def run(self, context: Shared, ctx: Context) -> Shared:
        ctx.log.info("Set up a standard account.", name=context.get("name"))
        return {
            "support_level": "standard",
            "contact": "help@example.com",
            "next_steps": ["Read the first steps.", "Ask the community when you are stuck."],
        }


class SendWelcomeEmailNode(BaseNode):
    """Writes the welcome message that fits, into the outbox."""

    def run(self, context: Shared, ctx: Context) -> Shared:
        user = {**DEFAULT_USER, **{field: context[field] for field in DEFAULT_USER if context.get(field)}}
        sent = ctx.call_tool(
            "outbox.send",
            {
                "to": str(user["email"]),
                "subject": f"Welcome, {user['name']}",
                "body": _letter(str(user["name"]), context),
            },
        )
        return {"welcome_email": sent["id"], "email_sent": True}


def _user_type(given: Any) -> str:
    user_type = str(given).strip().lower()
    if user_type not in USER_TYPES:
        message = f"user_type is 'premium' or 'standard', not {given!r}.{nearest(user_type, USER_TYPES)}"
        raise InvalidInput(message, errors=[ErrorItem("/user_type", "unknown_user_type", message)])
    return user_type


def _letter(name: str, context: Shared) -> str:
    steps = "\n".join(f"- {step}" for step in context.get("next_steps", []))
    level = context.get("support_level", "standard")
    contact = context.get("contact", "help@example.com")
    return f"Hello {name},\n\nwelcome! You have {level} support: {contact}.\n\n{steps}\n"
