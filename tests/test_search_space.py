from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from problems import toy_cuts, toy_topologies

from privynet_opt.errors import StudyError
from privynet_opt.search_space import TOPOLOGY_COLUMNS, SearchSpace
from privynet_opt.selection import ChannelStatistics, kept_channels
from privynet_opt.study_spec import SearchSpaceSpec, load_study
from privynet_opt.topology import LocalTopology

CHANNELS = {cut.name: cut.channels for cut in toy_cuts()}


def space_of(
    spec: SearchSpaceSpec, n_seeds: int, searched: Collection[tuple[str, int]] = ()
) -> SearchSpace:
    measured = SimpleNamespace(repeated_seeds=n_seeds)
    study = SimpleNamespace(search_space=spec, characterization=measured)
    return SearchSpace.of_study(study, CHANNELS, searched)  # type: ignore[arg-type]


@pytest.fixture
def space(toy_study: Path) -> SearchSpace:
    return space_of(load_study(toy_study).search_space, 1)


def test_enumeration_lists_every_topology_once_in_network_order(space: SearchSpace) -> None:
    frame = space.enumerate()
    assert list(frame.columns) == list(TOPOLOGY_COLUMNS)
    assert [tuple(row) for row in frame.itertuples(index=False)] == [
        (*topology, 32, 0.0) for topology in toy_topologies()
    ]
    assert len(space) == len(frame) == len(space.rows)


def test_a_cut_offers_the_counts_below_its_channels_and_all_of_them() -> None:
    spec = SearchSpaceSpec(("conv1", "conv3"), (1, 6, 12, 32), ("lda", "random"))
    space = space_of(spec, 1)
    assert space.grids == {"conv1": (1, 6, 8), "conv3": (1, 6, 12, 32)}


def test_keeping_every_filter_is_one_topology_whatever_the_strategy() -> None:
    spec = SearchSpaceSpec(("conv1",), (4, 8), ("lda", "random"))
    topologies = space_of(spec, 1).topologies
    assert topologies == (
        LocalTopology("conv1", 4, "lda"),
        LocalTopology("conv1", 4, "random"),
        LocalTopology("conv1", 8, "lda"),
    )


def test_each_draw_of_a_seeded_strategy_is_a_choice_of_its_own() -> None:
    spec = SearchSpaceSpec(("conv1",), (3, 8), ("random", "lda", "privynet"))
    space = space_of(spec, 2)
    assert space.topologies == (
        LocalTopology("conv1", 3, "random"),
        LocalTopology("conv1", 3, "random", 1),
        LocalTopology("conv1", 3, "lda"),
        LocalTopology("conv1", 3, "privynet"),
        LocalTopology("conv1", 3, "privynet", 1),
        LocalTopology("conv1", 8, "random"),
    )
    assert LocalTopology("conv1", 3, "random", 2) not in space
    assert LocalTopology("conv1", 8, "random", 1) not in space
    for topology in space.topologies:
        assert topology in space
        trial = optuna.trial.FixedTrial(space.parameters(topology))
        assert space.suggest(trial) == topology
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {space.suggest(study.ask()) for _ in range(200)} == set(space.topologies)


def test_draws_that_are_the_same_filters_are_listed_once() -> None:
    spec = SearchSpaceSpec(("conv3",), (8, 15, 16, 17, 24), ("lda", "privynet"))
    space = space_of(spec, 2)
    statistics = ChannelStatistics(*np.random.default_rng(0).random((3, 32)), lambda: None)
    assert [t.kept_filters for t in space.topologies if t.selection_seed] == [8, 15]
    for count in (15, 16, 17, 24):
        draws = [LocalTopology("conv3", count, "privynet", seed) for seed in range(20)]
        assert (len({kept_channels(t, statistics) for t in draws}) > 1) == (draws[1] in space)


def test_searched_exists_only_where_a_subset_was_found() -> None:
    spec = SearchSpaceSpec(("conv1",), (2, 4, 8), ("lda", "searched"))
    space = space_of(spec, 1, {("conv1", 4)})
    assert [(t.kept_filters, t.selection_strategy) for t in space.topologies] == [
        (2, "lda"),
        (4, "lda"),
        (4, "searched"),
        (8, "lda"),
    ]
    parameters = {"cut_layer": "conv1", "kept_position": 0.1, "selection_strategy": "searched"}
    assert space.suggest(optuna.trial.FixedTrial(parameters)) == LocalTopology("conv1", 2, "lda")


def test_a_cut_that_was_not_measured_is_named() -> None:
    spec = SearchSpaceSpec(("conv1", "conv4"), (1,), ("lda",))
    with pytest.raises(StudyError, match=r"but got 'conv4'\. Did you mean"):
        space_of(spec, 1)


def test_a_count_beyond_every_cut_is_named() -> None:
    spec = SearchSpaceSpec(("conv1", "conv3"), (1, 33), ("lda",))
    with pytest.raises(StudyError, match="got 33 where the widest cut has 32"):
        space_of(spec, 1)


def test_parameters_of_every_topology_suggest_that_topology(space: SearchSpace) -> None:
    for topology in space.topologies:
        trial = optuna.trial.FixedTrial(space.parameters(topology))
        assert space.suggest(trial) == topology


def test_suggestions_use_the_declared_distributions_and_reach_everything(
    space: SearchSpace,
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = set()
    for _ in range(1500):
        trial = study.ask()
        found.add(space.suggest(trial))
        assert trial.distributions == space.distributions()
    assert found == set(space.topologies)


def test_the_ends_of_the_position_are_the_ends_of_the_grid(space: SearchSpace) -> None:
    for position, kept in ((0.0, 1), (1.0, 32), (np.nextafter(1.0, 0), 32)):
        parameters = {
            "cut_layer": "conv3",
            "kept_position": position,
            "selection_strategy": "lda",
        }
        assert space.suggest(optuna.trial.FixedTrial(parameters)).kept_filters == kept


SENDING = SearchSpaceSpec(("conv1", "conv3"), (2, 8, 32), ("lda", "random"), (32, 8), (0.0, 1.5))


def test_bits_alone_are_listed_as_topologies_of_their_own() -> None:
    space = space_of(replace(SENDING, noise_std=None), 1)
    plain = space_of(replace(SENDING, noise_std=None, feature_bits=(32,)), 1)
    assert space.can_be_listed
    assert len(space) == 2 * len(plain)
    for topology in space.topologies:
        assert topology in space
        assert space.suggest(optuna.trial.FixedTrial(space.parameters(topology))) == topology


def test_noise_in_a_range_is_suggested_in_thousandths_and_cannot_be_listed() -> None:
    space = space_of(SENDING, 1)
    assert not space.can_be_listed
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = []
    for _ in range(200):
        trial = study.ask()
        found.append(space.suggest(trial))
        assert trial.distributions == space.distributions()
    assert all(topology in space for topology in found)
    assert {topology.feature_bits for topology in found} == {32, 8}
    noise = [topology.noise_std for topology in found]
    assert min(noise) < 0.1 and max(noise) > 1.4
    assert all(round(value, 3) == value for value in noise)
    for topology in found[:20]:
        assert space.suggest(optuna.trial.FixedTrial(space.parameters(topology))) == topology


def test_noise_in_steps_is_listed_and_suggested_as_it_is_listed() -> None:
    space = space_of(replace(SENDING, noise_step=0.3), 1)
    plain = space_of(replace(SENDING, noise_std=None, feature_bits=(32,)), 1)
    assert space.can_be_listed and len(space) == len(plain) * 2 * 6 == len(set(space.topologies))
    assert {t.noise_std for t in space.topologies} == {0.0, 0.3, 0.6, 0.9, 1.2, 1.5}
    for topology in space.topologies:
        assert topology in space
        assert space.suggest(optuna.trial.FixedTrial(space.parameters(topology))) == topology
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(100)]
    assert {space.suggest(trial) for trial in trials} <= set(space.topologies)
    assert trials[0].distributions == space.distributions()
    assert LocalTopology("conv1", 2, "lda", 0, 8, 0.1) not in space


def test_a_space_too_large_to_list_is_refused_before_it_is_listed() -> None:
    with pytest.raises(
        StudyError, match=r"at most 100,000 topologies .* Take a larger `noise_step`"
    ):
        space_of(replace(SENDING, noise_step=0.001), 9)
    assert not space_of(SENDING, 9).can_be_listed


@pytest.mark.parametrize(
    "topology",
    [
        LocalTopology("conv2", 2, "lda"),
        LocalTopology("conv1", 3, "lda"),
        LocalTopology("conv1", 2, "random", 1),
        LocalTopology("conv1", 8, "random"),
        LocalTopology("conv1", 2, "lda", 0, 4),
        LocalTopology("conv1", 2, "lda", 0, 8, 1.501),
    ],
)
def test_a_space_knows_what_is_not_in_it(topology: LocalTopology) -> None:
    assert topology not in space_of(SENDING, 1)


def test_a_space_without_a_choice_of_sending_has_the_variables_it_always_had(
    space: SearchSpace,
) -> None:
    assert set(space.distributions()) == {"cut_layer", "kept_position", "selection_strategy"}
