"""The committed bundle of the builder is what its sources build, and no larger than it may be."""

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestra.settings import BASE_DIR

SOURCES = BASE_DIR / "static" / "src" / "builder"
BUNDLE = BASE_DIR / "static" / "dist" / "builder"
LARGEST = 250_000  # bytes, as browsers receive it


def tool(name: str) -> str:
    """A tool that `npm ci` has installed; where nobody has, the test is skipped, but not where `.ci/run` has Node."""
    path = SOURCES / "node_modules" / ".bin" / name
    if shutil.which("node") and path.exists():
        return str(path)
    if os.environ.get("CI") and shutil.which("npm"):
        pytest.fail("Run npm ci in static/src/builder first, as .ci/run does.")
    pytest.skip("The builder's tools are not installed: npm ci --prefix static/src/builder")


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_bundle_is_what_the_sources_build(tmp_path: Path) -> None:
    vite = tool("vite")

    subprocess.run([vite, "build", "--outDir", str(tmp_path)], cwd=SOURCES, check=True, capture_output=True)

    assert files(tmp_path) == files(BUNDLE), "Run `npm run build` in static/src/builder, and commit static/dist."


def test_the_sources_have_the_types_they_say() -> None:
    result = subprocess.run([tool("tsc"), "--noEmit"], cwd=SOURCES, check=False, capture_output=True, text=True)

    assert result.returncode == 0, result.stdout


def test_the_bundle_is_small() -> None:
    sizes = {name: len(gzip.compress(content)) for name, content in files(BUNDLE).items()}

    assert set(sizes) == {"builder.css", "builder.js"}
    assert sum(sizes.values()) <= LARGEST, sizes


def test_nothing_in_the_lock_names_a_registry() -> None:
    assert "resolved" not in (SOURCES / "package-lock.json").read_text()
