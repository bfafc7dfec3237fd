"""Topologies measured together get the rows they get alone; what stops a stack costs it alone."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from privynet_opt.attacks import decoder
from privynet_opt.characterization import job as measuring
from privynet_opt.characterization import measure, recipes
from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.job import Job, run_job
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.errors import StudyError
from privynet_opt.networks import cloud
from privynet_opt.networks.training import TrainingRecipe
from privynet_opt.topology import LocalTopology

TOPOLOGIES = [
    LocalTopology("conv1", 16, "random"),
    LocalTopology("conv1", 2, "lda"),
    LocalTopology("conv1", 8, "random", 1),
]

NOISE = {"accuracy": 1 / 250, "psnr_db": 0.01, "ssim": 1e-3}
NOISE |= {"ridge_psnr_db": 1e-4, "decoder_psnr_db": NOISE["psnr_db"]}
"""One of the scored images, and what single precision makes of some ten steps."""


@pytest.fixture(scope="module", autouse=True)
def brief_recipe(short_recipes):
    brief = TrainingRecipe(max_epochs=2, patience=2)
    with pytest.MonkeyPatch.context() as patch:
        for fidelity, most in (("standard", 450), ("full", 200)):
            recipe = recipes.TrainedFidelity(max_images=most, decoder=brief, cloud=brief)
            patch.setitem(recipes.FROM_SCRATCH, fidelity, recipe)
        yield


@pytest.mark.parametrize("fidelity", ["standard", "full"])  # full sees mirrored images too
def test_rows_of_a_stack_are_those_of_each_topology_alone(conv1_bank, monkeypatch, fidelity):
    for module in (decoder, cloud):  # bfloat16 rounds at 0.4 %, which hides what is tested
        monkeypatch.setattr(module, "mixed_precision", lambda device: nullcontext())
    together = measure.measure_stack(conv1_bank, TOPOLOGIES, fidelity, 1)
    for topology, row in zip(TOPOLOGIES, together, strict=True):
        alone = measure.measure_trained(conv1_bank, topology, fidelity, 1)
        assert list(row) == list(alone)
        for name, value in alone.items():
            if name in NOISE:
                assert row[name] == pytest.approx(value, abs=NOISE[name]), name
            elif name != "seconds":
                assert row[name] == value, name


def test_what_ends_a_stack_costs_its_members_alone(study, conv1_bank, tmp_path, monkeypatch):
    wanted = tuple((topology, "standard") for topology in TOPOLOGIES)
    cut, splits = conv1_bank.cut, conv1_bank.source.splits
    job = Job("small_cnn", "none", cut, splits, wanted, tmp_path, "cpu", 1, stack=2)
    begun = []

    def killed(bank, topologies, *rest):
        begun.append([topology.kept_filters for topology in topologies])
        if len(begun) == 2:
            raise KeyboardInterrupt
        return measure.measure_stack(bank, topologies, *rest)

    monkeypatch.setattr(measuring, "measure_stack", killed)
    with pytest.raises(KeyboardInterrupt):
        run_job(job)
    assert {row["kept_filters"] for row in MeasurementFolder(tmp_path).rows()} == {2, 8}
    run_job(job)
    assert begun == [[2, 8], [16], [16]]
    assert job.is_done()


def test_networks_that_start_from_amortised_ones_are_not_stacked(study, tmp_path):
    with pytest.raises(StudyError, match=r"`stack` must be 1 where .*but got 3"):
        characterize(study, None, None, tmp_path, start="amortised", stack=3)
