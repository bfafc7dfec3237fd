"""The Python entry point: wire the stages together and hand over one object."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.arguments import as_path, is_whole
from privynet_opt.characterization.schema import GALLERY
from privynet_opt.constraints import ConstraintsLike, parse_constraints
from privynet_opt.errors import OutputError, StudyError, TableError
from privynet_opt.metrics import parse_objectives
from privynet_opt.result import OptimizationResult
from privynet_opt.study_sections import SearchSpec, read_search
from privynet_opt.study_spec import StudySpec, load_study
from privynet_opt.toml_reader import Section
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    import pandas as pd
    from optuna.storages import BaseStorage

    from privynet_opt.characterization.table import CharacterizationTable

__all__ = ["OptimizationResult", "optimize"]


def optimize(
    constraints: ConstraintsLike | None = None,
    *,
    study: str | Path | StudySpec = "cifar10",
    objectives: str | Iterable[str] | None = None,
    n_trials: int | None = None,
    seed: int | None = None,
    sampler: str | None = None,
    confidence: float | None = None,
    extrapolate: bool | None = None,
    storage: str | BaseStorage | None = None,
    progress: bool = False,
) -> OptimizationResult:
    """Search a study's topologies under limits.

    Args:
        constraints: Limits as strings such as ``"psnr_db <= 17.5"``, a mapping from metric to
            limit, or `Constraint` objects. None takes the study's own; an empty list, none at all.
            Limits on privacy hold at the upper end of the proxies' interval.
        study: Name of a shipped study, a path, or a loaded study.
        objectives: Metric names; None takes the study's.
        n_trials: Trials of the Optuna study; None takes the study's number.
        seed: Seed of the sampler; None takes the study's. The same seed gives the same result.
        sampler: One of ``nsga2``, ``nsga3``, ``tpe``, ``random``, ``qmc``, ``gp``,
            ``hierarchical`` (PrivyNet's own procedure, which makes one choice); None takes the
            study's. What is recommended comes from enumeration, whatever the sampler, unless the
            study has noise in a range: then from what the trials tried.
        confidence: Level of the intervals, between 0 and 1; None takes the study's.
        extrapolate: Whether topologies outside the range of the trained measurements may be
            recommended, where intervals promise nothing; None takes the study's, usually not.
        storage: Where the Optuna study is kept: None for memory, a database URL, a ``.journal``
            file, or an Optuna storage. The same question on the same storage is one study, which
            every run adds trials to.
        progress: Whether to show a bar on stderr where that is a terminal.

    Returns:
        The result. Where nothing is feasible, ``best`` is None and ``infeasibility`` says why.

    Raises:
        PrivyNetOptError: If study, table, limits, settings or storage are not usable.

    Example:
        >>> result = optimize(["psnr_db <= 17.5", "local_flops <= 60e6"])  # doctest: +SKIP
        >>> result.best["cut_layer"]  # doctest: +SKIP
        'conv3'
    """
    spec = asked_study(
        constraints,
        study=study,
        objectives=objectives,
        n_trials=n_trials,
        seed=seed,
        sampler=sampler,
        confidence=confidence,
        extrapolate=extrapolate,
    )
    return _run(spec, storage, spec.search.n_trials, progress)


def reopen(directory: str | Path, study: str | Path | None = None) -> OptimizationResult:
    """Answer the question of a saved result once more.

    Args:
        directory: The folder that a result was saved to.
        study: Where the study is now; None takes where it was.

    Returns:
        The result; the same as the saved one if the study's table has not changed: where noise may
        take any value, of the topologies that the saved trials tried.

    Raises:
        OutputError: If the folder holds no result, or not the trials that it is of.
        PrivyNetOptError: If the study is not usable any more.
    """
    from privynet_opt.saved import read_front

    folder = as_path("directory", directory, OutputError)
    saved = read_front(folder)
    settings = {name: saved[name] for name in ("objectives", "confidence", "extrapolate")}
    settings |= {name: saved["search"][name] for name in ("seed", "sampler")}
    settings["n_trials"] = saved["search"]["n_asked"]
    spec = asked_study(saved["constraints"], study or saved["study_path"], **settings)
    tried = None if spec.search_space.can_be_listed else _tried(spec, saved, folder)
    n_trials = spec.search.n_trials if tried is None else 0
    result = _run(spec, tried, n_trials, progress=False)
    return replace(result, galleries=(folder / GALLERY, *result.galleries))


def _tried(spec: StudySpec, saved: dict[str, Any], folder: Path) -> BaseStorage | None:
    """Return the trials of a saved result; None where its table has changed since."""
    from privynet_opt.characterization.study_table import load_study_table
    from privynet_opt.saved import JOURNAL
    from privynet_opt.study_journal import read_trials

    table = load_study_table(spec)
    if table.answer_sha256 != saved["answer_sha256"]:
        return None
    name = study_name(spec.name, study_identity(spec, table))
    return read_trials(folder / JOURNAL, name, saved["search"]["n_trials"])


def asked_study(
    constraints: ConstraintsLike | None, study: str | Path | StudySpec, **settings: Any
) -> StudySpec:
    """Return a study with a caller's settings in place of its own, everything checked.

    Args:
        constraints: As in `optimize`.
        study: As in `optimize`.
        **settings: ``objectives``, ``n_trials``, ``seed``, ``sampler``, ``confidence``,
            ``extrapolate``; None where the study's own stands.

    Returns:
        A study that has been measured and that can be searched as it is.

    Raises:
        PrivyNetOptError: If study, limits or settings are not usable, or nothing was measured yet.
    """
    spec = with_settings(constraints, study, **settings)
    if not spec.table_path.exists():
        raise TableError(
            f"`study` must be characterized before it is searched, but {spec.table_path} does "
            "not exist. Measure it with "
            f"`privynet-opt characterize --study {spec.argument} --data DIR`."
        )
    return spec


def with_settings(
    constraints: ConstraintsLike | None, study: str | Path | StudySpec, **settings: Any
) -> StudySpec:
    """Return a study, measured or not, with a caller's settings in place of its own.

    Args:
        constraints: As in `optimize`.
        study: As in `optimize`.
        **settings: As in `asked_study`.

    Raises:
        PrivyNetOptError: If study, limits or settings are not usable.
    """
    spec = study if isinstance(study, StudySpec) else load_study(study)
    return replace(spec, search=_settings(spec.search, {**settings, "constraints": constraints}))


def _run(
    spec: StudySpec, storage: str | BaseStorage | None, n_trials: int, progress: bool
) -> OptimizationResult:
    """Answer the question of a study after so many more trials."""
    from privynet_opt.candidates import (
        best_of,
        build_candidates,
        front_of,
        judge,
        recommendable,
    )
    from privynet_opt.characterization.study_table import load_study_table
    from privynet_opt.hierarchical import hierarchical_choice
    from privynet_opt.infeasibility import explain_infeasibility
    from privynet_opt.open_search import search_open
    from privynet_opt.optimizer import search
    from privynet_opt.problem import Problem, directions_of
    from privynet_opt.proxies import fit_proxies
    from privynet_opt.search_space import SearchSpace
    from privynet_opt.shadow_prices import shadow_prices
    from privynet_opt.study_storage import open_storage, open_study

    asked = spec.search
    if asked.sampler == "hierarchical" and not spec.search_space.sends_plainly:
        raise StudyError(
            "`sampler` must not be 'hierarchical' where a study has `feature_bits` or `noise_std`, "
            "of which PrivyNet's procedure knows nothing. Choose another sampler."
        )
    table = load_study_table(spec)
    channels = {name: cut.channels for name, cut in table.cuts.items()}
    space = SearchSpace.of_study(spec, channels, table.searched)
    kept = open_storage(storage)
    more = replace(asked, n_trials=n_trials)
    proxies = fit_proxies(table, asked.confidence, cache=proxy_cache(table.path))
    identity = study_identity(spec, table)
    name = study_name(spec.name, identity)
    study = open_study(kept, name, directions_of(asked.objectives))

    def judged(topologies: pd.DataFrame) -> pd.DataFrame:
        known = build_candidates(topologies, table, proxies)
        return judge(known, asked.objectives, asked.constraints)

    choice = None
    if space.can_be_listed:
        candidates = judged(space.enumerate())
        if asked.sampler == "hierarchical":
            choice = hierarchical_choice(candidates, asked.constraints, asked.extrapolate)
        problem = Problem.of(space, candidates, asked.objectives, asked.constraints)
        outcome = search(problem, study, more, progress, identity, choice)
    else:
        trained = dict.fromkeys(LocalTopology.of(row) for _, row in table.trained.iterrows())
        candidates, outcome = search_open(
            space, judged, asked.constraints, study, more, trained, progress, identity
        )
    eligible = recommendable(candidates, asked.extrapolate)
    best = best_of(eligible)
    return OptimizationResult(
        spec=spec,
        objectives=asked.objectives,
        constraints=asked.constraints,
        table=table,
        proxies=proxies,
        candidates=candidates,
        front=front_of(candidates),
        best=best,
        study=study,
        search=outcome,
        infeasibility=explain_infeasibility(eligible, asked.constraints, space.can_be_listed),
        hierarchical=choice,
        shadow_prices=shadow_prices(eligible, best, asked.constraints),
        galleries=(spec.directory / GALLERY,),
    )


def study_identity(spec: StudySpec, table: CharacterizationTable) -> dict[str, Any]:
    """Return what makes two runs trials of the same Optuna study.

    Args:
        spec: The study, with the settings used.
        table: Its measurements.

    Returns:
        Plain data: the question, the space and the measurements; not seed, sampler or trials.
    """
    space = spec.search_space
    sent: dict[str, Any] = {
        "feature_bits": list(space.feature_bits),
        "noise_std": space.noise_std,
    }
    if space.noise_step is not None:
        sent["noise_step"] = space.noise_step
    return ({} if space.sends_plainly else sent) | {
        "study": spec.name,
        "objectives": list(spec.search.objectives),
        "constraints": [str(constraint) for constraint in spec.search.constraints],
        "confidence": spec.search.confidence,
        "answer_sha256": table.answer_sha256,
        "cut_layers": list(space.cut_layers),
        "kept_filters": list(space.kept_filters),
        "selection_strategies": list(space.selection_strategies),
        "n_seeds": spec.characterization.repeated_seeds,
    }


def study_name(name: str, identity: dict[str, Any]) -> str:
    """Return the Optuna study's name: another question on the same storage is another study.

    Args:
        name: The study's name.
        identity: From `study_identity`.
    """
    return f"{name}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]}"


def proxy_cache(table_path: Path) -> Path:
    """Return where what the proxies learned is kept between runs.

    Args:
        table_path: The characterization table.

    Returns:
        ``proxies.json`` beside the table; in the user's cache where that folder is not theirs to
        write to, as with an installed package.
    """
    beside = table_path.with_name("proxies.json")
    if beside.exists() or os.access(table_path.parent, os.W_OK):
        return beside
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = hashlib.sha256(str(table_path.resolve()).encode()).hexdigest()[:16]
    return root / "privynet_opt" / f"proxies-{place}.json"


def _settings(study: SearchSpec, wanted: dict[str, Any]) -> SearchSpec:
    """Put the caller's settings in place of the study's, under the same rules as in study.toml."""
    values: dict[str, Any] = {**study.__dict__}
    values |= {name: value for name, value in wanted.items() if value is not None}
    values["objectives"] = list(parse_objectives(values["objectives"]))
    values["constraints"] = [str(c) for c in parse_constraints(values["constraints"])]
    for name in ("n_trials", "seed"):
        if is_whole(values[name]):
            values[name] = int(values[name])
    faults: list[str] = []
    settings = read_search(Section(values, "", faults))
    if faults:
        raise StudyError(" ".join(faults))
    return settings
