"""What a characterization measures: every topology cheaply, a spread of them dearly."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from privynet_opt.characterization.design import (
    kept_grid,
    screen_topologies,
    sent_otherwise,
    trained_topologies,
)
from privynet_opt.characterization.schema import TRAINED_FIDELITIES
from privynet_opt.errors import DataWarning, StudyError
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.networks.cuts import Cut
    from privynet_opt.study_spec import StudySpec


def planned_training(
    spec: StudySpec, cuts: Sequence[Cut], n_trained: int | None
) -> list[LocalTopology]:
    """Return the topologies that are trained, in the order of their worth.

    Args:
        spec: The study.
        cuts: Its cuts.
        n_trained: How many; None takes the study's number.
    """
    space, settings = spec.search_space, spec.characterization
    return trained_topologies(
        {cut.name: kept_grid(space.kept_filters, cut.channels) for cut in cuts},
        [strategy for strategy in space.selection_strategies if strategy != "searched"],
        settings.trained_topologies if n_trained is None else n_trained,
        settings.repeated_seeds,
    )


def spread_topologies(
    spec: StudySpec, cuts: Sequence[Cut], n_trained: int | None, n_topologies: int
) -> list[LocalTopology]:
    """Return the first of the planned ones, each choice of channels once.

    Args:
        spec: The study.
        cuts: Its cuts.
        n_trained: How many are planned; None takes the study's number.
        n_topologies: How many of them, at most.
    """
    planned = planned_training(spec, cuts, n_trained)
    return [topology for topology in planned if topology.selection_seed == 0][:n_topologies]


def plan(
    spec: StudySpec, cuts: Sequence[Cut], fidelities: Sequence[str], n_trained: int | None
) -> dict[str, tuple[tuple[LocalTopology, str], ...]]:
    """Choose what is measured at each cut.

    Args:
        spec: The study.
        cuts: Its cuts.
        fidelities: What is measured.
        n_trained: Topologies that are trained, fewer where the study has fewer, which is warned of;
            None takes the study's number.

    Returns:
        Topology and fidelity pairs by cut layer; every trained topology is screened as well, and
        where a subset is searched every strategy is trained, so that its gain is known. A screen
        alone searches nothing. Where the study codes features or adds noise, every planned topology
        of its own choice of channels is trained a second time, with bits and noise from
        `design.sent_otherwise`; amortised networks are of features sent plainly.

    Raises:
        StudyError: If a searched subset is to keep all channels of its cut, or more.
    """
    space, settings = spec.search_space, spec.characterization
    grids = {cut.name: kept_grid(space.kept_filters, cut.channels) for cut in cuts}
    trained = planned_training(spec, cuts, n_trained)
    if n_trained is not None and n_trained > len(trained) and {*fidelities} & {*TRAINED_FIDELITIES}:
        told = f"the study has {len(trained):,} topologies to train, not {n_trained:,}: all of them"
        warnings.warn(f"{told} are trained", DataWarning, stacklevel=2)
    converged = spread_topologies(spec, cuts, n_trained, settings.full_topologies)
    sent = _sent(spec, spread_topologies(spec, cuts, n_trained, len(trained)))
    sent_converged = sent[: len(_sent(spec, converged))]
    wanted: dict[str, tuple[tuple[LocalTopology, str], ...]] = {}
    for cut, grid in grids.items():
        # Searching takes the cut's trained networks, which a screen alone must not wait for.
        searched = settings.searched.get(cut, ()) if set(fidelities) != {"screen"} else ()
        if searched and max(searched) >= grid[-1]:
            raise StudyError(
                f"`characterization.searched.{cut}` must be fewer than the cut's {grid[-1]} "
                f"channels, but got {max(searched)}. Leave it out."
            )
        screened = screen_topologies(
            cut, grid, space.selection_strategies, settings.repeated_seeds, searched
        )
        compared = [t for t in screened if t.kept_filters in searched]
        mine = {
            "standard": [*compared, *(t for t in [*trained, *sent] if t.cut_layer == cut)],
            "full": [t for t in [*converged, *sent_converged] if t.cut_layer == cut],
        }
        pairs = [(t, "screen") for t in dict.fromkeys([*screened, *mine["standard"]])]
        if "amortised" in fidelities:
            pairs += [(t, "amortised") for t, _ in pairs if t.is_sent_plainly]
        for fidelity in TRAINED_FIDELITIES:
            if fidelity in fidelities:
                pairs += [(t, fidelity) for t in dict.fromkeys(mine[fidelity])]
        wanted[cut] = tuple(pairs)
    return wanted


def _sent(spec: StudySpec, topologies: Sequence[LocalTopology]) -> list[LocalTopology]:
    space = spec.search_space
    if space.sends_plainly:
        return []
    return sent_otherwise(topologies, space.feature_bits, space.noise_std, space.noise_step)
