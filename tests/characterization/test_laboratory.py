"""Topologies measured on demand: as a job measures them, cut by cut, while there is time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from privynet_opt.characterization import laboratory as measuring
from privynet_opt.characterization import recipes
from privynet_opt.characterization.extend import without_nan
from privynet_opt.characterization.fresh import measure_again
from privynet_opt.characterization.job import TRAINING_SEED
from privynet_opt.characterization.laboratory import Laboratory
from privynet_opt.errors import TableError
from privynet_opt.networks.training import TrainingRecipe
from privynet_opt.study_spec import load_study
from privynet_opt.topology import LocalTopology

TRAINED = (LocalTopology("conv4", 2, "lda"), "standard")
PAIRS = (
    (LocalTopology("conv4", 2, "lda"), "screen"),
    (LocalTopology("conv1", 8, "random"), "screen"),
    (LocalTopology("conv4", 8, "privacy"), "screen"),
    TRAINED,
)
VALUES = ("accuracy", "psnr_db", "ssim", "ridge_psnr_db")


def always(fidelity):
    return True


@pytest.fixture(scope="module", autouse=True)
def brief_recipe(short_recipes):
    brief = TrainingRecipe(max_epochs=1, patience=1)
    recipe = recipes.TrainedFidelity(max_images=450, decoder=brief, cloud=brief)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.FROM_SCRATCH, "standard", recipe)
        patch.setattr(measuring, "threads_per_worker", lambda workers, dask: 1)
        yield


@pytest.fixture(scope="module")
def known(brief_recipe, study, tmp_path_factory):
    """A laboratory in which `PAIRS` were measured, and the cuts whose features that took."""
    built = []
    build = measuring.build_bank

    def counted(source):
        built.append(source.cut.name)
        return build(source)

    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "build_bank", counted)
        laboratory = Laboratory(study, tmp_path_factory.mktemp("known"))
        assert laboratory.is_empty and laboratory.taken_over == {}
        assert laboratory.measure(PAIRS, always, told.append)
    laboratory.table()
    return laboratory, built, told


def test_each_cut_is_computed_once_and_each_measurement_made_once(known):
    laboratory, built, told = known
    assert sorted(built) == ["conv1", "conv4"]
    assert len(told) == len(laboratory.table().rows) == len(PAIRS)
    assert laboratory.measure(PAIRS, always, told.append)
    assert len(told) == len(PAIRS)


def test_it_measures_what_other_ways_of_measuring_do(known, study, tmp_path):
    topology, fidelity = TRAINED
    (other,) = measure_again(study, [topology], fidelity, TRAINING_SEED, tmp_path).rows
    (mine,) = (row for row in known[2] if row["fidelity"] == fidelity)
    assert [mine[name] for name in VALUES] == pytest.approx([other[name] for name in VALUES])


def test_what_the_attacker_recovered_is_kept_as_pictures_beside_the_table(known):
    topology, fidelity = TRAINED
    gallery = known[0].output / "gallery"
    (strip,) = gallery.glob(f"{topology.cut_layer}--*.png")
    assert f"--{fidelity}--" in strip.name
    assert (gallery / "originals.png").exists()


def test_without_time_nothing_begins_and_what_is_finished_stays(study, tmp_path, monkeypatch):
    pairs = PAIRS[1:3]
    laboratory = Laboratory(study, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "build_bank", pytest.fail)
        assert not laboratory.measure(pairs, lambda fidelity: False, pytest.fail)
    told = []
    assert not laboratory.measure(pairs, lambda fidelity: not told, told.append)
    assert len(told) == 1 and not laboratory.is_empty
    again = Laboratory(study, tmp_path)
    assert again.measure(pairs, always, told.append) and len(told) == 2


def test_rows_of_the_same_weights_images_and_recipe_are_taken_over(known, tmp_path):
    table = known[0].table()
    laboratory = Laboratory(load_study(table.path.parent), tmp_path)
    assert laboratory.taken_over == {"screen": 3, "standard": 1}
    assert laboratory.measure(PAIRS, always, pytest.fail)
    new = (LocalTopology("conv1", 2, "magnitude"), "screen")
    assert laboratory.measure([new], always, lambda row: None)
    extended = laboratory.table()
    assert extended.sidecar["measured"] == table.sidecar["measured"]
    assert [entry["rows"] for entry in extended.sidecar["extensions"]] == [1]
    before, after = (
        {repr(without_nan(row)) for row in t.rows.to_dict("records")} for t in (table, extended)
    )
    assert before < after and len(after) == len(before) + 1


def test_rows_of_another_recipe_or_of_other_images_are_not(known, tmp_path, monkeypatch):
    spec = load_study(known[0].output)
    fewer = replace(spec, characterization=replace(spec.characterization, n_score=200))
    assert Laboratory(fewer, tmp_path / "images").taken_over == {}
    longer = TrainingRecipe(max_epochs=2, patience=1)
    recipe = replace(recipes.FROM_SCRATCH["standard"], decoder=longer)
    monkeypatch.setitem(recipes.FROM_SCRATCH, "standard", recipe)
    assert Laboratory(spec, tmp_path / "recipe").taken_over == {"screen": 3}


def test_a_table_that_would_lose_rows_is_not_written_over(known, tmp_path):
    spec = load_study(known[0].output)
    Laboratory(spec, tmp_path).table()
    (tmp_path / "measurements").rename(tmp_path / "elsewhere")
    before = (tmp_path / "characterization.csv").read_bytes()
    fewer = replace(spec, characterization=replace(spec.characterization, n_score=200))
    with pytest.raises(TableError, match=r"rows of .* are of another origin and would be lost"):
        Laboratory(fewer, tmp_path)
    assert (tmp_path / "characterization.csv").read_bytes() == before


def test_of_what_is_sent_with_noise_the_bound_is_measured_once_and_kept(
    study, tmp_path, monkeypatch
):
    noisy = LocalTopology("conv4", 2, "lda", noise_std=1.0)
    laboratory = Laboratory(study, tmp_path / "first")
    assert laboratory.measure([PAIRS[1], (noisy, "screen")], always, lambda row: None)
    (entry,) = laboratory.table().sidecar["information"]
    assert LocalTopology.of(entry) == noisy.sent_plainly() and entry["information"] > 0

    # Taken over by another it is kept there, beside what that one measures.
    other = Laboratory(replace(study, directory=tmp_path / "first"), tmp_path / "second")
    more = (replace(noisy, kept_filters=3), "screen")
    assert other.measure([more], always, lambda row: None)
    entries = other.table().sidecar["information"]
    assert [LocalTopology.of(e).kept_filters for e in entries] == [2, 3]
    assert entries[0] == entry
    with monkeypatch.context() as patch:
        patch.setattr(measuring, "measure_information", pytest.fail)
        again = (replace(noisy, noise_std=0.5), "screen")
        assert other.measure([again, *PAIRS[2:3]], always, lambda row: None)
