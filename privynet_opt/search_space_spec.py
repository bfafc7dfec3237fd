"""The table ``[search_space]`` of a ``study.toml``: what a topology may be."""

from __future__ import annotations

from dataclasses import dataclass

from privynet_opt.toml_reader import Section
from privynet_opt.topology import (
    CLOSED_FORM_STRATEGIES,
    FEATURE_BITS,
    NOISE_DECIMALS,
    SELECTION_STRATEGIES,
    noise_levels,
)

MOST_NOISE = 10.0
"""In standard deviations of a channel: a signal a hundred times weaker than its noise."""


@dataclass(frozen=True)
class SearchSpaceSpec:
    """What a topology may be.

    Attributes:
        cut_layers: Names of the cuts, in network order.
        kept_filters: Counts of kept filters; each cut takes those below its channels, and all.
        selection_strategies: How kept filters may be chosen.
        feature_bits: Bits per feature that may be sent.
        noise_std: Least and most noise, in standard deviations of a channel; None for none.
        noise_step: Difference of neighbouring values of noise; None where any value in the range is
            a topology of its own, so that the space cannot be listed.
    """

    cut_layers: tuple[str, ...]
    kept_filters: tuple[int, ...]
    selection_strategies: tuple[str, ...]
    feature_bits: tuple[int, ...] = (32,)
    noise_std: tuple[float, float] | None = None
    noise_step: float | None = None

    @property
    def sends_plainly(self) -> bool:
        """Whether features are always sent as float32 and without noise."""
        return self.feature_bits == (32,) and self.noise_std is None

    @property
    def can_be_listed(self) -> bool:
        """Whether there are finitely many topologies."""
        return noise_levels(self.noise_std, self.noise_step) is not None


def read_search_space(section: Section) -> SearchSpaceSpec:
    """Read ``[search_space]``; counts of kept filters are sorted.

    Args:
        section: The table; its faults are noted there.
    """
    cut_layers = section.take_list("cut_layers", str)
    kept_filters = section.take_list("kept_filters", int)
    if any(count < 1 for count in kept_filters):
        section.fault("kept_filters", "be at least 1 each", str(list(kept_filters)))
    strategies = section.take_list("selection_strategies", str, CLOSED_FORM_STRATEGIES)
    section.check_known("selection_strategies", strategies, SELECTION_STRATEGIES)
    if set(strategies) == {"searched"}:
        section.fault("selection_strategies", "name one that needs no search", "'searched' alone")
    strategies = tuple(sorted(strategies, key="searched".__eq__))
    bits = section.take_list("feature_bits", int, (32,))
    if set(bits) - set(FEATURE_BITS):
        known = ", ".join(map(str, FEATURE_BITS))
        section.fault("feature_bits", f"be some of {known}", str(list(bits)), "Such as [32, 8].")
    noise_std = _noise_range(section)
    noise_step = _noise_step(section, noise_std)
    section.check_no_others()
    bits = tuple(sorted(bits, reverse=True))
    return SearchSpaceSpec(
        cut_layers, tuple(sorted(kept_filters)), strategies, bits, noise_std, noise_step
    )


def _noise_range(section: Section) -> tuple[float, float] | None:
    """Read the least and the most noise."""
    ends = section.take_list("noise_std", float, ())
    if not ends:
        return None
    is_fine = all(round(end, NOISE_DECIMALS) == end for end in ends)
    if len(ends) != 2 or not (is_fine and 0 <= ends[0] < ends[1] <= MOST_NOISE):
        section.fault(
            "noise_std",
            f"be the least and the most noise, from 0 to {MOST_NOISE:g} in thousandths",
            str(list(ends)),
            "Such as [0.0, 1.0].",
        )
        return None
    return ends[0], ends[1]


def _noise_step(section: Section, ends: tuple[float, float] | None) -> float | None:
    """Read the difference of neighbouring values of noise, 0 for none."""
    step = section.take("noise_step", float, 0.0)
    if not step or (ends is None and section.values.get("noise_std")):
        return None  # there is no step, or no range to divide because that is at fault
    low, high = ends or (0.0, 0.0)
    width, part = (round(number * 10**NOISE_DECIMALS, 6) for number in (high - low, step))
    if part < 1 or part % 1 or not width or width % part:
        section.fault(
            "noise_step",
            "divide the range of `noise_std` evenly, in thousandths",
            f"{step:g}" + (f" for {list(ends)}" if ends else " without `noise_std`"),
            "Such as 0.25 for [0.0, 1.0].",
        )
        return None
    return step
