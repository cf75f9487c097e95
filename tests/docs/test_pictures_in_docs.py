"""The pictures of the documents are there, are shown, and can be taken again with one command."""

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.browser import found
from tests.docs.blocks import DOCUMENTS, ROOT
from tests.screenshots.pictures import PICTURES

IMAGES = ROOT / "docs" / "images"
SECONDS = 280  # it starts a whole Orchestra and Chromium

_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")


def shown() -> dict[Path, str]:
    """Each picture that a document shows, with what it says to who cannot see it."""
    return {
        (document.parent / link).resolve(): words
        for document in DOCUMENTS
        for words, link in _PICTURE.findall(document.read_text())
    }


def width(path: Path) -> int:
    return int(struct.unpack(">I", path.read_bytes()[16:20])[0])


def test_every_picture_that_is_shown_exists_and_is_described() -> None:
    assert [path.name for path in shown() if not path.is_file()] == []
    assert [path.name for path, words in shown().items() if len(words) < 20] == []


def test_every_picture_that_exists_is_shown() -> None:
    assert {path.name for path in IMAGES.iterdir()} == {path.name for path in shown()}


def test_every_picture_of_a_page_is_one_that_the_command_takes() -> None:
    assert {path.stem for path in IMAGES.glob("*.png")} == {picture.name for picture in PICTURES}


def test_the_pictures_are_wide_enough_and_light() -> None:
    assert {width(path) for path in IMAGES.glob("*.png")} == {1440}
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < 1_000_000


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.skipif(found() is None, reason="there is no Chromium here")
def test_the_command_takes_the_pictures_that_are_named(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.screenshots", "home", "approvals", "--runs", "3", "--to", tmp_path],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {path.name: width(path) for path in tmp_path.iterdir()} == {"home.png": 1440, "approvals.png": 1440}


def test_a_picture_that_there_is_not_is_refused() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.screenshots", "nothing"], check=False, cwd=ROOT, capture_output=True, text=True
    )

    assert ran.returncode == 2
    assert "There are home, workflows" in ran.stderr
