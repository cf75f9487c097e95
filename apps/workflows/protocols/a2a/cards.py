"""Agent cards: who answers where, and what can be asked."""

from collections.abc import Iterable

from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentProvider,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from a2a.utils.constants import PROTOCOL_VERSION_0_3, PROTOCOL_VERSION_1_0, TransportProtocol
from django.conf import settings

from apps.workflows.protocols.a2a.skills import Skill

TEXT, DATA = "text/plain", "application/json"


def card_of(skill: Skill, *, at_front: bool = False, others: Iterable[Skill] = ()) -> AgentCard:
    """The card of one workflow or agent; the one at the front may name others that it can be asked for."""
    base = settings.ORCHESTRA_BASE_URL.rstrip("/")
    url = f"{base}/a2a" if at_front else f"{base}/a2a/{skill.name}"
    return AgentCard(
        name="Orchestra" if at_front else skill.title,
        description=skill.description,
        version="1",
        provider=AgentProvider(organization="Orchestra", url=base),
        documentation_url=f"{base}/v1/docs",
        supported_interfaces=[
            AgentInterface(url=url, protocol_binding=TransportProtocol.JSONRPC.value, protocol_version=version)
            for version in (PROTOCOL_VERSION_1_0, PROTOCOL_VERSION_0_3)
        ],
        capabilities=AgentCapabilities(streaming=True, push_notifications=False, extended_agent_card=at_front),
        security_schemes={
            "bearer": SecurityScheme(
                http_auth_security_scheme=HTTPAuthSecurityScheme(scheme="bearer", description="An API key.")
            )
        },
        security_requirements=[SecurityRequirement(schemes={"bearer": StringList()})],
        default_input_modes=[TEXT, DATA],
        default_output_modes=[TEXT, DATA],
        skills=[_skill(one) for one in (skill, *(other for other in others if other.name != skill.name))],
    )


def _skill(skill: Skill) -> AgentSkill:
    return AgentSkill(
        id=skill.name,
        name=skill.title,
        description=skill.description,
        tags=list(skill.tags),
        input_modes=[TEXT, DATA],
        output_modes=[TEXT, DATA],
    )
