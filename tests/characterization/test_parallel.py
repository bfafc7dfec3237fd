"""Jobs run wherever they are sent, once each, and what goes wrong is said in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from privynet_opt.characterization.parallel import run_jobs, threads_per_worker
from privynet_opt.errors import PrivyNetOptError


@dataclass(frozen=True)
class Task:
    folder: Path
    number: int

    def is_done(self) -> bool:
        return (self.folder / str(self.number)).exists()


def note_who(task: Task) -> None:
    assert not task.is_done()
    (task.folder / str(task.number)).write_text(str(os.getpid()))


def die_once(task: Task) -> None:
    marker = task.folder / f"died-{task.number}"
    if task.number == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), 9)
    note_who(task)


def die_beside_another(task: Task) -> None:
    begun = [task.folder / f"begun-{number}" for number in range(2)]
    with begun[task.number].open("a") as file:
        file.write("begun\n")
    while not all(path.exists() for path in begun):
        time.sleep(0.01)
    if task.number == 1 and begun[1].read_text().count("begun") == 1:
        os.kill(os.getpid(), 9)
    while begun[1].read_text().count("begun") == 1:  # this one is at work when the other dies
        time.sleep(0.01)
    note_who(task)


def die_always(task: Task) -> None:
    os.kill(os.getpid(), 9)


def first_is_slow(task: Task) -> None:
    while task.number == 0 and len(list(task.folder.iterdir())) < 7:
        time.sleep(0.01)
    note_who(task)


def grow(task: Task) -> None:
    held.append(bytearray(os.urandom(1) * 400_000_000 if task.number else b""))
    time.sleep(1.1)  # loky looks once a second
    note_who(task)


held: list[bytearray] = []


def who(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.glob("[0-9]*")}


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    return [Task(tmp_path, number) for number in range(4)]


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as running:
        yield running.scheduler_address


def test_finished_jobs_are_not_run_again(tasks, tmp_path):
    note_who(tasks[2])
    run_jobs(tasks, note_who, workers=1)
    assert who(tmp_path) == {str(os.getpid())}
    assert all(task.is_done() for task in tasks)


def test_a_killed_process_costs_only_its_own_job(tasks, tmp_path):
    run_jobs(tasks, die_once, workers=2)
    assert all(task.is_done() for task in tasks)
    assert str(os.getpid()) not in who(tmp_path)


def test_a_process_that_has_grown_goes_on_without_a_word(tmp_path):
    pytest.importorskip("psutil")
    tasks = [Task(tmp_path, number) for number in range(6)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run_jobs(tasks, grow, workers=2)
    assert all(task.is_done() for task in tasks)
    assert len(who(tmp_path)) == 2  # none was replaced
    assert not [str(warning.message) for warning in said]


def test_a_killed_process_takes_no_other_with_it(tasks, tmp_path):
    run_jobs(tasks[:2], die_beside_another, workers=2)
    begun = {number: (tmp_path / f"begun-{number}").read_text() for number in range(2)}
    assert begun == {0: "begun\n", 1: "begun\nbegun\n"}


def test_a_process_runs_jobs_that_follow_each_other_and_helps_when_its_own_are_done(tmp_path):
    tasks = [Task(tmp_path, number) for number in range(8)]
    run_jobs(tasks, first_is_slow, workers=2)
    ran = [(tmp_path / str(task.number)).read_text() for task in tasks]
    assert ran[1:] == [ran[1]] * 7 and ran[0] != ran[1]
    began = sorted(range(1, 8), key=lambda number: (tmp_path / str(number)).stat().st_mtime_ns)
    assert began == [4, 5, 6, 7, 3, 2, 1]


def test_processes_that_are_killed_again_and_again_are_said_in_one_line(tasks):
    with pytest.raises(PrivyNetOptError, match=r"4 were .*fewer --workers"):
        run_jobs(tasks[:2], die_always, workers=2)


def test_dask_workers_run_the_jobs_and_a_killed_one_is_replaced(tasks, tmp_path, cluster):
    run_jobs(tasks, die_once, workers=1, dask=cluster)
    assert all(task.is_done() for task in tasks)
    assert str(os.getpid()) not in who(tmp_path)


def test_workers_of_several_threads_are_refused(tasks):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address=None, processes=False
        ) as wide,
        pytest.raises(PrivyNetOptError, match="one thread each"),
    ):
        run_jobs(tasks, note_who, workers=1, dask=wide.scheduler_address)


def test_workers_that_are_killed_again_and_again_are_said_in_one_line(tasks, cluster):
    with pytest.raises(PrivyNetOptError, match="killed again and again"):
        run_jobs(tasks[:1], die_always, workers=1, dask=cluster)


def test_a_scheduler_that_does_not_answer_is_named(tasks, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("privynet_opt.characterization.parallel.CONNECT_SECONDS", 0.5)
    with pytest.raises(PrivyNetOptError, match=r"'tcp://127\.0\.0\.1:1' does not answer"):
        run_jobs(tasks, note_who, workers=1, dask="tcp://127.0.0.1:1")


@pytest.mark.parametrize("address", ["127.0.0.1", "foo://x:1", ":::", "", "tcp://a:b"])
def test_an_address_of_no_scheduler_is_told_at_once(tasks, monkeypatch, address):
    pytest.importorskip("distributed")
    monkeypatch.setattr("distributed.Client", None)  # one of no address would hold up Python's exit
    with pytest.raises(PrivyNetOptError, match=rf"must .* but '{address}' does not answer"):
        run_jobs(tasks, note_who, workers=1, dask=address)


def test_without_dask_the_package_to_install_is_named(tasks, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(PrivyNetOptError, match=r"pip install privynet_opt\[dask\]"):
        run_jobs(tasks, note_who, workers=1, dask="tcp://127.0.0.1:1")


def test_processes_share_the_cores_and_dask_workers_have_one_each(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_per_worker(n, None) for n in (1, 2, 9)] == [6, 3, 1]
    assert threads_per_worker(1, "tcp://h:1") == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [threads_per_worker(n, None) for n in (1, 2, 9)] == [2, 2, 1]


def characterize_by_two(study, fidelity, output):
    command = [sys.executable, "-m", "privynet_opt", "characterize", "--workers", "2"]
    command += ["--study", str(study.directory), "--fidelity", fidelity, "--output", str(output)]
    environment = {**os.environ, "LOKY_MAX_CPU_COUNT": "2"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_workers_leave_nothing_behind_and_nothing_is_printed_of_them(study, tmp_path):
    running = characterize_by_two(study, "screen", tmp_path)
    assert running.communicate(timeout=240)[1] == ""
    assert running.returncode == 0


def test_workers_that_are_terminated_leave_one_line_and_what_is_measured(study, tmp_path):
    running = characterize_by_two(study, "standard", tmp_path)
    while running.poll() is None and not list(tmp_path.glob("measurements/*standard*.json")):
        time.sleep(0.1)
    running.terminate()
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert said.count("\n") == 1
    assert said.startswith("privynet-opt: interrupted. Finished measurements are kept")
