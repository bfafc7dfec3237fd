"""A bundle: the exported network, what the cloud may know of it, and what stays with the user.

Three files. ``manifest.json`` may go to the cloud. The network itself and ``private.json`` stay on
the device: whoever has the public pre-trained network finds the kept filters by comparing it with
the exported file, so that even the file's hash is private; so is the secret that noise is drawn
from, with which anybody subtracts it. Where the choice of filters is drawn
(`selection.is_drawn`), whatever depends on it is private too: a public table tells which seed
predicted and measured values belong to, and the largest feature names its channel. Then two
manifests of one topology differ in their identifier alone, whatever was drawn, and features come in
an order of their own: an ascending one would help to guess which they are.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from privynet_opt.deploy.device_noise import SECRET_BYTES, DeviceNoise
from privynet_opt.errors import BundleError, OutputError
from privynet_opt.files import write_atomically
from privynet_opt.networks.coding import FeatureCoding

FORMAT_VERSION = 3
"""Of the two JSON files; a reader refuses any other."""

MANIFEST = "manifest.json"
PRIVATE = "private.json"

PRIVATE_MODE = 0o600
"""Of files that stay on the device: their owner alone reads them."""

_AGAIN = "Copy it again from where it was written, or export again: privynet-opt export RESULT_DIR."


@dataclass(frozen=True)
class Manifest:
    """What the cloud may know.

    Attributes:
        content: The JSON object.
        sha256: Hash of the file; it names the bundle wherever features travel.
    """

    content: dict[str, Any]
    sha256: str

    @property
    def coding(self) -> FeatureCoding:
        """How features are sent."""
        return FeatureCoding.from_dict(self.content["coding"])

    @property
    def image_size(self) -> int:
        """Rows and columns of an image."""
        return int(self.content["data"]["image_size"])


@dataclass(frozen=True)
class Bundle:
    """A whole bundle, on the device.

    Attributes:
        directory: Its folder.
        manifest: What the cloud may know.
        private: What stays with the user.
    """

    directory: Path
    manifest: Manifest
    private: dict[str, Any] = field(repr=False)

    @property
    def network_path(self) -> Path:
        """The exported network."""
        return self.directory / str(self.manifest.content["file"]["name"])

    @property
    def noise(self) -> DeviceNoise | None:
        """What draws the noise of an image; None where none is added."""
        told = self.manifest.content["file"].get("noise")
        if told is None:
            return None
        channels, height, width = told["shape"][1:]
        secret = bytes.fromhex(self.private["noise_secret"])
        return DeviceNoise(secret, (channels, height, width))

    def told(self, name: str) -> dict[str, Any]:
        """Return what may name drawn filters, from the part where it is kept.

        Args:
            name: ``"values"``, predicted and measured, ``"sent_as"``, what bits and noise they are
                for, ``"self_check"`` or ``"runtime"``.
        """
        where = self.private if name in self.private else self.manifest.content
        told: dict[str, Any] = where[name]
        return told


def write_bundle(
    directory: Path, network_file: str, public: dict[str, Any], private: dict[str, Any]
) -> Bundle:
    """Write manifest and private part beside an exported network.

    Args:
        directory: The bundle's folder, which holds the network.
        network_file: The network's file name.
        public: What the manifest says; an identifier and the format are added.
        private: What the private part says; hashes and a salt are added.

    Returns:
        The bundle.

    Raises:
        OutputError: If a file cannot be written.
    """
    content = {"format_version": FORMAT_VERSION, "bundle_id": secrets.token_hex(16), **public}
    text = _as_text(content)
    manifest = Manifest(json.loads(text), hashlib.sha256(text.encode()).hexdigest())
    kept = {
        "format_version": FORMAT_VERSION,
        "note": "Keep this file and the network to yourself: they tell which filters are kept, and "
        "what noise is drawn from.",
        "manifest_sha256": manifest.sha256,
        "network_sha256": file_sha256(directory / network_file),
        "salt": secrets.token_hex(16),
        **private,
    }
    write_atomically(directory / PRIVATE, _as_text(kept), PRIVATE_MODE)
    write_atomically(directory / MANIFEST, text)  # last: with it the bundle is whole
    return Bundle(directory, manifest, kept)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest, in a bundle or where it travelled with features.

    Args:
        path: The file.

    Raises:
        BundleError: If it is no manifest of this version.
    """
    text, content = _read(path)
    needed = ("coding", "data", "file", "costs")
    missing = [name for name in needed if name not in content]
    if missing:
        raise BundleError(f"a manifest must have `{missing[0]}`, but {path} has not. {_AGAIN}")
    manifest = Manifest(content, hashlib.sha256(text.encode()).hexdigest())
    try:
        _ = manifest.coding.dtype
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"`coding` of a manifest must be as `privynet-opt export` wrote it, but {path} has "
            f"another ({error}). {_AGAIN}"
        ) from error
    return manifest


def load_bundle(directory: Path) -> Bundle:
    """Read a bundle and make sure that its three files belong together.

    Args:
        directory: The folder that `export` wrote.

    Raises:
        BundleError: If a file is missing, unreadable or not the one that was exported.
    """
    for name in (MANIFEST, PRIVATE):
        if not (directory / name).is_file():
            raise BundleError(
                f"a bundle must be a folder that `privynet-opt export` wrote, but {directory} has "
                f"no {name}. Give that folder, or export again."
            )
    manifest = read_manifest(directory / MANIFEST)
    _, private = _read(directory / PRIVATE)
    needed = ["salt", "selection_seed", "kept_channels"]
    is_noisy = "noise" in manifest.content["file"]
    needed += ["noise_secret"] if is_noisy else []
    missing = [name for name in needed if name not in private]
    if missing:
        raise BundleError(
            f"a private part must have `{missing[0]}`, but {directory / PRIVATE} has not. {_AGAIN}"
        )
    if is_noisy and not re.fullmatch(
        f"[0-9a-f]{{{2 * SECRET_BYTES}}}", str(private["noise_secret"])
    ):
        raise BundleError(
            f"`noise_secret` must be {2 * SECRET_BYTES} hexadecimal digits, but "
            f"{directory / PRIVATE} has another. {_AGAIN}"
        )
    bundle = Bundle(directory, manifest, private)
    _check(directory / MANIFEST, manifest.sha256, private.get("manifest_sha256"))
    if not bundle.network_path.is_file():
        raise BundleError(
            f"a bundle must hold its network, but {bundle.network_path} is missing. {_AGAIN}"
        )
    _check(bundle.network_path, file_sha256(bundle.network_path), private.get("network_sha256"))
    return bundle


def refuse_bundle(directory: Path) -> None:
    """Make sure that a folder is not a bundle, where what is written goes to the cloud.

    Args:
        directory: The folder, there or not.

    Raises:
        OutputError: If a bundle's private part lies in it.
    """
    if (directory / PRIVATE).exists():
        raise OutputError(
            f"`output` must not be a bundle, whose private part never leaves the device, but "
            f"{directory} has a {PRIVATE}. Choose another --output folder."
        )


def file_sha256(path: Path) -> str:
    """Return the hash of a file's bytes.

    Args:
        path: The file.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        version = content["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path.name} must be one that `privynet-opt export` wrote, but {path} cannot be used "
            f"({type(error).__name__}). {_AGAIN}"
        ) from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"`format_version` must be {FORMAT_VERSION}, but {path} has {version!r}. {_AGAIN}"
        )
    return text, content


def _check(path: Path, actual: str, stated: object) -> None:
    if actual != stated:
        raise BundleError(
            f"a bundle must be as it was exported, but {path} has the hash {actual[:12]}… and "
            f"{PRIVATE} states {str(stated)[:12]}…. Restore the file, or export again."
        )
