"""Features on disk: shards of safetensors with their checksums, whole or not there.

A folder holds the bundle's ``manifest.json``, ``features.json`` (what was extracted, and which
images each shard holds), the shards, and ``SHA256SUMS``, one line per finished shard, which
``sha256sum -c`` reads too. A shard holds ``features`` as they are sent, ``labels``, and, where its
images are to train on and that was asked for, ``mirrored``, the features of the mirrored images.
Nothing else may lie in the folder: it goes to the cloud as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from privynet_opt.deploy.bundle import (
    MANIFEST,
    Manifest,
    file_sha256,
    read_manifest,
    refuse_bundle,
)
from privynet_opt.deploy.feature_index import (
    AGAIN,
    FORMAT_VERSION,
    IN_WORDS,
    INDEX,
    SUMS,
    Shard,
    no_features,
    read_index,
    read_sums,
    refuse_other_files,
    shards_of,
)
from privynet_opt.errors import BundleError, OutputError
from privynet_opt.files import write_atomically


@dataclass(frozen=True)
class FeatureFolder:
    """A folder of features, finished or not.

    Attributes:
        directory: The folder.
        manifest: Of the bundle that made them.
        class_names: One name per class.
        images_sha256: Fingerprint of the images, salted: the cloud cannot try images on it.
        mirrored: Whether the features of mirrored training images are there as well.
        shards: All of them.
    """

    directory: Path
    manifest: Manifest
    class_names: tuple[str, ...]
    images_sha256: str
    mirrored: bool
    shards: tuple[Shard, ...]

    def begin(self, manifest_text: str) -> None:
        """Claim the folder; one that was begun before goes on if it is for the same features.

        Args:
            manifest_text: Content of the bundle's manifest.

        Raises:
            OutputError: If the folder holds other features, or anything that is not of features,
                or cannot be written to.
        """
        refuse_bundle(self.directory)
        path = self.directory / INDEX
        if path.exists():
            theirs = read_index(path)
            different = [name for name, value in self._index().items() if theirs.get(name) != value]
            if different:
                raise OutputError(
                    f"`output` must hold features of the same {IN_WORDS[different[0]]}, but "
                    f"{self.directory} was begun with another. Choose another --output folder."
                )
            left = refuse_other_files(self.directory, self.manifest.sha256, self.shards)
        else:
            left = refuse_other_files(self.directory, self.manifest.sha256)
            write_atomically(self.directory / MANIFEST, manifest_text)
            write_atomically(path, json.dumps(self._index(), indent=1, ensure_ascii=False) + "\n")
        for unfinished in left:
            unfinished.unlink(missing_ok=True)
        # A line that a killed run left torn would spoil the next one.
        write_atomically(
            self.directory / SUMS, "".join(f"{s}  {n}\n" for n, s in self.sums().items())
        )

    def mirrors(self, shard: Shard) -> bool:
        """Return whether a shard is to hold mirrored images: those to train on, where asked for.

        Args:
            shard: One of `shards`.
        """
        return self.mirrored and shard.part == "train"

    def sums(self) -> dict[str, str]:
        """Return the checksums of finished shards by name."""
        return read_sums(self.directory / SUMS, self.shards)

    def add(self, shard: Shard, tensors: dict[str, Tensor]) -> None:
        """Write a shard and its checksum.

        Args:
            shard: One of `shards`.
            tensors: ``features``, ``labels`` and, as `mirrors` says, ``mirrored``.

        Raises:
            OutputError: If it cannot be written.
        """
        path = self.directory / shard.name
        write_atomically(path, safetensors.torch.save(tensors))
        try:
            with (self.directory / SUMS).open("a", encoding="utf-8") as stream:
                stream.write(f"{file_sha256(path)}  {shard.name}\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(
                f"`output` must be writable, but {self.directory / SUMS} is not "
                f"({error.strerror}). Free some space and run the command again."
            ) from error

    def unfinished(self) -> list[Shard]:
        """Return the shards that are missing or damaged."""
        sums = self.sums()
        return [
            shard
            for shard in self.shards
            if shard.name not in sums
            or not (self.directory / shard.name).is_file()
            or file_sha256(self.directory / shard.name) != sums[shard.name]
        ]

    def check(self) -> None:
        """Make sure that every shard is there and as it was written.

        Raises:
            BundleError: If one is not; the message names it.
        """
        sums = self.sums()
        for shard in self.shards:
            path = self.directory / shard.name
            if shard.name not in sums or not path.is_file():
                there = sum((self.directory / s.name).is_file() for s in self.shards)
                raise BundleError(
                    f"features must be complete, but {path} is missing or unfinished ({there} of "
                    f"{len(self.shards)} shards are there, {len(sums)} in {SUMS}). {AGAIN}"
                )
            if file_sha256(path) != sums[shard.name]:
                raise BundleError(
                    f"every shard must be as it was extracted, but {path} "
                    f"({path.stat().st_size:,} bytes) does not have the hash in {SUMS}: it is "
                    f"truncated or changed. {AGAIN}"
                )

    def read(self, shard: Shard) -> dict[str, Tensor]:
        """Return a shard's tensors.

        Args:
            shard: One of `shards`.

        Raises:
            BundleError: If the file cannot be read or holds something else.
        """
        path = self.directory / shard.name
        try:
            tensors: dict[str, Tensor] = safetensors.torch.load_file(path)
        except (OSError, SafetensorError) as error:
            raise BundleError(
                f"every shard must be readable, but {path}: {error}. {AGAIN}"
            ) from error
        coding = self.manifest.coding
        wanted = ["features", "labels", *(["mirrored"] if self.mirrors(shard) else [])]
        labels = tensors.get("labels", torch.empty(0))
        is_right = sorted(tensors) == sorted(wanted) and labels.dtype == torch.int64
        is_right &= labels.ndim == 1 and bool(
            ((labels >= 0) & (labels < len(self.class_names))).all()
        )
        is_right &= all(
            tensor.shape == (len(labels), *coding.coded_shape) and tensor.dtype == coding.dtype
            for name, tensor in tensors.items()
            if name != "labels"
        )
        if not is_right:
            raise BundleError(
                f"every shard must hold features {coding.coded_shape} of its manifest and a label "
                f"below {len(self.class_names)} for each, but {path} holds "
                f"{ ({n: tuple(t.shape) for n, t in tensors.items()}) }. {AGAIN}"
            )
        return tensors

    def n_images(self, name: str) -> int:
        """Return how many images of a part have features.

        Args:
            name: ``"train"`` or ``"test"``.
        """
        n_images = 0
        for shard in self.shards:
            if shard.part == name:
                with safe_open(self.directory / shard.name, "pt") as file:
                    n_images += file.get_slice("labels").get_shape()[0]
        return n_images

    def part(self, name: str) -> Iterator[dict[str, Tensor]]:
        """Yield the tensors of a part's shards, in order.

        Args:
            name: ``"train"`` or ``"test"``.
        """
        return (self.read(shard) for shard in self.shards if shard.part == name)

    def _index(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "manifest_sha256": self.manifest.sha256,
            "images_sha256": self.images_sha256,
            "classes": list(self.class_names),
            "mirrored": self.mirrored,
            "shards": [asdict(shard) for shard in self.shards],
        }


def open_features(directory: Path) -> FeatureFolder:
    """Open a folder of features.

    Args:
        directory: What `extract` wrote.

    Raises:
        BundleError: If it is no such folder, or its manifest is another bundle's.
    """
    if not (path := directory / INDEX).is_file():
        raise no_features(directory)
    index = read_index(path)
    manifest = read_manifest(directory / MANIFEST)
    if manifest.sha256 != index["manifest_sha256"]:
        raise BundleError(
            f"features must have the manifest of their bundle, but {directory / MANIFEST} has the "
            f"hash {manifest.sha256[:12]}… and {INDEX} states {index['manifest_sha256'][:12]}…. "
            "Restore the file from the bundle."
        )
    return FeatureFolder(
        directory,
        manifest,
        tuple(index["classes"]),
        index["images_sha256"],
        index["mirrored"],
        shards_of(path, index["shards"]),
    )
