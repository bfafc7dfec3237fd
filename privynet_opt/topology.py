"""A topology: where the network is cut, which output channels are kept, how features are sent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from privynet_opt.arguments import is_whole
from privynet_opt.errors import TopologyError, did_you_mean

CLOSED_FORM_STRATEGIES = ("random", "lda", "privacy", "privynet", "magnitude", "greedy")
"""How kept filters are chosen from the statistics of a cut, at any count."""

SELECTION_STRATEGIES = (*CLOSED_FORM_STRATEGIES, "searched")
"""All ways to choose; ``searched`` looks a subset up that the amortised networks found for one
count. One module of `privynet_opt.selection` each."""

SEEDED_STRATEGIES = frozenset({"random", "privynet"})
"""Strategies whose choice depends on `selection_seed`; the others ignore it."""

FEATURE_BITS = (32, 16, 8, 4)
"""Bits per feature that is sent: floats of 32 or 16, codes of 8 or 4."""

NOISE_DECIMALS = 3
"""Noise is a multiple of a thousandth of a deviation: finer differences cannot be measured, and
tables write six digits."""

LOCAL_COLUMNS = ("cut_layer", "kept_filters", "selection_strategy", "selection_seed")
"""Columns that describe a local network wherever topologies are rows."""

SENDING_DEFAULTS: dict[str, Any] = {"feature_bits": 32, "noise_std": 0.0}
"""Columns that describe how its features are sent, and what they are unless a study asks."""

TOPOLOGY_COLUMNS = (*LOCAL_COLUMNS, *SENDING_DEFAULTS)
"""Columns that describe a topology."""


@dataclass(frozen=True, order=True)
class LocalTopology:
    """A local network, by the three decisions PrivyNet leaves open, and how its features are sent.

    Attributes:
        cut_layer: Name of the cut, for example ``"conv6"`` or ``"conv7p"`` (after the pooling
            that follows the seventh convolution).
        kept_filters: Number of output channels of the cut that are kept, at least 1.
        selection_strategy: One of `SELECTION_STRATEGIES`.
        selection_seed: Seed of the choice; always 0 for strategies that draw nothing.
        feature_bits: Bits per feature that is sent, one of `FEATURE_BITS`.
        noise_std: Standard deviation of the Gaussian noise that the device adds to each feature,
            of its own for every image and before it is coded; in standard deviations of the
            feature's channel over the attacker's images. Attackers draw it anew whenever they show
            themselves an image; the cloud has one draw for each of its own.

    Raises:
        TopologyError: On a strategy or a number of bits that does not exist, no filters, a seed
            that is negative or where none is used, noise that is negative or infinite, or anything
            of another type.
    """

    cut_layer: str
    kept_filters: int
    selection_strategy: str
    selection_seed: int = 0
    feature_bits: int = 32
    noise_std: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.cut_layer, str):
            raise TopologyError(
                f"`cut_layer` must be a name, but got cut_layer={self.cut_layer!r}. "
                "Write for example 'conv6'."
            )
        if self.selection_strategy not in SELECTION_STRATEGIES:
            raise TopologyError(
                f"`selection_strategy` must be a known strategy, but got "
                f"{self.selection_strategy!r}. "
                + did_you_mean(str(self.selection_strategy), SELECTION_STRATEGIES)
            )
        if not is_whole(self.kept_filters) or self.kept_filters < 1:
            raise TopologyError(
                f"`kept_filters` must be a whole number from 1, but got "
                f"kept_filters={self.kept_filters!r}. "
                "Keep one or more output channels of the cut layer."
            )
        if not is_whole(self.selection_seed) or self.selection_seed < 0:
            raise TopologyError(
                "`selection_seed` must be a whole number from 0, but got "
                f"selection_seed={self.selection_seed!r}. Leave it out for 0."
            )
        if self.selection_seed and self.selection_strategy not in SEEDED_STRATEGIES:
            raise TopologyError(
                f"`selection_seed` must be 0 for the strategy {self.selection_strategy!r}, which "
                f"draws nothing, but got selection_seed={self.selection_seed}. Leave it out."
            )
        if self.feature_bits not in FEATURE_BITS:
            raise TopologyError(
                f"`feature_bits` must be one of {', '.join(map(str, FEATURE_BITS))}, but got "
                f"feature_bits={self.feature_bits}. Choose one of these."
            )
        if not isinstance(self.noise_std, Real) or not 0 <= self.noise_std < math.inf:
            raise TopologyError(
                f"`noise_std` must be at least 0 and finite, but got noise_std={self.noise_std!r}. "
                "Give it in standard deviations of a channel, such as 0.5."
            )

    @classmethod
    def of(cls, row: Any) -> LocalTopology:
        """Return the topology that a row describes.

        Args:
            row: A mapping or a Series with `LOCAL_COLUMNS`; the other columns may be missing.
        """
        cut, kept, strategy, seed = (row[name] for name in LOCAL_COLUMNS)
        bits, noise = (row.get(name, plain) for name, plain in SENDING_DEFAULTS.items())
        return cls(str(cut), int(kept), str(strategy), int(seed), int(bits), float(noise))

    @property
    def is_sent_plainly(self) -> bool:
        """Whether features are sent as float32 and without noise."""
        return self.feature_bits == 32 and not self.noise_std

    def sent_plainly(self) -> LocalTopology:
        """Return the same local network with its features sent as float32 and without noise."""
        return replace(self, **SENDING_DEFAULTS)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name; how features are sent only where it is not the default."""
        plain = SENDING_DEFAULTS.items()
        return {name: value for name, value in vars(self).items() if (name, value) not in plain}

    def __str__(self) -> str:
        """Return the topology in words, as printed and shown in the report."""
        return topology_words(*vars(self).values())


def noise_levels(
    noise_range: tuple[float, float] | None, step: float | None
) -> tuple[float, ...] | None:
    """Return the noise that may be added, each value; None where it may be any in the range.

    Args:
        noise_range: Least and most noise; None for none.
        step: Difference of neighbouring values, which divides the range; None for any value.
    """
    if noise_range is None:
        return (0.0,)
    if step is None:
        return None
    low, high = noise_range
    count = round((high - low) / step)
    return tuple(round(low + index * step, NOISE_DECIMALS) for index in range(count + 1))


def topology_words(
    cut_layer: str,
    kept_filters: int,
    strategy: str,
    seed: int = 0,
    feature_bits: int = 32,
    noise_std: float = 0.0,
) -> str:
    """Return a topology in one short phrase.

    Args:
        cut_layer: Name of the cut.
        kept_filters: Number of kept filters.
        strategy: Selection strategy.
        seed: Selection seed; 0 is left out.
        feature_bits: Bits per feature; 32 is left out.
        noise_std: Noise in standard deviations of a channel; none is left out.
    """
    filters = "filter" if kept_filters == 1 else "filters"
    drawn = f" (seed {seed})" if seed else ""
    coded = f", {feature_bits} bits" if feature_bits != 32 else ""
    noise = f", noise {noise_std:g}" if noise_std else ""
    return f"{cut_layer}, {kept_filters} {filters} by {strategy}{drawn}{coded}{noise}"
