"""Topologies measured on demand: as a job measures them, cut by cut, while there is time."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from privynet_opt.characterization import laboratory as measuring
from privynet_opt.characterization import recipes
from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.extend import copy_study, extend_table, without_nan
from privynet_opt.characterization.fresh import measure_again
from privynet_opt.characterization.job import TRAINING_SEED
from privynet_opt.characterization.laboratory import Laboratory
from privynet_opt.characterization.provenance import fidelities_alike
from privynet_opt.characterization.schema import CLOUD_NOISE
from privynet_opt.characterization.study_inputs import StudyInputs
from privynet_opt.characterization.table import load_table
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


def test_plain_rows_are_taken_over_where_noise_is_added_but_not_noisy_ones_of_before(known):
    sidecar = known[0].table().sidecar
    spec = load_study(known[0].output)
    noisy = replace(spec, search_space=replace(spec.search_space, noise_std=(0.0, 1.0)))
    own = StudyInputs.load(noisy).identity()
    assert {"screen", "standard"} <= set(fidelities_alike(sidecar, own))
    before = {**sidecar, "columns": {**sidecar["columns"], "noise_std": "of the noise"}}
    assert "screen" in fidelities_alike(before, own)
    assert "standard" not in fidelities_alike(before, own)
    assert "standard" in fidelities_alike({**before, CLOUD_NOISE: own[CLOUD_NOISE]}, own)


def test_a_table_that_would_lose_rows_is_not_written_over(known, tmp_path):
    spec = load_study(known[0].output)
    Laboratory(spec, tmp_path).table()
    (tmp_path / "measurements").rename(tmp_path / "elsewhere")
    before = (tmp_path / "characterization.csv").read_bytes()
    fewer = replace(spec, characterization=replace(spec.characterization, n_score=200))
    for begin in (Laboratory, lambda *study: characterize(study[0], None, None, study[1])):
        with pytest.raises(TableError, match=r"rows of .* are of another origin and would be lost"):
            begin(fewer, tmp_path)  # the second is not led astray by the first
        assert not (tmp_path / "measurements").exists()
    assert (tmp_path / "characterization.csv").read_bytes() == before


def test_rows_of_a_cut_taken_out_of_the_study_are_told_before_anything_is_measured(
    known, study, monkeypatch
):
    begun = []
    run_jobs = "privynet_opt.characterization.characterize.run_jobs"
    monkeypatch.setattr(run_jobs, lambda *given: begun.append(given))
    space = replace(study.search_space, cut_layers=("conv1",))
    fewer = replace(study, search_space=space)
    for begin in (Laboratory, lambda *study: characterize(study[0], None, None, study[1])):
        with pytest.raises(TableError, match=r"name every cut that is measured, .* of conv4\. Add"):
            begin(fewer, known[0].output)
    assert not begun


def test_a_copied_study_is_measured_further_in_its_own_folder(known, tmp_path):
    copy_study(load_study(known[0].output), tmp_path)
    before = load_table(tmp_path / "characterization.csv")
    table = Laboratory(load_study(tmp_path), tmp_path).table()
    assert len(table.rows) == len(before.rows) == len(PAIRS)
    assert table.sidecar["measured"] == before.sidecar["measured"]
    assert "extensions" not in table.sidecar


def test_the_readable_scale_is_filled_in_where_an_earlier_release_had_none(known, tmp_path):
    path = copy_study(load_study(known[0].output), tmp_path).with_suffix(".json")
    sidecar = json.loads(path.read_text())
    scale = sidecar["data"].pop("psnr_scale_db")
    sidecar["data"]["provenance"] = "as it was told"
    path.write_text(json.dumps(sidecar))
    data = Laboratory(load_study(tmp_path), tmp_path).table().sidecar["data"]
    assert data["psnr_scale_db"] == scale and data["provenance"] == "as it was told"


def beside(entries):
    return {name: entries.get(name) for name in ("anonymity", "searched", "side_attacks")}


def test_what_is_measured_beside_rows_is_kept_by_tuning_and_by_characterizing(
    study, tmp_path, monkeypatch
):
    first = Laboratory(study, tmp_path / "first")
    assert first.measure(PAIRS[:1], always, lambda row: None)
    attack = {**TRAINED[0].as_dict(), "capacity": 2, "images_sha256": "", "psnr_db": 30.0}
    told = {
        "anonymity": [{"cut_layer": "conv4", "kept_filters": 2, "known_psnr_db": 17.0}],
        "searched": [{"cut_layer": "conv4", "kept_filters": 2, "channels": [0, 1]}],
        "side_attacks": [attack],
    }
    first.folder.add_anonymity("conv4", told["anonymity"])
    first.folder.add_searched(told["searched"][0])
    first.folder.add_side_attack(attack)
    assert beside(first.table().sidecar) == told
    known = replace(study, directory=tmp_path / "first")
    other = Laboratory(known, tmp_path / "second")
    assert beside(other.table().sidecar) == told
    own = {**attack, "psnr_db": 31.0}
    other.folder.add_side_attack(own)  # what was measured there is not written over
    again = Laboratory(known, tmp_path / "second")
    assert beside(again.table().sidecar) == told | {"side_attacks": [own]}
    path = characterize(study, None, None, tmp_path / "second", fidelities=("screen",))
    assert beside(load_table(path).sidecar) == told | {"side_attacks": [own]}

    # An attack of another recipe tells nothing of this one's.
    longer = replace(recipes.FROM_SCRATCH["standard"], max_images=451)
    monkeypatch.setitem(recipes.FROM_SCRATCH, "standard", longer)
    third = Laboratory(known, tmp_path / "third").table().sidecar
    assert beside(third) == told | {"side_attacks": []}


def test_when_each_row_was_measured_stays_told(known, study, tmp_path):
    spec = load_study(known[0].output)
    table = Laboratory(spec, tmp_path).table()
    assert "extensions" not in table.sidecar  # nothing new
    fresh = {**known[2][-1], "training_seed": 2}
    told = [{"fidelity": "standard", "rows": 1, "date": "2020-01-01"}]
    extend_table(table.path, [fresh], told)
    laboratory = Laboratory(spec, tmp_path)
    assert laboratory.table().sidecar["extensions"] == told
    new = [(LocalTopology("conv1", k, "magnitude"), "screen") for k in (2, 3)]
    for n, pair in enumerate(new, start=1):
        assert laboratory.measure([pair], always, lambda row: None)
        *before, added = laboratory.table().sidecar["extensions"]
        assert before == told and added["rows"] == n
    again = Laboratory(spec, tmp_path).table()
    assert again.sidecar["extensions"] == [*told, added]
    assert again.sidecar["measured"] == table.sidecar["measured"]
    characterize(study, None, None, tmp_path, fidelities=("screen",))
    assert load_table(table.path).sidecar["extensions"] == [*told, added]


def test_rows_taken_over_into_a_table_begun_before_are_told_with_their_date(known, study, tmp_path):
    laboratory = Laboratory(study, tmp_path)
    own = (LocalTopology("conv1", 2, "magnitude"), "screen")
    assert laboratory.measure([own], always, lambda row: None)
    begun = laboratory.table().sidecar
    table = known[0].table()
    more = Laboratory(load_study(known[0].output), tmp_path).table()
    assert more.sidecar["measured"] == begun["measured"]
    assert more.sidecar["extensions"] == [{"rows": len(PAIRS), **table.sidecar["measured"]}]
    assert len(more.rows) == len(PAIRS) + 1


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
