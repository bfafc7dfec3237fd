"""Images arrive as they are, and what is wrong with a source is said in one line."""

from __future__ import annotations

import pickle
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from privynet_opt.datasets.image_set import ImageSet, split
from privynet_opt.datasets.load import KNOWN_NAMES, kind_of, load_images
from privynet_opt.errors import DataError, DataWarning
from privynet_opt.networks.vision import torchvision


def write_folder(root, classes=("cat", "dog"), n=3, size=(8, 8)):
    generator = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(n):
            pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def test_folder_gives_pixels_labels_and_names(tmp_path):
    train, test = load_images("mine", write_folder(tmp_path / "images"), 8)
    assert test is None
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with Image.open(tmp_path / "images" / "dog" / "1.png") as image:
        expected = torch.from_numpy(np.asarray(image)).permute(2, 0, 1)
    assert torch.equal(train.images[4], expected)


def test_train_and_test_folders_are_kept_apart(tmp_path):
    write_folder(tmp_path / "train", n=3)
    write_folder(tmp_path / "test", n=1)
    train, test = load_images("mine", tmp_path, 8)
    assert (len(train), len(test)) == (6, 2)


def test_a_test_part_may_lack_images_of_a_class(tmp_path):
    write_folder(tmp_path / "train", n=3)
    write_folder(tmp_path / "test", ("dog",), n=1)
    (tmp_path / "test" / "cat").mkdir()
    train, test = load_images("mine", tmp_path, 8)
    assert train.class_names == test.class_names == ("cat", "dog")
    assert test.labels.tolist() == [1]


def test_other_sizes_are_fitted(tmp_path):
    train, _ = load_images("mine", write_folder(tmp_path / "images", size=(20, 12)), 8)
    assert train.images.shape == (6, 3, 8, 8)


def test_greys_of_16_bits_keep_their_steps(tmp_path):
    root = write_folder(tmp_path / "images")
    greys = np.arange(0, 65536, 1028, dtype=np.uint16).reshape(8, 8)  # 0, 4, 8, ... of 255
    Image.fromarray(greys).save(root / "cat" / "0.png")
    train, _ = load_images("mine", root, 8)
    for colour in train.images[0]:
        assert colour.tolist() == (greys // 257).tolist()


def test_what_is_hidden_is_no_class_and_no_image(tmp_path):
    root = write_folder(tmp_path / "images")
    (root / ".ipynb_checkpoints").mkdir()
    (root / "cat" / "._0.png").write_bytes(b"what macOS leaves on other disks")
    train, _ = load_images("mine", root, 8)
    assert train.class_names == ("cat", "dog")
    assert len(train) == 6


def test_a_folder_without_images_is_no_class_and_told(tmp_path):
    root = write_folder(tmp_path / "images")
    (root / "bird").mkdir()
    (root / "results" / "inner").mkdir(parents=True)
    (root / "results" / "front.csv").touch()
    with pytest.warns(DataWarning, match="no class, for want of images: bird, results in .*images"):
        train, _ = load_images("mine", root, 8)
    assert train.class_names == ("cat", "dog")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path, recwarn):
    root = write_folder(tmp_path / "images")
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8) % 4
    image = Image.fromarray(indices, mode="P")
    image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
    image.save(root / "cat" / "0.png", transparency=bytes([0, 128, 255, 255]))
    train, _ = load_images("mine", root, 8)
    colours = [[0, 0, 0], [250, 0, 0], [0, 250, 0], [0, 0, 250]]
    assert train.images[0, :, 0, :4].T.tolist() == colours
    assert not [w for w in recwarn if issubclass(w.category, UserWarning)]


def test_corrupt_image_is_named(tmp_path):
    root = write_folder(tmp_path / "images")
    (root / "cat" / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.jpg is not"):
        load_images("mine", root, 8)


def test_corrupt_images_are_left_out_on_request_and_named(tmp_path):
    root = write_folder(tmp_path / "images")
    (root / "cat" / "broken.jpg").write_bytes(b"no image")
    with pytest.warns(DataWarning, match=r"left out 1 file that is not readable: .*broken\.jpg$"):
        train, _ = load_images("mine", root, 8, skip_bad=True)
    good, _ = load_images("mine", write_folder(tmp_path / "good"), 8)
    assert torch.equal(train.images, good.images)
    assert torch.equal(train.labels, good.labels)


def test_npz_gives_pixels_and_class_names(tmp_path):
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    np.savez(tmp_path / "d.npz", images=images, labels=np.array(["b", "a"]))
    train, _ = load_images("mine", tmp_path / "d.npz", 4)
    assert train.class_names == ("a", "b")
    assert train.labels.tolist() == [1, 0]
    assert train.images[0, 2, 1, 3] == images[0, 1, 3, 2]


def test_a_png_that_breaks_halfway_is_named_like_any_other(tmp_path):
    root = write_folder(tmp_path / "images", size=(64, 64))
    path = root / "dog" / "0.png"
    damaged = bytearray(path.read_bytes())
    start = damaged.index(b"IDAT")
    damaged[start : start + 4] = b"XDAT"
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"0\.png is not"):
        load_images("mine", root, 8)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        (
            {"pixels": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2)},
            "the arrays `images` and `labels`, but .* holds pixels, labels",
        ),
        ({}, "holds nothing"),
        ({"images": np.zeros((2, 4, 4)), "labels": np.zeros(2)}, "must hold uint8 `images`"),
        (
            {"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(3)},
            "one label per image",
        ),
        (
            {"images": np.zeros((2, 4, 4, 1), np.uint8), "labels": np.zeros(2)},
            "3 colours",
        ),
    ],
)
def test_npz_of_the_wrong_shape_is_refused(tmp_path, arrays, fault):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=fault):
        load_images("mine", tmp_path / "d.npz", 4)


def write_idx(path, array):
    """Write what the MNIST family of data sets is stored as."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(header + array.tobytes())


def test_fashion_mnist_as_torchvision_downloads_it(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.arange(3 * 28 * 28, dtype=np.int64).reshape(3, 28, 28).astype(np.uint8)
    for part, n in (("train", 3), ("t10k", 2)):
        write_idx(raw / f"{part}-images-idx3-ubyte", pixels[:n])
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.array([9, 0, 4], np.uint8)[:n])
    train, test = load_images("fashion_mnist", tmp_path, 28)
    assert (len(train), len(test)) == (3, 2)
    assert train.labels.tolist() == [9, 0, 4]
    assert train.class_names[9] == "Ankle boot"
    assert all(torch.equal(train.images[1, c], torch.from_numpy(pixels[1])) for c in range(3))
    (raw / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"torchvision's fashion_mnist.*Download it again"):
        load_images("fashion_mnist", tmp_path, 28)


def test_svhn_stl10_and_cifar_keep_colours_and_places(tmp_path, monkeypatch):
    from scipy.io import savemat

    datasets = torchvision().datasets
    for kind in (datasets.SVHN, datasets.STL10, datasets.CIFAR10):
        monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
    monkeypatch.setitem(datasets.CIFAR10.meta, "md5", None)
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    for part in ("train", "test"):  # rows, columns, colours, images
        stacked = np.stack([image, image[::-1]], -1).transpose(1, 2, 0, 3)
        savemat(tmp_path / f"{part}_32x32.mat", {"X": stacked, "y": np.array([[10], [3]])})
    (tmp_path / "stl10_binary").mkdir()
    for part in ("train", "test"):  # colours, columns, rows
        tall = np.kron(image, np.ones((1, 3, 3), np.uint8)).transpose(0, 2, 1)
        (tmp_path / "stl10_binary" / f"{part}_X.bin").write_bytes(tall.tobytes())
        (tmp_path / "stl10_binary" / f"{part}_y.bin").write_bytes(bytes([5]))
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        entry = {"data": image.reshape(1, -1), "labels": [7]}
        (batches / name).write_bytes(pickle.dumps(entry))
    names = {"label_names": [f"class {n}" for n in range(10)]}
    (batches / "batches.meta").write_bytes(pickle.dumps(names))
    for name, label, class_name in (
        ("svhn", 0, "0"),
        ("stl10", 4, "4"),
        ("cifar10", 7, "class 7"),
    ):
        train, test = load_images(name, tmp_path, 32)
        assert torch.equal(test.images[0], train.images[0])
        assert int(train.labels[0]) == label
        assert train.class_names[label] == class_name
        if name != "stl10":  # 96 pixels wide, so resized
            assert torch.equal(train.images[0], torch.from_numpy(image))
    stl10, _ = load_images("stl10", tmp_path, 96)
    assert torch.equal(stl10.images[0, :, 1::3, 1::3], torch.from_numpy(image))


def test_missing_sources_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="does not"):
        load_images("cifar10", tmp_path / "gone", 32)
    with pytest.raises(DataError, match="was not given"):
        load_images("cifar10", None, 32)
    with pytest.raises(DataError, match="one folder of images per class"):
        load_images("cifar10", tmp_path, 32)


def test_digits_need_no_files():
    train, _ = load_images("digits", None, 8)
    assert train.images.shape == (1797, 3, 8, 8)
    assert int(train.images.max()) == 255
    assert len(train.class_names) == 10


def numbered(n):
    images = torch.arange(n, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    return ImageSet(images.contiguous(), torch.zeros(n, dtype=torch.long), ("a",))


def test_three_sets_share_no_image_and_the_seed_repeats_them():
    first, second = (split(numbered(100), None, 40, 30, 20, seed=5) for _ in range(2))
    used = [set(s.images[:, 0, 0, 0].tolist()) for s in (first.cloud, first.attacker, first.score)]
    assert [len(s) for s in used] == [40, 30, 20]
    assert len(set.union(*used)) == 90
    assert first.score.sha256() == second.score.sha256()
    assert first.score.sha256() != split(numbered(100), None, 40, 30, 20, seed=6).score.sha256()


def test_too_few_images_are_counted():
    with pytest.raises(DataError, match="train images are 100 and 110 are asked for"):
        split(numbered(100), None, 60, 30, 20, seed=0)


def test_some_classes_are_kept_and_labelled_in_the_order_they_are_named(tmp_path):
    write_folder(tmp_path / "train", classes=("ant", "bee", "cat"))
    write_folder(tmp_path / "test", classes=("ant", "bee", "cat"), n=1)
    everything, _ = load_images("mine", tmp_path, 8)
    train, test = load_images("mine", tmp_path, 8, ("cat", "ant"))
    assert train.class_names == test.class_names == ("cat", "ant")
    assert train.labels.tolist() == [1, 1, 1, 0, 0, 0]
    assert test.labels.tolist() == [1, 0]
    assert torch.equal(train.images[3:], everything.images[6:])


def test_a_class_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(DataError, match=r"'dot'\. Did you mean 'dog'\?"):
        load_images("mine", write_folder(tmp_path), 8, ("cat", "dot"))


def test_a_cut_npz_and_labels_that_are_no_list_are_told(tmp_path):
    images = np.zeros((3, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "whole.npz", images=images, labels=np.arange(3))
    content = (tmp_path / "whole.npz").read_bytes()
    for cut in (0, 10, len(content) - 30):
        (tmp_path / "cut.npz").write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"must be a readable \.npz, but .*copy it again"):
            load_images("mine", tmp_path / "cut.npz", 8)
    for labels in (np.array(1), np.zeros((3, 1))):
        np.savez(tmp_path / "odd.npz", images=images, labels=labels)
        with pytest.raises(DataError, match="one label per image"):
            load_images("mine", tmp_path / "odd.npz", 8)


@pytest.mark.parametrize("name", KNOWN_NAMES)
def test_own_images_are_never_called_as_a_known_data_set(tmp_path, name):
    folder = write_folder(tmp_path / name)
    images = np.zeros((2, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / f"{name}.npz", images=images, labels=np.arange(2))
    assert kind_of(folder) == f"{name}-folder"
    assert kind_of(tmp_path / f"{name}.npz") == f"{name}-file"
    for place in (folder, tmp_path / f"{name}.npz"):
        assert load_images(kind_of(place), place, 8)[0].class_names in (("cat", "dog"), ("0", "1"))
        with pytest.raises(DataError, match="was not given"):
            load_images(kind_of(place), None, 8)


def test_downloads_are_known_by_what_they_hold_and_others_by_their_place(tmp_path):
    (tmp_path / "digits" / "cifar-10-batches-py").mkdir(parents=True)
    assert kind_of(tmp_path / "digits") == "cifar10"
    assert kind_of(write_folder(tmp_path / "pets")) == "pets"
    assert kind_of(None) == "digits"


def test_of_several_downloads_in_one_folder_none_is_taken_by_guess(tmp_path):
    for name in ("cifar-10-batches-py", "cifar-100-python", "alone/cifar-100-python"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"one data set, but .* cifar10, cifar100\. Move or link"):
        kind_of(tmp_path)
    assert kind_of(tmp_path / "alone") == "cifar100"


@pytest.mark.parametrize("name", ["mine", "cifar10"])
@pytest.mark.parametrize("file", ["images.zip", "cifar-10-python.tar.gz", "images.npy", "images"])
def test_a_file_that_is_no_npz_is_told_with_what_to_give(tmp_path, name, file):
    with zipfile.ZipFile(tmp_path / file, "w") as archive:
        archive.writestr("cat/0.png", b"an image")
    path = re.escape(str(tmp_path / file))
    told = rf"^`--data` must be a folder or an \.npz file, but {path} is neither\. Unpack [^\n]*$"
    with pytest.raises(DataError, match=told):
        load_images(name, tmp_path / file, 8)


def test_one_array_under_the_name_of_an_npz_is_told(tmp_path):
    with (tmp_path / "x.npz").open("wb") as file:
        np.save(file, np.zeros((3, 8, 8), dtype=np.uint8))
    told = r"`images` and `labels`, but .*x\.npz holds one array without a name\. .*numpy\.savez\.$"
    with pytest.raises(DataError, match=told):
        load_images("mine", tmp_path / "x.npz", 8)


@pytest.mark.parametrize(
    ("members", "held"),
    [
        ([f"cat/{n}.png" for n in range(9)], r"cat/0\.png, .*cat/4\.png, \.\.\.\. Write"),
        (["images", "labels"], r"images, labels\. Write"),
    ],
)
def test_an_archive_of_files_under_the_name_of_an_npz_is_told(tmp_path, members, held):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for member in members:
            archive.writestr(member, b"no array")
    with pytest.raises(DataError, match=rf"must hold the arrays .*x\.npz holds {held}"):
        load_images("mine", tmp_path / "x.npz", 8)


def test_a_folder_with_the_name_of_an_npz_is_a_folder(tmp_path):
    train, _ = load_images("mine", write_folder(tmp_path / "images.npz"), 8)
    assert train.class_names == ("cat", "dog")
