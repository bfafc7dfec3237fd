"""Compute the features of a user's images on the device, shard by shard.

The next images are decoded while the network works on the last ones, and a shard is written while
the next is computed: memory holds two batches of images and three shards of features, one of them
as the bytes of its file, however many images there are. A shard's features depend on its own images
only, so that a run that was killed ends with the same bits as one that was not.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from privynet_opt.deploy.bundle import MANIFEST, Bundle
from privynet_opt.deploy.feature_folder import FeatureFolder
from privynet_opt.deploy.feature_index import Shard
from privynet_opt.deploy.image_source import ImageSource, open_images
from privynet_opt.deploy.network_file import Run, load_network, threads_of_torch
from privynet_opt.errors import BundleError
from privynet_opt.files import prepare_output

LARGEST_BATCH = 128
"""Images that the network works on at once, at most."""

BATCH_BYTES = 128 * 2**20
"""Their predicted activations take so much memory, at most."""

SHARD_BYTES = 64 * 2**20
"""A shard holds about so many bytes of features."""

LARGEST_SHARD = 4096
"""And so many images at most: what a killed run has to repeat."""


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Attributes:
        folder: The features.
        n_images: By part; without files that were left out.
        n_extracted: Images whose features this run computed.
        seconds: It took for them.
    """

    folder: FeatureFolder
    n_images: dict[str, int]
    n_extracted: int
    seconds: float


def extract(
    bundle: Bundle,
    data: Path | None,
    output: Path,
    mirrored: bool = False,
    shard_images: int | None = None,
    skip_bad: bool = False,
) -> Extraction:
    """Write the features of labelled images; a run in the same folder goes on where it was.

    Args:
        bundle: The exported network.
        data: As for `image_source.open_images`.
        output: Folder to write.
        mirrored: Also send the features of the mirrored training images.
        shard_images: Images of a shard; None takes about `SHARD_BYTES`.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

    Returns:
        What was done.

    Raises:
        PrivyNetOptError: If images or folder are not usable, the folder holds anything but these
            features, or mirrored images are asked of a bundle with noise or of a study without.
    """
    manifest = bundle.manifest
    if mirrored and bundle.noise is not None:
        raise BundleError(
            f"`--mirrored` must be left out where noise is added, as {bundle.directory} does: "
            "an image and its mirror image have two draws, whose mean is less noisy."
        )
    told = manifest.content["data"]
    if mirrored and not told["mirrorable"]:
        raise BundleError(
            "`--mirrored` must be left out where mirrored images are of another kind, as the study "
            f"of {bundle.directory} says (`mirrorable = false`): every image would be sent twice, "
            "and the cloud network would learn what it is never shown."
        )
    sources = open_images(told["name"], data, manifest.image_size, told["classes"], skip_bad)
    size = batch_size(bundle)
    shards = _plan(sources, shard_images or _shard_images(bundle, size, mirrored))
    prints = [bundle.private["salt"], *(source.fingerprint() for source in sources.values())]
    class_names = next(iter(sources.values())).class_names
    folder = FeatureFolder(
        prepare_output(output),
        manifest,
        class_names,
        hashlib.sha256("".join(prints).encode()).hexdigest(),
        mirrored,
        shards,
    )
    folder.begin((bundle.directory / MANIFEST).read_text(encoding="utf-8"))
    run = load_network(bundle.network_path, manifest.image_size, bundle.noise)
    missing = folder.unfinished()
    total = sum(shard.stop - shard.start for shard in shards)
    done = total - sum(shard.stop - shard.start for shard in missing)
    n_extracted = 0
    started = time.perf_counter()
    with (
        threads_of_torch(bundle.network_path),
        tqdm(total=total, initial=done, unit="image", disable=not sys.stderr.isatty()) as bar,
        ThreadPoolExecutor(1) as writer,
    ):
        pending = None
        for shard in missing:
            batches = prefetched(sources[shard.part], shard.start, shard.stop, size)
            tensors = _features(run, batches, folder, shard, bar)
            n_extracted += len(tensors["labels"])
            if pending is not None:
                pending.result()
            pending = writer.submit(folder.add, shard, tensors)
        if pending is not None:
            pending.result()
    seconds = time.perf_counter() - started
    return Extraction(
        folder, {part: folder.n_images(part) for part in sources}, n_extracted, seconds
    )


def batch_size(bundle: Bundle) -> int:
    """Return how many images the network works on at once; the same on every machine.

    Args:
        bundle: The exported network.
    """
    peak = int(bundle.manifest.content["costs"]["peak_activation_bytes"])
    return max(1, min(LARGEST_BATCH, BATCH_BYTES // peak))


def _shard_images(bundle: Bundle, size: int, mirrored: bool) -> int:
    sent = bundle.manifest.coding.bytes_per_image * (1 + mirrored)
    fitting = min(LARGEST_SHARD, SHARD_BYTES // sent)
    return max(1, fitting // size) * size


def _plan(sources: dict[str, ImageSource], shard_images: int) -> tuple[Shard, ...]:
    return tuple(
        Shard(
            f"{part}-{number:05d}.safetensors",
            part,
            start,
            min(start + shard_images, len(source)),
        )
        for part, source in sources.items()
        for number, start in enumerate(range(0, len(source), shard_images))
    )


def _features(
    run: Run,
    batches: Iterator[tuple[Tensor, Tensor]],
    folder: FeatureFolder,
    shard: Shard,
    bar: tqdm[None],
) -> dict[str, Tensor]:
    coding, most = folder.manifest.coding, shard.stop - shard.start
    names = ("features", "mirrored") if folder.mirrors(shard) else ("features",)
    # In memory that is taken at once: parts that are joined later take it twice.
    tensors = {name: torch.empty((most, *coding.coded_shape), dtype=coding.dtype) for name in names}
    tensors["labels"] = torch.empty(most, dtype=torch.int64)
    done = 0
    for images, labels in batches:
        if len(images):  # none is left where all files of a batch were skipped
            rows = slice(done, done + len(images))
            tensors["features"][rows], tensors["labels"][rows] = run(images), labels
            if folder.mirrors(shard):
                tensors["mirrored"][rows] = run(images.flip(-1).contiguous())
        done += len(images)
        bar.update(len(images))
    return {name: tensor[:done] for name, tensor in tensors.items()}


def prefetched(
    source: ImageSource, start: int, stop: int, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images and labels in batches, each read while the one before is worked on.

    Args:
        source: The images.
        start: Position of the first.
        stop: Position after the last.
        size: Images of a batch.

    Yields:
        What `ImageSource.batch` returns.
    """
    with ThreadPoolExecutor(1) as reader:
        edges = [(first, min(first + size, stop)) for first in range(start, stop, size)]
        following = reader.submit(source.batch, *edges[0])
        for edge in edges[1:]:
            batch = following.result()
            following = reader.submit(source.batch, *edge)
            yield batch
        yield following.result()
