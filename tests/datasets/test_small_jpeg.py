"""Small JPEG files have the same pixels whichever library decodes them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from privynet_opt.datasets import folder, small_jpeg
from privynet_opt.datasets.folder import decode
from privynet_opt.errors import DataError

SIZE = 33  # no whole number of blocks


@pytest.fixture(autouse=True)
def installed():
    small_jpeg._simplejpeg.cache_clear()
    assert small_jpeg._simplejpeg() is not None
    yield small_jpeg._simplejpeg()
    small_jpeg._simplejpeg.cache_clear()


def picture(size=SIZE):
    rng = np.random.default_rng(0)
    waves = np.sin(np.linspace(0, 6, size))[:, None, None] * np.array([1, -1, 0.5])
    noisy = 127 * (1 + waves) + rng.normal(0, 20, (size, size, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def pillow(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_pixels_are_those_of_pillow(tmp_path, subsampling, progressive, mode):
    path = tmp_path / "image.jpg"
    picture().convert(mode).save(path, subsampling=subsampling, progressive=progressive)
    pixels = small_jpeg.decode_small(path, SIZE)
    assert pixels is not None
    assert pixels.shape == (SIZE, SIZE, 3) and pixels.dtype == np.uint8
    assert np.array_equal(pixels, pillow(path))
    assert np.array_equal(decode(path, SIZE), pixels)


def test_folders_are_read_by_it(tmp_path, monkeypatch):
    picture().save(tmp_path / "image.jpg")
    sentinel = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    monkeypatch.setattr(folder, "decode_small", lambda path, size: sentinel)
    assert decode(tmp_path / "image.jpg", SIZE) is sentinel


def test_turned_images_stay_as_they_are_stored(tmp_path):
    path, turned = tmp_path / "image.jpeg", Image.Exif()
    turned[0x0112] = 6
    picture().save(path, exif=turned)
    assert np.array_equal(decode(path, SIZE), pillow(path))


@pytest.mark.parametrize(
    ("name", "mode", "size"),
    [("four.jpg", "CMYK", SIZE), ("large.jpg", "RGB", SIZE + 1), ("other.png", "RGB", SIZE)],
)
def test_all_else_is_left_to_pillow(tmp_path, name, mode, size):
    picture(size).convert(mode).save(tmp_path / name)
    assert small_jpeg.decode_small(tmp_path / name, SIZE) is None
    assert decode(tmp_path / name, SIZE).shape == (SIZE, SIZE, 3)


def test_a_png_called_jpg_is_still_read(tmp_path):
    picture().save(tmp_path / "named.jpg", format="png")
    assert np.array_equal(decode(tmp_path / "named.jpg", SIZE), np.asarray(picture()))


def test_colours_that_are_stored_as_they_are(tmp_path):
    picture().save(tmp_path / "image.jpg", keep_rgb=True)
    pixels = small_jpeg.decode_small(tmp_path / "image.jpg", SIZE)
    assert pixels is not None
    assert np.array_equal(pixels, pillow(tmp_path / "image.jpg"))


@pytest.mark.parametrize("error", [KeyError(6), RuntimeError("no decoder")])
def test_what_the_library_does_not_know_is_left_to_pillow(tmp_path, monkeypatch, installed, error):
    def refuse(content):
        raise error

    picture().save(tmp_path / "image.jpg")
    monkeypatch.setattr(installed, "decode_jpeg_header", refuse)
    assert small_jpeg.decode_small(tmp_path / "image.jpg", SIZE) is None
    assert np.array_equal(decode(tmp_path / "image.jpg", SIZE), pillow(tmp_path / "image.jpg"))


def test_large_files_are_not_read_whole(tmp_path):
    path = tmp_path / "image.jpg"
    picture().save(path, comment=b"x" * 40_000)
    assert small_jpeg.decode_small(path, SIZE) is not None
    picture().save(path, icc_profile=b"x" * 80_000)
    assert small_jpeg.decode_small(path, SIZE) is None
    assert np.array_equal(decode(path, SIZE), pillow(path))


@pytest.mark.parametrize("kept", [0, 10, 300, -40, -1])
def test_damaged_files_are_refused_as_before(tmp_path, kept):
    path = tmp_path / "half.jpg"
    picture().save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=rf"{path} is not \("):
        decode(path, SIZE)


@pytest.mark.parametrize("error", [ImportError, ValueError("numpy.dtype size changed")])
def test_without_the_library_pillow_decodes(tmp_path, monkeypatch, error):
    def refuse(name):
        raise error

    path = tmp_path / "image.jpg"
    picture().save(path)
    monkeypatch.setattr(small_jpeg.importlib, "import_module", refuse)
    small_jpeg._simplejpeg.cache_clear()
    assert small_jpeg.decode_small(path, SIZE) is None
    assert np.array_equal(decode(path, SIZE), pillow(path))
