import numpy as np
import pytest
import torch

from privynet_opt.attacks.metrics import psnr_db, ssim
from privynet_opt.characterization.gallery import (
    LARGEST_SIDE,
    Gallery,
    one_of_each_class,
    thumbnails,
)
from privynet_opt.characterization.gallery_store import (
    ORIGINAL,
    RECOVERED,
    THUMBNAIL,
    copy_gallery,
    read_gallery,
    write_strip,
)
from privynet_opt.errors import TableError

KEY = {
    "cut_layer": "conv1",
    "kept_filters": 4,
    "selection_strategy": "lda",
    "selection_seed": 0,
    "fidelity": "standard",
    "training_seed": 1,
}


@pytest.fixture
def images():
    return torch.rand(12, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_classes_take_turns():
    assert one_of_each_class([1, 1, 0, 1, 0, 2], 5) == [2, 0, 5, 4, 1]
    assert one_of_each_class([0, 0], 8) == [0, 1]


def test_a_thumbnail_is_the_mean_over_each_of_its_squares(images):
    small = thumbnails(images, 4)
    square = images[5, 1, 8:16, 24:32].mean()
    assert torch.allclose(small[5, 1, 8:16, 24:32], square)


def test_a_strip_survives_its_file(tmp_path, images):
    gallery = Gallery(tmp_path / "gallery", images, torch.arange(12) % 8, "noise")
    gallery.add(KEY, "decoder", images.flip(-1))
    strips = {strip.kind: strip for strip in read_gallery(tmp_path / "gallery")}
    shown = images[gallery.positions]
    assert strips[ORIGINAL].facts == {"source": "noise"}
    pixels = (shown * 255).round().to(torch.uint8).movedim(1, -1).numpy()
    assert np.array_equal(strips[ORIGINAL].pixels, pixels)
    recovered = strips[RECOVERED]
    assert recovered.facts == {**KEY, "attacker": "decoder"}
    assert recovered.psnr_db == pytest.approx(psnr_db(shown, shown.flip(-1)).tolist(), abs=1e-3)
    assert recovered.ssim == pytest.approx(ssim(shown, shown.flip(-1)).tolist(), abs=1e-4)
    write_strip(tmp_path / "again.png", recovered)
    name = "conv1--4--lda--0--standard--1.png"
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "gallery" / name).read_bytes()


def test_images_no_larger_than_a_thumbnail_have_no_such_thumbnail(tmp_path):
    Gallery(tmp_path, torch.zeros(3, 3, 8, 8), torch.zeros(3))
    sides = [s.facts["side"] for s in read_gallery(tmp_path) if s.kind == THUMBNAIL]
    assert sides == [4]


def test_large_images_are_scored_whole_and_stored_small(tmp_path):
    images = torch.rand(2, 3, 128, 128)
    Gallery(tmp_path, images, torch.arange(2)).add(KEY, "ridge", images.flip(-1))
    (recovered,) = (s for s in read_gallery(tmp_path) if s.kind == RECOVERED)
    assert recovered.pixels.shape == (2, LARGEST_SIDE, LARGEST_SIDE, 3)
    assert recovered.psnr_db == pytest.approx(psnr_db(images, images.flip(-1)).tolist(), abs=1e-3)


def test_what_is_no_strip_is_named(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"no picture")
    with pytest.raises(TableError, match=r"photo\.png is not one .*Remove the file"):
        read_gallery(tmp_path)
    assert read_gallery(tmp_path / "missing") == ()


def test_a_copied_gallery_keeps_what_was_there(tmp_path, images):
    for name, seed in (("a", 1), ("b", 2)):
        key = {**KEY, "training_seed": seed}
        Gallery(tmp_path / name, images, torch.arange(12)).add(key, "decoder", images)
    copy_gallery(tmp_path / "a", tmp_path / "b")
    copy_gallery(tmp_path / "missing", tmp_path / "b")
    recovered = [s for s in read_gallery(tmp_path / "b") if s.kind == RECOVERED]
    assert [s.facts["training_seed"] for s in recovered] == [1, 2]


def test_a_measurement_shows_what_it_scored(measured):
    strips = read_gallery(measured.parent / "gallery")
    recovered = [s for s in strips if s.kind == RECOVERED]
    rows = [line.split(",") for line in measured.read_text().splitlines()[1:]]
    trained = {tuple(row[:6]) for row in rows if row[4] == "standard"}
    assert {tuple(str(v) for v in list(s.facts.values())[:6]) for s in recovered} == trained
    (originals,) = (s for s in strips if s.kind == ORIGINAL)
    for strip in recovered:
        error = (originals.pixels / 255.0 - strip.pixels / 255.0) ** 2
        from_pixels = -10 * np.log10(error.mean((1, 2, 3)))
        assert strip.psnr_db == pytest.approx(from_pixels, abs=0.15)  # pixels are rounded
