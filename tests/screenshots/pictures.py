"""Which pictures there are, and how each page comes to look as it does."""

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from orchestra.access import Access
from orchestra.demo import call
from tests.screenshots.work import MODEL, Work


@dataclass(frozen=True)
class Scene:
    """What a picture is taken of."""

    page: Page
    access: Access
    work: Work

    def brief(self) -> str:
        """Start the market brief, whose page is looked at while it goes on; its model is the demo model again."""
        call(self.access, "PATCH", f"/v1/models/{MODEL}", {"is_default": False})
        return self.work.order(self.access, "market-brief", {"topic": "heat pumps in old houses"})


@dataclass(frozen=True)
class Picture:
    """One file of docs/images."""

    name: str
    prepare: Callable[[Scene], None]
    theme: str = "light"
    height: int = 860


def home(scene: Scene) -> None:
    """The page one lands on."""
    scene.page.goto("/")


def workflows(scene: Scene) -> None:
    """All workflows."""
    scene.page.goto("/workflows")


def builder(scene: Scene) -> None:
    """The builder, with a node chosen."""
    scene.page.goto("/workflows/publish-with-approval/edit")
    scene.page.locator('.b-card[data-node-id="critic"]').click()
    expect(scene.page.get_by_text("Checking…")).to_be_hidden()


def live(scene: Scene) -> None:
    """A run under way, with an attempt that has failed and is tried again."""
    scene.page.goto(f"/runs/{scene.brief()}")
    expect(scene.page.locator('[data-node="market"]')).to_have_class("box tone-retrying", timeout=30_000)
    scene.page.wait_for_timeout(700)  # the timeline is drawn up to now


def model(scene: Scene) -> None:
    """A run that waits for a person, and what was said to a model in it."""
    scene.page.goto(f"/runs/{scene.work.brief}?node=background&tab=model")
    expect(scene.page.locator("#part .said")).to_be_visible()


def runs(scene: Scene) -> None:
    """The list, filtered."""
    scene.page.goto("/runs?q=since:3d")


def approvals(scene: Scene) -> None:
    """The inbox with a question open."""
    scene.page.goto("/approvals")
    scene.page.locator(".inbox-list a").first.click()
    expect(scene.page.locator("#question")).to_be_visible()


PICTURES = [
    Picture("home", home, height=680),
    Picture("workflows", workflows, height=540),
    Picture("builder", builder, height=600),
    Picture("runs", runs, height=480),
    Picture("approvals", approvals, height=640),
    Picture("run-waiting", model, height=720),
    Picture("run", live, height=650),  # the last, as these start runs that the others would show
    Picture("run-dark", live, theme="dark", height=650),
]
