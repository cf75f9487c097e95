"""An agent outside starts from any directory, and in an environment that has no more than the documents say."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.blocks import ROOT

PROGRAM = """
from orchestra.sdk import Agent, serve

class Shouter(Agent):
    "Says it louder."
    name = "shouter"

    def exec(self, task, ctx):
        return task

serve(Shouter, url="http://127.0.0.1:9", key="none")
"""
WITHOUT = """
import sys
missing = set(sys.argv[1].split())

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name in missing:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Guard())
"""


def told(command: list[str], directory: Path, **variables: str) -> str:
    """What a program says when it has come as far as asking the server; nothing where it has not."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        command, cwd=directory, env=inherited | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        return next((line for line in lines if "does not answer" in line), "")
    finally:
        process.kill()
        process.communicate()


def with_what_they_need(packages: Iterable[Requirement], known: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names of packages and of those that they cannot do without."""
    for one in packages:
        if (name := canonicalize_name(one.name)) not in known:
            known = with_what_they_need(needs(one), known | {name})
    return known


def needs(package: Requirement) -> list[Requirement]:
    listed = map(Requirement, requires(package.name) or ())
    extras = package.extras or {""}
    return [one for one in listed if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in extras)]


@pytest.mark.timeout(120)
def test_the_python_in_bin_has_the_sdk_in_any_directory(tmp_path: Path) -> None:
    (tmp_path / "shouter.py").write_text(PROGRAM)

    said = told([str(ROOT / "bin" / "python"), "shouter.py"], tmp_path)

    assert "Orchestra does not answer" in said


@pytest.mark.timeout(120)
def test_the_packages_that_the_documents_name_are_enough(tmp_path: Path) -> None:
    (line,) = re.findall(r"^pip install (.+)$", (ROOT / "docs" / "live-agents.md").read_text(), re.MULTILINE)
    there = with_what_they_need(map(Requirement, shlex.split(line)))
    missing = [name for name, of in packages_distributions().items() if there.isdisjoint(map(canonicalize_name, of))]
    (tmp_path / "shouter.py").write_text(WITHOUT + PROGRAM)

    said = told([sys.executable, "shouter.py", " ".join(missing)], tmp_path, PYTHONPATH=str(ROOT))

    assert "Orchestra does not answer" in said
