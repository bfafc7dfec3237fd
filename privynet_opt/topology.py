"""A topology: where the network is cut and which output channels of the cut are kept."""

from __future__ import annotations

from dataclasses import dataclass

from privynet_opt.errors import TopologyError, did_you_mean

CLOSED_FORM_STRATEGIES = ("random", "lda", "privacy", "privynet", "magnitude", "greedy")
"""How kept filters are chosen from the statistics of a cut, at any count."""

SELECTION_STRATEGIES = (*CLOSED_FORM_STRATEGIES, "searched")
"""All ways to choose; ``searched`` looks a subset up that the amortised networks found for one
count. One module of `privynet_opt.selection` each."""

SEEDED_STRATEGIES = frozenset({"random", "privynet"})
"""Strategies whose choice depends on `selection_seed`; the others ignore it."""


@dataclass(frozen=True, order=True)
class LocalTopology:
    """A local network, described by the three decisions PrivyNet leaves open.

    Attributes:
        cut_layer: Name of the cut, for example ``"conv6"`` or ``"conv7p"`` (after the pooling
            that follows the seventh convolution).
        kept_filters: Number of output channels of the cut that are kept, at least 1.
        selection_strategy: One of `SELECTION_STRATEGIES`.
        selection_seed: Seed of the choice; always 0 for strategies that draw nothing.

    Raises:
        TopologyError: On a strategy that does not exist, no filters, or a seed where none is used.
    """

    cut_layer: str
    kept_filters: int
    selection_strategy: str
    selection_seed: int = 0

    def __post_init__(self) -> None:
        if self.selection_strategy not in SELECTION_STRATEGIES:
            raise TopologyError(
                f"`selection_strategy` must be a known strategy, but got "
                f"{self.selection_strategy!r}. "
                + did_you_mean(self.selection_strategy, SELECTION_STRATEGIES)
            )
        if self.kept_filters < 1:
            raise TopologyError(
                f"`kept_filters` must be at least 1, but got kept_filters={self.kept_filters}. "
                "Keep one or more output channels of the cut layer."
            )
        if self.selection_seed and self.selection_strategy not in SEEDED_STRATEGIES:
            raise TopologyError(
                f"`selection_seed` must be 0 for the strategy {self.selection_strategy!r}, which "
                f"draws nothing, but got selection_seed={self.selection_seed}. Leave it out."
            )

    def __str__(self) -> str:
        """Return the topology in words, as printed and shown in the report."""
        filters = "filter" if self.kept_filters == 1 else "filters"
        seed = f" (seed {self.selection_seed})" if self.selection_seed else ""
        return f"{self.cut_layer}, {self.kept_filters} {filters} by {self.selection_strategy}{seed}"
