"""The tables of a ``study.toml``, each a frozen dataclass with the function that reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from privynet_opt.constraints import Constraint, parse_constraints
from privynet_opt.errors import ConstraintError
from privynet_opt.metrics import parse_objectives
from privynet_opt.search_space_spec import SearchSpaceSpec
from privynet_opt.toml_reader import Section

SAMPLERS = ("nsga2", "nsga3", "tpe", "random", "qmc", "gp", "hierarchical")
"""How the Optuna study chooses its trials; ``hierarchical`` is PrivyNet's own procedure, which
makes one choice."""

LARGEST_IMAGE_SIZE = 2048
"""Rows and columns in pixels: features and attackers of larger images fit no machine."""

FEWEST_TRAINING = 2
"""Images that train a network: one of them is held out to say when to stop."""

DEFAULT_OBJECTIVES = ("accuracy", "psnr_db", "local_flops")


@dataclass(frozen=True)
class NetworkSpec:
    """The pre-trained network that is cut.

    Attributes:
        name: A torchvision classification network, or ``"small_cnn"``.
        weights: torchvision's name of the weights, a state-dict file (a relative path counts from
            the study's folder), or ``"none"``.
    """

    name: str
    weights: str


@dataclass(frozen=True)
class DataSpec:
    """The images.

    Attributes:
        name: A torchvision dataset, a folder, an ``.npz`` file, or ``"digits"``.
        image_size: Rows and columns in pixels.
        classes: Names of the classes that are used; empty for all.
        mirrorable: Whether a mirrored image is one of its kind, as it is not where images show
            digits or text.
    """

    name: str
    image_size: int
    classes: tuple[str, ...] = ()
    mirrorable: bool = True


@dataclass(frozen=True)
class SearchSpec:
    """What is asked of the topologies, and how they are searched.

    Attributes:
        objectives: Metric names; directions are known.
        constraints: Limits that hold unless the user sets others.
        n_trials: Trials of one run.
        seed: Seed of the sampler.
        sampler: One of `SAMPLERS`.
        confidence: Level of the proxies' intervals, between 0 and 1.
        extrapolate: Whether topologies outside the range of the trained measurements may be
            recommended.
    """

    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    n_trials: int
    seed: int
    sampler: str
    confidence: float
    extrapolate: bool = False


@dataclass(frozen=True)
class CharacterizationSpec:
    """How much is measured.

    Attributes:
        n_cloud: Images that train the cloud network.
        n_attacker: Images that train the attackers; disjoint from the others.
        n_score: Images that score both; disjoint from the others.
        trained_topologies: Topologies whose attacker and cloud network are trained.
        full_topologies: Those of them that are trained to convergence, at fidelity ``full``.
        repeated_seeds: Draws of each seeded strategy, measured in closed form and searched; of
            some topologies all are trained.
        searched: Counts of kept filters, by cut layer, at which the best subset is searched and
            every strategy trained beside it.
    """

    n_cloud: int
    n_attacker: int
    n_score: int
    trained_topologies: int
    repeated_seeds: int
    full_topologies: int = 16
    searched: dict[str, tuple[int, ...]] = field(default_factory=dict)


def read_network(section: Section, directory: Path) -> NetworkSpec:
    """Read ``[network]``; a weights file beside the study becomes an absolute path.

    Args:
        section: The table; its faults are noted there.
        directory: The folder of the study.
    """
    name = section.take("name", str)
    weights = section.take("weights", str, default="none")
    if (directory / weights).is_file():
        weights = str(directory / weights)
    section.check_no_others()
    return NetworkSpec(name, weights)


def read_data(section: Section) -> DataSpec:
    """Read ``[data]``.

    Args:
        section: The table; its faults are noted there.
    """
    data = DataSpec(
        section.take("name", str),
        section.take(
            "image_size",
            int,
            rule=f"be from 1 to {LARGEST_IMAGE_SIZE:,}",
            holds=lambda size: 1 <= size <= LARGEST_IMAGE_SIZE,
        ),
        section.take_list("classes", str, ()),
        section.take("mirrorable", bool, True),
    )
    if len(data.classes) == 1:
        section.fault("classes", "be two or more", f"{data.classes[0]!r} alone")
    section.check_no_others()
    return data


def read_search(section: Section) -> SearchSpec:
    """Read ``[search]``, every key of which has a default.

    Args:
        section: The table; its faults are noted there.
    """
    objectives = section.take_list("objectives", str, DEFAULT_OBJECTIVES)
    limits = section.take_list("constraints", str, ())
    try:
        parse_objectives(objectives or DEFAULT_OBJECTIVES)  # of none a fault is noted already
    except ConstraintError as error:
        section.faults.append(str(error))
    constraints: tuple[Constraint, ...] = ()
    try:
        constraints = parse_constraints(limits)
    except ConstraintError as error:
        section.faults.append(str(error))
    search = SearchSpec(
        objectives=objectives,
        constraints=constraints,
        n_trials=_whole(section, "n_trials", 1000),
        seed=section.take(
            "seed", int, 0, "be at least 0 and below 2**32", lambda seed: 0 <= seed < 2**32
        ),
        sampler=section.take_known("sampler", SAMPLERS, "nsga2"),
        confidence=section.take(
            "confidence", float, 0.9, "lie between 0 and 1", lambda level: 0 < level < 1
        ),
        extrapolate=section.take("extrapolate", bool, False),
    )
    section.check_no_others()
    return search


def read_characterization(section: Section, space: SearchSpaceSpec) -> CharacterizationSpec:
    """Read ``[characterization]``, every key of which has a default.

    Args:
        section: The table; its faults are noted there.
        space: Searched subsets must be of its cuts and counts.
    """
    images = section.section("images", required=False)
    searched = section.section("searched", required=False)
    characterization = CharacterizationSpec(
        n_cloud=_whole(images, "cloud", 20_000, FEWEST_TRAINING),
        n_attacker=_whole(images, "attacker", 20_000, FEWEST_TRAINING),
        n_score=_whole(images, "score", 2_000),
        trained_topologies=_whole(section, "trained_topologies", 80),
        repeated_seeds=_whole(section, "repeated_seeds", 3),
        full_topologies=_whole(section, "full_topologies", 16),
        searched={cut: searched.take_list(cut, int) for cut in searched.values},
    )
    if bool(characterization.searched) != ("searched" in space.selection_strategies):
        section.fault(
            "searched",
            "go with the selection strategy 'searched'",
            "one without the other",
            "Name the counts of each cut, such as conv6 = [16], and the strategy, or neither.",
        )
    section.check_known("searched", characterization.searched, space.cut_layers)
    for cut, counts in characterization.searched.items():
        for count in set(counts) - set(space.kept_filters):
            searched.fault(cut, "be counts of `search_space.kept_filters`", str(count))
    images.check_no_others()
    section.check_no_others()
    return characterization


def _whole(section: Section, key: str, default: int, least: int = 1) -> int:
    return section.take(key, int, default, f"be at least {least}", lambda number: number >= least)
