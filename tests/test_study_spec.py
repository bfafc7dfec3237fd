from __future__ import annotations

from pathlib import Path

import pytest
from problems import KEPT_FILTERS, STRATEGIES, write_toy_study

from privynet_opt.constraints import Constraint
from privynet_opt.errors import StudyError, UnknownStudyError
from privynet_opt.study_spec import list_studies, load_study


def edited(study: Path, old: str, new: str) -> Path:
    file = study / "study.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return study


def fault_of(study: Path) -> str:
    with pytest.raises(StudyError) as caught:
        load_study(study)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_study_is_read_into_its_parts(toy_study: Path) -> None:
    spec = load_study(toy_study)
    assert (spec.name, spec.title) == ("toy", "Closed-form toy")
    assert (spec.network.name, spec.network.weights) == ("small_cnn", "none")
    assert (spec.data.name, spec.data.image_size) == ("toy", 16)
    assert spec.search_space.cut_layers == ("conv1", "conv2", "conv2p", "conv3")
    assert spec.search_space.kept_filters == KEPT_FILTERS
    assert spec.search_space.selection_strategies == STRATEGIES
    assert spec.search.objectives == ("accuracy", "psnr_db", "local_flops")
    assert spec.search.constraints == (
        Constraint("psnr_db <= 17.5"),
        Constraint("local_flops <= 1e6"),
    )
    assert (spec.search.n_trials, spec.search.seed, spec.search.sampler) == (200, 0, "nsga2")
    assert spec.search.confidence == 0.9
    sizes = spec.characterization
    assert (sizes.n_cloud, sizes.n_attacker, sizes.n_score) == (100, 100, 50)
    assert (sizes.trained_topologies, sizes.repeated_seeds) == (40, 1)
    assert spec.table_path == toy_study / "characterization.csv"


def test_a_study_is_found_by_name_folder_and_file(toy_study: Path) -> None:
    assert load_study("cifar10").name == "cifar10"
    expected = load_study(toy_study)
    assert load_study(str(toy_study)) == expected
    assert load_study(toy_study / "study.toml") == expected


def test_every_shipped_study_can_be_read() -> None:
    names = [spec.name for spec in list_studies()]
    assert "cifar10" in names
    assert names == sorted(names)


def test_an_unknown_name_hints_at_the_closest_study() -> None:
    with pytest.raises(UnknownStudyError, match=r"got 'cifar1'\. Did you mean 'cifar10'\?"):
        load_study("cifar1")


def test_what_is_neither_name_nor_path_is_refused() -> None:
    with pytest.raises(StudyError, match=r"`study` must be a name or a path, but got 5\. Known: "):
        load_study(5)  # type: ignore[arg-type]


def test_a_folder_without_a_study_says_what_is_missing(tmp_path: Path) -> None:
    assert "study.toml does not exist" in fault_of(tmp_path)


def test_a_study_file_of_another_name_is_refused(toy_study: Path) -> None:
    (toy_study / "study.toml").rename(toy_study / "other.toml")
    assert "Put that file into a folder of its own as study.toml" in fault_of(
        toy_study / "other.toml"
    )


def test_malformed_toml_names_file_and_line(toy_study: Path) -> None:
    message = fault_of(edited(toy_study, 'name = "toy"\ntitle', "name = toy\ntitle"))
    assert "study.toml" in message
    assert "line 1" in message


def test_a_byte_order_mark_is_no_fault(toy_study: Path) -> None:
    plain = load_study(toy_study)
    file = toy_study / "study.toml"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_study(toy_study) == plain


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in fault_of(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "toy"\ntitle', "title", ["`name` must be text in quotes, but got nothing"]),
        ('name = "toy"\ntitle', 'name = "a/b"\ntitle', ["`name` must consist of letters"]),
        ("image_size = 16", 'image_size = "16"', ["`data.image_size` must be a whole number"]),
        ("image_size = 16", "image_size = 0", ["`data.image_size` must be from 1 to 2,048, but"]),
        ("image_size = 16", "image_size = 100000", ["must be from 1 to 2,048, but got 100000"]),
        ("image_size = 16", 'image_size = 16\nclasses = ["a"]', ["`data.classes` must be two"]),
        ("image_size = 16", "image_size = true", ["`data.image_size`", "but got True"]),
        (
            "image_size = 16",
            'image_size = 16\nmirrorable = "no"',
            ["`data.mirrorable` must be true or false, but got 'no'. For example true."],
        ),
        ("[data]", "[dat]", ["`data` must be a table", "`dat`", "Did you mean 'data'?"]),
        ('weights = "none"', 'wieghts = "none"', ["`network.wieghts`", "Did you mean 'weights'?"]),
        ('"lda"', '"ldaa"', ["`search_space.selection_strategies`", "Did you mean 'lda'?"]),
        ('["random", "lda"', '["lda", "lda"', ["must name each entry once"]),
        ("[1, 2, 4", "[0, 2, 4", ["`search_space.kept_filters` must be at least 1 each"]),
        (
            '["random", "lda", "privacy"]',
            "[]",
            ["`search_space.selection_strategies` must be a list of texts", "an empty one"],
        ),
        (
            "[search_space]",
            "[search_space]\nfeature_bits = []",
            ["`search_space.feature_bits` must be a list of whole numbers, but got an empty one"],
        ),
        ("cloud = 100", "cloud = 1", ["`characterization.images.cloud` must be at least 2, but"]),
        (
            "attacker = 100",
            "attacker = 1",
            ["`characterization.images.attacker` must be at least 2"],
        ),
        ("score = 50", "score = 0", ["`characterization.images.score` must be at least 1, but"]),
        ("[1, 2, 4", "[1.5, 2, 4", ["must be a list of whole numbers"]),
        ('sampler = "nsga2"', 'sampler = "tp"', ["`search.sampler`", "Did you mean 'tpe'?"]),
        ("confidence = 0.9", "confidence = 90", ["`search.confidence` must lie between 0 and 1"]),
        ("n_trials = 200", "n_trials = 2e2", ["`search.n_trials` must be a whole number"]),
        ("seed = 0", "seed = -1", ["`search.seed` must be at least 0"]),
        (
            "seed = 0",
            "seed = 4294967296",
            ["`search.seed` must be at least 0 and below 2**32, but got 4294967296"],
        ),
        ('"accuracy", ', '"acc", ', ["`objective` must name a metric, but got 'acc'"]),
        ("psnr_db <= 17.5", "psnr_db <= 17.5 dB", ['Write "psnr_db <= 17.5"']),
        (
            '"lda"',
            '"searched"',
            ["`characterization.searched` must go with the selection strategy"],
        ),
        (
            "[characterization]",
            "[characterization]\nsearched = { conv1 = [2], conv9 = [5] }",
            ["one without the other", "`characterization.searched` must be known", "'conv9'"],
        ),
        (
            "[characterization]",
            "[characterization]\nsearched = { conv1 = [5] }",
            ["`characterization.searched.conv1` must be counts of `search_space.kept_filters`"],
        ),
        (
            "[search_space]",
            "[search_space]\nfeature_bits = [32, 6]",
            ["`search_space.feature_bits` must be some of 32, 16, 8, 4, but got [32, 6]"],
        ),
        (
            "[search_space]",
            "[search_space]\nnoise_std = [1.0, 0.5]",
            ["`search_space.noise_std` must be the least and the most noise", "[1.0, 0.5]"],
        ),
        ("[search_space]", "[search_space]\nnoise_std = [0.5]", ["the least and the most noise"]),
        ("[search_space]", "[search_space]\nnoise_std = [0, 11]", ["from 0 to 10"]),
        ("[search_space]", "[search_space]\nnoise_std = [0, 0.12345]", ["in thousandths"]),
        ("[search_space]", "[search_space]\nnoise_std = 0.5", ["must be a list of numbers"]),
        (
            "[search_space]",
            "[search_space]\nnoise_std = [0, 1]\nnoise_step = 0.3",
            ["`search_space.noise_step` must divide the range", "but got 0.3 for [0.0, 1.0]"],
        ),
        (
            "[search_space]",
            "[search_space]\nnoise_step = 0.3",
            ["must divide the range", "but got 0.3 without `noise_std`"],
        ),
        (
            "[search_space]",
            "[search_space]\nnoise_std = [0, 1]\nnoise_step = 0.0005",
            ["in thousandths", "but got 0.0005"],
        ),
        (
            "[search_space]",
            "[search_space]\nnoise_std = [0, 1]\nnoise_step = -0.5",
            ["must divide the range", "but got -0.5"],
        ),
        ("cloud = 100", "clod = 100", ["`characterization.images.clod`"]),
    ],
)
def test_a_fault_names_key_rule_and_value(
    toy_study: Path, old: str, new: str, words: list[str]
) -> None:
    message = fault_of(edited(toy_study, old, new))
    for word in [*words, "study.toml"]:
        assert word in message


def test_all_faults_are_named_in_one_message(toy_study: Path) -> None:
    edited(toy_study, "image_size = 16", "image_size = 0")
    edited(toy_study, "psnr_db <= 17.5", "psnr <= 17.5")
    edited(toy_study, "seed = 0", "sed = 0")
    message = fault_of(toy_study)
    for word in ("data.image_size", "'psnr'", "search.sed"):
        assert word in message


def test_search_and_characterization_have_defaults(toy_study: Path) -> None:
    file = toy_study / "study.toml"
    file.write_text(file.read_text().split("[search]")[0])
    spec = load_study(toy_study)
    assert (spec.search.n_trials, spec.search.sampler) == (1000, "nsga2")
    assert spec.search.objectives == ("accuracy", "psnr_db", "local_flops")
    assert spec.search.constraints == ()
    assert spec.characterization.n_score == 2000


def test_weights_beside_the_study_are_found_from_anywhere(
    toy_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toy_study / "mine.pth").write_bytes(b"")
    edited(toy_study, 'weights = "none"', 'weights = "mine.pth"')
    monkeypatch.chdir(tmp_path)
    assert load_study("toy").network.weights == str(toy_study / "mine.pth")


def test_a_name_with_markup_is_only_a_title(tmp_path: Path) -> None:
    study = write_toy_study(tmp_path / "s")
    edited(study, "Closed-form toy", "<script>alert(1)</script>")
    assert load_study(study).title == "<script>alert(1)</script>"


def test_features_are_sent_plainly_unless_a_study_asks(toy_study: Path) -> None:
    space = load_study(toy_study).search_space
    assert (space.feature_bits, space.noise_std, space.sends_plainly) == ((32,), None, True)
    edited(
        toy_study, "[search_space]", "[search_space]\nfeature_bits = [4, 32]\nnoise_std = [0, 1]"
    )
    space = load_study(toy_study).search_space
    assert (space.feature_bits, space.noise_std, space.sends_plainly) == (
        (32, 4),
        (0.0, 1.0),
        False,
    )
    assert space.noise_step is None
    edited(toy_study, "noise_std = [0, 1]", "noise_std = [0.1, 0.7]\nnoise_step = 0.2")
    assert load_study(toy_study).search_space.noise_step == 0.2
    edited(
        toy_study,
        "feature_bits = [4, 32]\nnoise_std = [0.1, 0.7]\nnoise_step = 0.2",
        "noise_std = []",
    )
    assert load_study(toy_study).search_space.sends_plainly


def test_a_wrong_range_of_noise_is_one_fault_whatever_its_step(toy_study: Path) -> None:
    edited(toy_study, "[search_space]", "[search_space]\nnoise_std = [1, 0]\nnoise_step = 0.5")
    message = fault_of(toy_study)
    assert "`search_space.noise_std` must be" in message and "noise_step" not in message
