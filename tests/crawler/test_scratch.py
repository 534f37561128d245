"""Folders of processes that are gone are removed, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from crawler import scratch
from crawler.scratch import remove_left_behind, scratch_folder

DAY = 24 * 3600


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_SHORT", str(tmp_path / "short"))
    (tmp_path / "short").mkdir()
    return tmp_path


@pytest.fixture
def dead() -> int:
    """The id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left(place: Path, name: str, age: float) -> Path:
    folder = place / name
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "page").write_bytes(b"x")
    os.utime(folder, (time.time() - age, time.time() - age))
    return folder


def test_a_folder_is_there_until_its_maker_is_done_and_its_name_is_short(place):
    with scratch_folder("web") as folder:
        assert Path(folder).is_dir()
        assert len(Path(folder).name) < 50
        assert remove_left_behind() == 0
    assert [path.name for path in place.iterdir()] == ["short"]


def test_a_socket_finds_a_place_in_which_its_address_is_short_enough(place, monkeypatch, dead):
    monkeypatch.setattr(scratch, "_LONGEST", len(str(place)) - 1)
    with scratch_folder("read", for_socket=True) as folder:
        assert Path(folder).parent == place / "short"
    gone = left(place / "short", f"openness-read-{scratch._here()}-{dead}-abc", 120)
    assert remove_left_behind() == 1
    assert not gone.exists()


def test_what_a_killed_process_left_goes_once_it_is_not_young(place, dead):
    here = scratch._here()
    gone = left(place, f"openness-web-{here}-{dead}-abc", 120)
    young = left(place, f"openness-web-{here}-{dead}-xyz", 5)
    assert remove_left_behind() == 1
    assert not gone.exists()
    assert young.exists()


def test_what_belongs_to_others_stays(place, dead):
    here = scratch._here()
    kept = [
        left(place, f"openness-web-{here}-{os.getpid()}-abc", 120),
        left(place, f"openness-web-0badcafe-{dead}-abc", 120),
        left(place, "pymp-abc", 2 * DAY),
        left(place, "openness-corpus-abc", 2 * DAY),
    ]
    link = place / f"openness-web-{here}-{dead}-link"
    link.symlink_to(kept[2])
    assert remove_left_behind() == 0
    assert all(folder.exists() for folder in [*kept, link])


def test_after_a_day_nobody_is_waited_for(place, dead):
    left(place, f"openness-web-0badcafe-{dead}-abc", 2 * DAY)
    left(place, f"openness-read-{scratch._here()}-{os.getpid()}-abc", 2 * DAY)
    assert remove_left_behind() == 2


def test_a_folder_of_another_user_is_left_alone(place, dead, monkeypatch):
    folder = left(place, f"openness-web-{scratch._here()}-{dead}-abc", 2 * DAY)
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    assert remove_left_behind() == 0
    assert folder.exists()
