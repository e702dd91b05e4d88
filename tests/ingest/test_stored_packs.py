"""Packs that were added on one machine reach every machine on the same store."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import services
from legibly.ingest import stored_packs
from legibly.packs import card as cards
from legibly.packs import pack as packs
from legibly.packs import registry
from legibly.settings import Settings
from legibly.store import open_store, packs_folder
from server import Server


def copy_of_digits(folder: Path, *, created: str) -> Path:
    """The shipped pack with another date: the same answers under another version."""
    shutil.copytree(registry.find("digits"), folder)
    cards.write_card(folder, replace(cards.read_card(folder), created=created))
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store in a folder with one added pack, `other`, in two versions, the second newer."""
    settings = Settings(store=f"file://{tmp_path}/objects")
    added = packs_folder(settings.store)
    assert added is not None
    for created in ("first", "second"):
        shutil.rmtree(added, ignore_errors=True)
        copy_of_digits(added / "other", created=created)
        stored_packs.publish("other", settings)
    shutil.rmtree(added)  # another machine has the store alone
    return settings


def versions(settings: Settings) -> list[str]:
    """The stored versions of `other`, the newest last."""
    stats = open_store(settings.store, environ={}).list("packs/other/")
    cards_ = [stat for stat in stats if stat.key.endswith("card.json")]
    return [stat.key.split("/")[2] for stat in sorted(cards_, key=lambda stat: stat.modified_at)]


def test_a_pack_is_opened_by_name_or_in_the_version_that_was_chosen(settings: Settings) -> None:
    """Without a version the newest of the store is opened; with one, that one, whatever is here."""
    first, second = versions(settings)
    assert stored_packs.open_version("other", settings).model.version == second
    assert stored_packs.open_version("other", settings, version=first).model.version == first
    folder = stored_packs.synchronized_folder(settings)
    assert packs.folder_version(registry.find("other", added=folder)) == second
    assert stored_packs.open_version("other", settings, version=first).model.version == first
    assert stored_packs.open_version("other", settings, version="0" * 12).model.version == second


def test_a_damaged_pack_of_the_store_is_not_used(settings: Settings) -> None:
    """A file that is not what its card says is refused; listing goes on without it."""
    _, second = versions(settings)
    store = open_store(settings.store, environ={})
    key = f"packs/other/{second}/model.onnx"
    store.remove([key])
    store.create(key, b"something else")
    folder = stored_packs.synchronized_folder(settings)
    assert [entry.name for entry in registry.entries(added=folder)] == ["digits"]


def test_a_torn_pack_of_this_machine_is_read_from_the_store(settings: Settings) -> None:
    """A network that was cut off here costs nothing: the store has the version that was chosen."""
    _, second = versions(settings)
    folder = registry.find("other", added=stored_packs.synchronized_folder(settings))
    network = folder / cards.MODEL
    network.write_bytes(network.read_bytes()[:1000])
    assert stored_packs.open_version("other", settings, version=second).model.version == second


def test_a_pack_that_was_chosen_by_its_path_is_found_by_its_version(
    settings: Settings, tmp_path: Path
) -> None:
    """A machine without that folder opens what was chosen, and lists no pack of that name."""
    folder = copy_of_digits(tmp_path / "mine", created="third")
    version = packs.folder_version(folder)
    stored_packs.publish(str(folder), settings)
    shutil.rmtree(folder)
    assert (
        stored_packs.open_version(str(folder), settings, version=version).model.version == version
    )
    names = registry.entries(added=stored_packs.synchronized_folder(settings))
    assert [entry.name for entry in names] == ["digits", "other"]


def test_a_pack_that_is_removed_leaves_the_store(settings: Settings) -> None:
    """`models remove` takes every version away, so that no machine gets it again."""
    stored_packs.withdraw("other", settings)
    folder = stored_packs.synchronized_folder(settings)
    assert [entry.name for entry in registry.entries(added=folder)] == ["digits"]


def served_version(machine: Server) -> str:
    """The version that a server reads with."""
    return str(httpx.get(f"{machine.url}/readyz").json()["model"]["version"])


@pytest.mark.service("seaweedfs")
def test_machines_on_one_bucket_read_with_a_pack_that_one_of_them_added(
    tmp_path: Path, seaweedfs: services.S3Server
) -> None:
    """`models add` and `use` on one machine: the servers of others serve it within seconds."""
    pack = copy_of_digits(tmp_path / "fresh", created="for a bucket")
    version = packs.folder_version(pack)
    store = {"LEGIBLY_STORE": f"s3://{seaweedfs.bucket}/machines", **seaweedfs.environ}
    machines = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        environ = {**store, "XDG_CACHE_HOME": str(folder / "cache")}
        machines.append(Server(folder, services.free_port(), environ))
    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(Server.start, machines))
        for arguments in (["add", str(pack), "--name", "fresh"], ["use", "fresh"]):
            command = [sys.executable, "-m", "legibly", "models", *arguments]
            environ = {**os.environ, **machines[0].environ}
            subprocess.run(command, cwd=machines[0].folder, env=environ, check=True)
        services.wait_for(
            lambda: {served_version(machine) for machine in machines} == {version},
            subject="the pack",
        )
        rows = httpx.get(f"{machines[1].url}/api/models").json()["models"]
        assert [row["used"] for row in rows if row["name"] == "fresh"] == [True]
    finally:
        for machine in machines:
            machine.stop()
