import pytest
from django_scopes import scope

from apps.agents import registry
from apps.agents.context import LocalContext
from apps.agents.runtime import run_agent
from apps.common.errors import Fatal
from apps.integrations.models import OutboxMessage

PATH = ("StartNode", "GetUserDataNode", "RouteUserByTypeNode", None, "SendWelcomeEmailNode", "EndNode")


def onboard(organization, **given):
    """Run the nodes as the state machine does: each gets the shared context and its result is merged in."""
    context, visited = dict(given), []
    route = None
    for name in PATH:
        name = name or route  # noqa: PLW2901 - the node that was chosen
        result = run_agent(name, context, LocalContext(organization.id, node=name))
        context |= result.output
        route = result.route or route
        visited.append(name)
    return context, visited


@pytest.mark.parametrize(
    ("user_type", "chosen"),
    [
        ("premium", "EscalateToPremiumSupportNode"),
        ("standard", "ProcessStandardUserNode"),
        (None, "ProcessStandardUserNode"),
    ],
)
def test_the_user_type_decides_the_way(organization, user_type, chosen):
    given = {"user_type": user_type} if user_type else {}

    context, visited = onboard(organization, **given)

    assert visited[3] == chosen
    assert context["support_level"] == (user_type or "standard")
    assert context["email_sent"] is True


def test_the_welcome_message_is_in_the_outbox(organization):
    onboard(organization, user_type="premium", name="Ana", email="ana@example.com")

    with scope(organization=organization):
        message = OutboxMessage.objects.get()
    assert (message.to, message.subject) == ("ana@example.com", "Welcome, Ana")
    assert "premium" in message.body


def test_the_router_declares_where_it_may_go():
    targets = registry.get("RouteUserByTypeNode").targets

    assert targets == ("EscalateToPremiumSupportNode", "ProcessStandardUserNode")
    assert all(registry.get(target) for target in targets)


def test_an_unknown_user_type_is_a_final_error(organization):
    with pytest.raises(Fatal, match="Did you mean 'premium'"):
        onboard(organization, user_type="premum")
