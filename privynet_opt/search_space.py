"""Which topologies there are; the search and the enumeration draw from the same definition.

Where noise may take any value in a range there are too many topologies to list: such a space can
only be searched, unless the study says in which steps.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from privynet_opt.characterization.design import kept_grid
from privynet_opt.errors import StudyError, did_you_mean
from privynet_opt.selection import is_drawn
from privynet_opt.topology import (
    LOCAL_COLUMNS,
    NOISE_DECIMALS,
    SEEDED_STRATEGIES,
    SENDING_DEFAULTS,
    TOPOLOGY_COLUMNS,
    LocalTopology,
    noise_levels,
)

if TYPE_CHECKING:
    import pandas as pd
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

    from privynet_opt.study_spec import StudySpec

MOST_LISTED = 100_000
"""Topologies that are predicted at once and shown in one report: seconds, and tens of megabytes."""

__all__ = ["TOPOLOGY_COLUMNS", "SearchSpace", "told_columns", "topology_frame"]


@dataclass(frozen=True)
class SearchSpace:
    """Cuts × counts of kept filters × selection strategies, × bits × noise where a study asks.

    Where a cut keeps all of its filters, every strategy is the same local network; it is listed
    once, under the first strategy. Each draw of a seeded strategy is a choice of its own, where
    there is more than one.
    ``searched`` exists only where a subset was found.

    Attributes:
        grids: Counts of kept filters by cut layer, in network order; ascending, the last of each
            keeps all.
        selection_strategies: How kept filters may be chosen.
        n_seeds: Draws of each seeded strategy.
        searched: Cut layers and counts of kept filters where ``searched`` exists.
        feature_bits: Bits per feature that may be sent.
        noise_std: Least and most noise; None for none.
        noise_step: Difference of neighbouring values of noise; None for any value in the range.
    """

    grids: Mapping[str, tuple[int, ...]]
    selection_strategies: tuple[str, ...]
    n_seeds: int = 1
    searched: frozenset[tuple[str, int]] = frozenset()
    feature_bits: tuple[int, ...] = (32,)
    noise_std: tuple[float, float] | None = None
    noise_step: float | None = None

    @classmethod
    def of_study(
        cls,
        study: StudySpec,
        channels: Mapping[str, int],
        searched: Collection[tuple[str, int]] = (),
    ) -> SearchSpace:
        """Return the space a study describes, on the cuts that were characterized.

        Args:
            study: The study; each seeded strategy has as many draws as are measured.
            channels: Output channels by cut layer.
            searched: Cut layers and counts of kept filters where a subset was found by searching.

        Returns:
            The space; each cut offers the study's counts below its channels, and all of them.

        Raises:
            StudyError: If a cut was not characterized, or a count exceeds every cut's channels.
        """
        spec = study.search_space
        for cut in spec.cut_layers:
            if cut not in channels:
                raise StudyError(
                    "`search_space.cut_layers` must be cuts of the characterization table, but "
                    f"got {cut!r}. {did_you_mean(cut, channels)}"
                )
        most = max(channels[cut] for cut in spec.cut_layers)
        if max(spec.kept_filters) > most:
            raise StudyError(
                "`search_space.kept_filters` must not exceed the channels of every cut, but got "
                f"{max(spec.kept_filters)} where the widest cut has {most}. Leave it out."
            )
        grids = {cut: tuple(kept_grid(spec.kept_filters, channels[cut])) for cut in spec.cut_layers}
        space = cls(
            grids,
            spec.selection_strategies,
            study.characterization.repeated_seeds,
            frozenset(searched),
            spec.feature_bits,
            spec.noise_std,
            spec.noise_step,
        )
        if space.can_be_listed and space._combinations > MOST_LISTED:
            raise StudyError(
                f"`search_space` must have at most {MOST_LISTED:,} topologies to be listed, but "
                f"has up to {space._combinations:,}. Take a larger `noise_step`, or fewer bits or "
                "counts."
            )
        return space

    @property
    def _combinations(self) -> int:
        """At least the number of topologies; nothing is listed for it."""
        counts = sum(len(grid) for grid in self.grids.values())
        sent = len(self.feature_bits) * len(self.noise_levels or ())
        return counts * len(self.choices) * sent

    def __len__(self) -> int:
        """Return the number of topologies."""
        return len(self.topologies)

    @property
    def can_be_listed(self) -> bool:
        """Whether there are finitely many topologies."""
        return self.noise_levels is not None

    @cached_property
    def noise_levels(self) -> tuple[float, ...] | None:
        """The noise that may be added, each value; None where it may be any in the range."""
        return noise_levels(self.noise_std, self.noise_step)

    @cached_property
    def choices(self) -> dict[str, tuple[str, int]]:
        """Ways to choose kept filters, strategy and seed, by what an Optuna trial calls them."""
        return {
            f"{strategy} (seed {seed})" if seed else strategy: (strategy, seed)
            for strategy in self.selection_strategies
            for seed in range(self.n_seeds if strategy in SEEDED_STRATEGIES else 1)
        }

    @cached_property
    def topologies(self) -> tuple[LocalTopology, ...]:
        """Every topology once: by cut, then count, then strategy and seed, then bits and noise."""
        assert self.noise_levels is not None
        return tuple(
            LocalTopology(cut, kept, *choice, bits, noise)
            for cut, grid in self.grids.items()
            for kept in grid
            for choice in self.choices.values()
            if self._exists(cut, kept, *choice)
            for bits in self.feature_bits
            for noise in self.noise_levels
        )

    def __contains__(self, topology: object) -> bool:
        """Return whether a topology is one of the space."""
        if not isinstance(topology, LocalTopology):
            return False
        cut, kept, *choice = (getattr(topology, name) for name in LOCAL_COLUMNS)
        return (
            kept in self.grids.get(cut, ())
            and tuple(choice) in self.choices.values()
            and self._exists(cut, kept, *choice)
            and topology.feature_bits in self.feature_bits
            and self._may_add(topology.noise_std)
        )

    def _may_add(self, noise: float) -> bool:
        """Return whether so much noise may be added."""
        if self.noise_levels is not None:
            return noise in self.noise_levels
        low, high = self.noise_std or (0.0, 0.0)
        return low <= noise <= high

    def _exists(self, cut: str, kept: int, strategy: str, seed: int) -> bool:
        """Return whether a combination is a topology that no other combination is, too."""
        if kept == self.grids[cut][-1]:
            return (strategy, seed) == self._first
        if seed:
            return is_drawn(strategy, self.grids[cut][-1], kept)
        return strategy != "searched" or (cut, kept) in self.searched

    @property
    def _first(self) -> tuple[str, int]:
        """How filters are chosen where there is no choice."""
        return self.selection_strategies[0], 0

    @cached_property
    def rows(self) -> dict[LocalTopology, int]:
        """Return where each topology stands in `enumerate`."""
        return {topology: row for row, topology in enumerate(self.topologies)}

    def enumerate(self) -> pd.DataFrame:
        """Return every topology once, one row each.

        Returns:
            Columns `TOPOLOGY_COLUMNS`.
        """
        return topology_frame(self.topologies)

    def suggest(self, trial: BaseTrial) -> LocalTopology:
        """Let an Optuna trial choose a topology.

        ``kept_position`` runs along the cut's own grid, from 0 (the smallest count) to 1 (all
        filters), so that every cut has the same variables and none draws counts it does not have.

        Args:
            trial: The trial; gets ``cut_layer``, ``kept_position`` and ``selection_strategy``, one
                of `choices`, and ``feature_bits`` and ``noise_std`` where there is a choice.

        Returns:
            A topology of the space; noise is rounded to `NOISE_DECIMALS`.
        """
        cut = trial.suggest_categorical("cut_layer", list(self.grids))
        position = trial.suggest_float("kept_position", 0.0, 1.0)
        named = trial.suggest_categorical("selection_strategy", list(self.choices))
        grid = self.grids[cut]
        kept = grid[min(int(position * len(grid)), len(grid) - 1)]
        choice = self.choices[named]
        if not self._exists(cut, kept, *choice):
            choice = self._first
        bits, noise = self.feature_bits[0], 0.0
        if len(self.feature_bits) > 1:
            bits = trial.suggest_categorical("feature_bits", list(self.feature_bits))
        if self.noise_std is not None:
            noise = trial.suggest_float("noise_std", *self.noise_std, step=self.noise_step)
            noise = round(noise, NOISE_DECIMALS)
        return LocalTopology(cut, kept, *choice, bits, noise)

    def parameters(self, topology: LocalTopology) -> dict[str, Any]:
        """Return Optuna parameters for which `suggest` returns a topology.

        Args:
            topology: One of the space.
        """
        grid = self.grids[topology.cut_layer]
        sent = {name: getattr(topology, name) for name in self._sending()}
        chosen = (topology.selection_strategy, topology.selection_seed)
        return sent | {
            "cut_layer": topology.cut_layer,
            "kept_position": (grid.index(topology.kept_filters) + 0.5) / len(grid),
            "selection_strategy": next(n for n, c in self.choices.items() if c == chosen),
        }

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the Optuna distributions of the parameters."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        return self._sending() | {
            "cut_layer": CategoricalDistribution(tuple(self.grids)),
            "kept_position": FloatDistribution(0.0, 1.0),
            "selection_strategy": CategoricalDistribution(tuple(self.choices)),
        }

    def _sending(self) -> dict[str, BaseDistribution]:
        """Return the distributions of how features are sent, where there is a choice."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        choices: dict[str, BaseDistribution] = {}
        if len(self.feature_bits) > 1:
            choices["feature_bits"] = CategoricalDistribution(self.feature_bits)
        if self.noise_std is not None:
            choices["noise_std"] = FloatDistribution(*self.noise_std, step=self.noise_step)
        return choices


def told_columns(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the topology columns that are written and shown.

    Args:
        rows: Columns `TOPOLOGY_COLUMNS`.

    Returns:
        All of them; without those that say how features are sent where it is always the default.
    """
    sent = [n for n, plain in SENDING_DEFAULTS.items() if (rows[n] != plain).any()]
    return (*LOCAL_COLUMNS, *sent)


def topology_frame(topologies: Iterable[LocalTopology]) -> pd.DataFrame:
    """Return topologies as rows.

    Args:
        topologies: Any.

    Returns:
        Columns `TOPOLOGY_COLUMNS`.
    """
    import pandas as pd

    rows = [tuple(vars(topology).values()) for topology in topologies]
    return pd.DataFrame(rows, columns=list(TOPOLOGY_COLUMNS))
