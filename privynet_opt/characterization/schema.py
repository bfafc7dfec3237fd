"""The characterization table's columns and units, in one place; nothing beyond Python is imported.

A table is a CSV file with one measurement per row and a JSON sidecar of the same stem, which
holds the cuts' profiles, the provenance of data, weights and recipes, and the CSV's sha256. The
columns that say how features are sent are there only where they are not always the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from privynet_opt.topology import LOCAL_COLUMNS, SENDING_DEFAULTS, TOPOLOGY_COLUMNS

SCHEMA_VERSION = 1

FIDELITIES = ("screen", "amortised", "standard", "full")
"""From the cheapest to the dearest; all but ``screen`` train an attacker."""

TRAINED_FIDELITIES = FIDELITIES[2:]
"""Those that train networks for each topology."""

CLOSED_FORMS = ("ridge", "thumbnail")
"""Attackers that train nothing."""

CLOUD_NOISE = "cloud_noise"
"""Entry of a sidecar: how the cloud's images are sent where devices may add noise. Tables without
it, and with noise, are of cloud networks that saw noise drawn anew at every epoch."""

GALLERY = "gallery"
"""Folder of pictures of what attackers recovered, beside a table and in a result's folder."""

FORMER_TABLE = "former_table_sha256"
"""Entry of a sidecar while its table is being replaced: the hash of the one that still lies there
if the run is killed then."""

STARTS = ("scratch", "amortised")
"""Where the networks of a trained fidelity start."""


NOISE_DB = 0.3
"""A difference in dB that audits put down to noise: the standard deviation over random subsets of
one size is 0.27 dB (cifar10, ``standard``, median of seven sizes)."""


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        dtype: ``"str"``, ``"int"`` or ``"float"``.
        meaning: What it holds, with its unit and the direction that matters.
        may_be_empty: Whether rows of some fidelity leave it empty.
    """

    dtype: str
    meaning: str
    may_be_empty: bool = False


COLUMNS = {
    "cut_layer": Column("str", "name of the cut"),
    "kept_filters": Column("int", "output channels kept"),
    "selection_strategy": Column("str", "how the kept filters were chosen"),
    "selection_seed": Column("int", "seed of that choice; 0 where nothing is drawn"),
    "feature_bits": Column("int", "bits per feature that is sent: 32, 16, 8 or 4"),
    "noise_std": Column(
        "float",
        "noise added on the device before coding, in standard deviations of each channel",
    ),
    "fidelity": Column("str", "recipe of the measurement: " + ", ".join(FIDELITIES)),
    "training_seed": Column("int", "seed of decoder and cloud network; 0 where none is trained"),
    "accuracy": Column("float", "fraction of scored images classified correctly, higher is better"),
    "psnr_db": Column(
        "float",
        "privacy loss: mean per-image PSNR in dB of the strongest attacker run, "
        "higher is less private",
    ),
    "ssim": Column("float", "mean SSIM of the same reconstruction, higher is less private"),
    "attacker": Column("str", "the attacker that won: ridge, thumbnail, decoder, amortised"),
    "ridge_psnr_db": Column("float", "the closed-form attacker `ridge` alone, dB"),
    "decoder_psnr_db": Column(
        "float",
        "the trained decoder alone, dB: the topology's own, or the cut's amortised one",
        may_be_empty=True,
    ),
    "decoder_epochs": Column("int", "epochs the decoder trained; 0 where none is trained"),
    "cloud_epochs": Column("int", "epochs the cloud network trained; 0 where none is trained"),
    "seconds": Column("float", "wall time of this measurement"),
}

KEY = (*TOPOLOGY_COLUMNS, "fidelity", "training_seed")
"""Columns that identify a measurement; no two rows share them."""


def measurement_name(key: Mapping[str, Any]) -> str:
    """Return what the file of a measurement is called, without its ending.

    Args:
        key: At least the columns of `KEY`; those that say how features are sent may be missing
            where they are the default, and are not part of the name then.
    """
    parts = [str(key[name]) for name in (*LOCAL_COLUMNS, "fidelity", "training_seed")]
    sent = {name: key.get(name, plain) for name, plain in SENDING_DEFAULTS.items()}
    parts += [f"{name}={v:g}" for name, v in sent.items() if v != SENDING_DEFAULTS[name]]
    return "--".join(parts)


def source_hashes(sidecar: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the hashes of the weights and of the images that a table was measured with.

    Args:
        sidecar: Of the table.
    """
    return sidecar["network"].get("weights_sha256"), sidecar["data"].get("sha256")


def is_dearer(fidelity: str, other: str) -> bool:
    """Return whether a fidelity trains its attackers longer than another.

    Args:
        fidelity: One of `FIDELITIES`.
        other: Likewise.
    """
    return FIDELITIES.index(fidelity) > FIDELITIES.index(other)


def subsets_of(
    entries: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, int], tuple[int, ...]]:
    """Return found subsets by cut layer and count of kept filters.

    Args:
        entries: As `MeasurementFolder.searched` and the sidecar's ``searched`` have them.
    """
    return {(e["cut_layer"], e["kept_filters"]): tuple(e["channels"]) for e in entries}
