"""Freed memory stays with the process that measures."""

import platform
import subprocess
import sys

import pytest

from privynet_opt.characterization import job as measuring
from privynet_opt.characterization.job import Job, run_job
from privynet_opt.topology import LocalTopology

RESIDENT = """
from pathlib import Path
from privynet_opt.characterization.allocator import keep_freed_memory
{before}
def pages(): return int(Path("/proc/self/statm").read_text().split()[1])
start = pages()
blocks = [b"x" * 20_000_000 for _ in range(8)]
held = pages() - start
del blocks
print((pages() - start) / held)
"""


def share_kept(before):
    command = [sys.executable, "-c", RESIDENT.format(before=before)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_freed_memory_is_kept_for_what_is_computed_next():
    assert share_kept("pass") < 0.5 < share_kept("keep_freed_memory()")


def test_a_job_keeps_freed_memory_wherever_it_runs(conv1_bank, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(measuring, "keep_freed_memory", lambda: asked.append(True))
    wanted = ((LocalTopology("conv1", 4, "random", 0), "screen"),)
    splits = conv1_bank.source.splits
    run_job(Job("small_cnn", "none", conv1_bank.cut, splits, wanted, tmp_path, "cpu", 1))
    assert asked == [True]
