"""The gallery: upstream's lists, its files, and nothing else of the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from depth.errors import InputError
from serve.service.app import gallery_application
from serve.service.models import Models
from serve.service.scenes.run import run_gallery
from serve.service.service import Service
from serve.service.settings import Settings
from tests.support.scene_services import scene_service
from tests.support.services import TOKEN, client_of


def a_scene(root: Path, group: str, scene: str, depths: int = 2) -> Path:
    folder = root / group / scene
    (folder / "depth_vis").mkdir(parents=True)
    for name in ("scene.glb", "scene.jpg", *(f"depth_vis/{i:04d}.jpg" for i in range(depths))):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    root = tmp_path / "gallery"
    a_scene(root, "home", "the kitchen")
    a_scene(root, "home", "100% küche", 0)
    a_scene(root, ".hidden", "x")
    (root / "home" / "half").mkdir()
    (root / "home" / "half" / "scene.glb").write_bytes(b"")
    (root / "empty").mkdir()
    (root / "file").write_text("x")
    (tmp_path / "outside" / "secret").mkdir(parents=True)
    (root / "away").symlink_to(a_scene(tmp_path / "outside", "g", "s").parent)
    return root


@pytest.fixture
def client(tmp_path: Path, gallery: Path) -> Iterator[TestClient]:
    with scene_service(tmp_path / "gallery", gallery=gallery) as service:
        yield client_of(service)


def alone(gallery: Path, **settings: str) -> TestClient:
    service = Service(Models(), Settings(gallery=gallery, **settings))  # type: ignore[arg-type]
    return TestClient(gallery_application(service), base_url="http://localhost")


def test_lists_are_upstreams(client: TestClient) -> None:
    answer = client.get("/gallery/manifest.json").json()
    assert answer == {"groups": [{"id": "home", "title": "home"}]}
    url = "/gallery/home/the%20kitchen"
    odd = "/gallery/home/100%25%20k%C3%BCche"
    assert client.get("/gallery/manifest/home.json").json() == {
        "group": "home",
        "items": [
            {
                "id": "100% küche",
                "title": "100% küche",
                "model": f"{odd}/scene.glb",
                "thumbnail": f"{odd}/scene.jpg",
                "depth_images": [],
            },
            {
                "id": "the kitchen",
                "title": "the kitchen",
                "model": f"{url}/scene.glb",
                "thumbnail": f"{url}/scene.jpg",
                "depth_images": [f"{url}/depth_vis/{name}" for name in ("0000.jpg", "0001.jpg")],
            },
        ],
    }


def test_every_listed_file_is_there(client: TestClient) -> None:
    for item in client.get("/gallery/manifest/home.json").json()["items"]:
        for url in (item["model"], item["thumbnail"], *item["depth_images"]):
            assert client.get(url).content == url.split("/", 4)[4].encode()
        assert client.get(item["model"]).headers["content-type"] == "model/gltf-binary"


@pytest.mark.parametrize(
    "path",
    ["away/s/scene.glb", ".hidden/x/scene.glb", "home", "home/", "home//x", "../file", "nothing"],
)
def test_other_paths_are_not_found(client: TestClient, path: str) -> None:
    answer = client.get(f"/gallery/{path}")
    assert answer.status_code == 404


def test_a_group_that_is_not_there_has_no_items(client: TestClient) -> None:
    for group in ("nothing", "away", ".hidden", "empty"):
        answer = client.get(f"/gallery/manifest/{group}.json").json()
        assert answer == {"group": group, "items": []}


def test_alone_it_is_at_the_top(gallery: Path) -> None:
    client = alone(gallery)
    page = client.get("/")
    assert "Gallery of scenes" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/page/gallery.js").status_code == 200
    assert client.get("/favicon.ico").status_code == 204
    (first, *_) = client.get("/manifest/home.json").json()["items"]
    assert first["model"].startswith("/home/")
    assert client.get(first["model"]).content == b"scene.glb"
    for path in ("/status", "/inference", "/v1/models", "/home"):
        assert client.get(path).status_code == 404


def test_lists_and_files_need_the_token_and_the_page_does_not(gallery: Path) -> None:
    client = alone(gallery, token=TOKEN)
    assert client.get("/").status_code == 200
    for path in ("/manifest.json", "/home/the kitchen/scene.glb"):
        assert client.get(path).status_code == 401
        header = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get(path, headers=header).status_code == 200


def test_a_file_of_html_is_never_shown_as_a_page(client: TestClient, gallery: Path) -> None:
    (gallery / "home" / "x.html").write_text("<script>alert(1)</script>")
    answer = client.get("/gallery/home/x.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_pipe_is_not_waited_for(client: TestClient, gallery: Path) -> None:
    os.mkfifo(gallery / "home" / "pipe.jpg")
    assert client.get("/gallery/home/pipe.jpg").status_code == 404


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        run_gallery(Settings(gallery=tmp_path / "nothing"))
