"""The models in the settings."""

import pytest

from apps.integrations.language_models import registry


class Named:
    """A model as a plugin would bring it."""

    name = "acme/<b>large</b>"
    description = "Answers & asks."
    is_demo = False

    async def answer(self, request, hear):
        """Never asked here."""
        raise NotImplementedError


@pytest.fixture
def plugin():
    registry.register(Named())
    yield
    registry.unregister(Named.name)


def test_the_settings_list_every_model_and_say_which_are_for_demos(browser, plugin):
    page = browser.viewer.get("/settings/models").content.decode()

    assert '<code>demo/scripted</code> <span class="tag">demo</span>' in page
    assert "<code>acme/&lt;b&gt;large&lt;/b&gt;</code></p>" in page
    assert "Answers &amp; asks." in page
    assert "cannot be set up here yet" in page
