"""Static files: hashed, compressed and kept for ever once they are collected; served from the sources before."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http.response import HttpResponseBase
from django.test import Client

from apps.common.static_files import HashedFiles
from orchestra import settings as own_settings
from orchestra.kept import Kept
from orchestra.prepare import collect_static_files


@pytest.fixture
def collected(settings, tmp_path, monkeypatch) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    monkeypatch.setattr(staticfiles_storage, "_wrapped", HashedFiles())
    collect_static_files()
    return settings.STATIC_ROOT


def files_of_a_page(client: Client, path: str = "/accounts/login") -> list[str]:
    page = client.get(path).content.decode()
    return re.findall(r'(?:href|src)="(/static/[^"#]+)', page)


def get(client: Client, file: str) -> HttpResponseBase:
    answer = client.get(file)
    answer.close()
    return answer


def test_what_was_collected_is_compressed_and_kept_for_ever(db, collected):
    client = Client(headers={"Accept-Encoding": "gzip"})
    files = files_of_a_page(Client())

    assert len(files) >= 4
    for file in files:
        answer = get(client, file)
        assert re.search(r"\.[0-9a-f]{12}\.", file)
        assert "immutable" in answer["Cache-Control"]
        assert answer["Content-Encoding"] == "gzip"


def test_a_module_names_the_hashed_modules_it_imports(collected):
    app = collected / "js" / Path(staticfiles_storage.stored_name("js/app.js")).name

    imported = re.findall(r'(?:from|import\() ?"\./([^"]+)"', app.read_text())

    assert len(imported) >= 5
    assert all((collected / "js" / name).exists() and name.count(".") == 2 for name in imported)


def test_a_page_works_before_anything_is_collected(db, client):
    files = files_of_a_page(client)

    assert "/static/css/app.css" in files
    assert {get(client, file).status_code for file in files} == {200}


def test_the_files_of_packages_are_left_where_they_are(collected):
    assert not (collected / "admin").exists()
    assert staticfiles_storage.url("admin/css/base.css") == "/static/admin/css/base.css"


def imported(collected: Path, file: str) -> set[str]:
    """The module and what it imports before it runs."""
    text = (collected / file).read_text()
    return {file}.union(*(imported(collected, f"js/{name}") for name in re.findall(r'from "\./([^"]+)"', text)))


def test_what_every_page_loads_is_small(browser, collected):
    files = {file.removeprefix("/static/") for file in files_of_a_page(browser.owner, "/no/such/page")}
    scripts = {name for file in files if file.startswith("js/") for name in imported(collected, file)}
    sizes = {name: (collected / f"{name}.gz").stat().st_size for name in files | scripts}

    assert sum(size for name, size in sizes.items() if name.endswith(".css")) <= 10_000
    assert sum(size for name, size in sizes.items() if name.endswith(".js")) <= 25_000
    assert len(sizes) <= 10


def test_a_changed_file_is_collected_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(own_settings, "BASE_DIR", tmp_path)
    monkeypatch.setattr(own_settings, "STATIC_ROOT", tmp_path / "collected")
    style = tmp_path / "static" / "app.css"
    style.parent.mkdir()
    style.write_text("a {}")
    (tmp_path / "requirements.txt").touch()
    before = Kept(tmp_path, "postgresql://", demo=False).code

    style.write_text("b {}")

    assert Kept(tmp_path, "postgresql://", demo=False).code != before


def test_nothing_is_kept_when_what_was_collected_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(own_settings, "STATIC_ROOT", tmp_path)
    (tmp_path / "staticfiles.json").touch()
    (tmp_path / "prepared").write_text(Kept(tmp_path, "postgresql://", demo=False).code)
    assert Kept(tmp_path, "postgresql://", demo=False).same_code

    (tmp_path / "staticfiles.json").unlink()

    assert not Kept(tmp_path, "postgresql://", demo=False).same_code
