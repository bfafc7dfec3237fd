"""Build the characterization table of a study: plan, measure, assemble."""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from privynet_opt.characterization.job import Job, forget, run_job
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.parallel import run_jobs, threads_per_worker
from privynet_opt.characterization.plan import plan, spread_topologies
from privynet_opt.characterization.side_attack import DOUBLED, N_TOPOLOGIES, SideAttack
from privynet_opt.characterization.study_inputs import SPLIT_SEED, StudyInputs
from privynet_opt.characterization.table_files import check_cuts, copy_study_file, write_table
from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.datasets.load import kind_of, load_images
from privynet_opt.errors import DataError, StudyError
from privynet_opt.networks.device import checked_device

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec


def characterize(
    spec: StudySpec,
    data: Path | None,
    weights: str | None,
    output: Path,
    device: str = "cpu",
    fidelities: Sequence[str] = ("screen", "standard"),
    workers: int = 1,
    n_trained: int | None = None,
    notes: dict[str, str] | None = None,
    start: str = "scratch",
    repair: bool = False,
    attacker_data: Path | None = None,
    double_capacity: bool = False,
    skip_bad: bool = False,
    dask: str | None = None,
    stack: int = 1,
) -> Path:
    """Measure a study's topologies and write its characterization table.

    Finished measurements in `output` are kept and not repeated; the table is written from all of
    them, also when the run is interrupted.

    Args:
        spec: The study.
        data: Where the images are; None only for data the package can make itself.
        weights: Weights file or name; None takes the study's.
        output: Folder for the measurements, the table, its sidecar and the study file.
        device: ``"cpu"`` or ``"cuda"``.
        fidelities: What is measured: ``"screen"`` measures the whole space in closed form,
            ``"amortised"`` with networks that serve every subset of a cut, ``"standard"`` and
            ``"full"`` train networks of their own for a spread of topologies.
        workers: Processes; each measures another cut.
        n_trained: Topologies that are trained, all the study has if it is more, which is warned
            of; None takes the study's number.
        notes: Where the ``"data"`` and the ``"weights"`` come from, for the provenance.
        start: Where the networks of trained fidelities start: ``"scratch"``, or ``"amortised"``
            for the cut's amortised networks, which are trained first where they are missing.
        repair: Whether what an audit then finds attacked too weakly is measured at the next
            fidelity, until nothing is left to measure.
        attacker_data: Images of another kind, as for `data`: what an attacker who trains on those
            loses is measured over a spread of topologies and told in the sidecar.
        double_capacity: Whether a decoder twice as wide and deep attacks the same spread, so that
            an audit can tell whether the usual one is too small.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.
        dask: Address of a Dask scheduler whose workers measure instead of `workers` processes
            here; they must see `output` under the same path.
        stack: How many topologies of a cut are trained together, from scratch: worth it on a GPU
            that small networks leave idle.

    Returns:
        Path of the table.

    Raises:
        PrivyNetOptError: If network, weights, data, device or output folder are not usable.
    """
    if start != "scratch" and (double_capacity or attacker_data is not None):
        raise StudyError(
            "`start` must be scratch where other attackers are compared with the usual one, who "
            f"starts as they do, but got {start!r}. Compare them in a run of their own."
        )
    if start != "scratch" and stack > 1:
        raise StudyError(
            f"`stack` must be 1 where networks start from amortised ones, but got {stack}. "
            "Leave it out, or start from scratch."
        )
    if start != "scratch" and not spec.search_space.sends_plainly:
        raise StudyError(
            "`start` must be scratch where a study codes features or adds noise, since amortised "
            f"networks know neither, but got {start!r}. Leave --start out."
        )
    checked = checked_device(device)
    output = output.resolve()
    inputs = StudyInputs.load(spec, data, weights, skip_bad)
    cuts = inputs.cuts
    folder, table = MeasurementFolder(output), output / "characterization.csv"
    folder.claim(inputs.identity(start), table)
    check_cuts(output, folder.rows(), [cut.name for cut in cuts])
    wanted = plan(spec, cuts, fidelities, n_trained)
    attacks = [DOUBLED] if double_capacity else []
    if attacker_data is not None:
        attacks.append(_other_images(spec, attacker_data, skip_bad, inputs.splits.score))
    attacked = spread_topologies(spec, cuts, n_trained, N_TOPOLOGIES if attacks else 0)
    for topology in attacked:  # what they are compared with
        pair = (topology, "standard")
        wanted[topology.cut_layer] = tuple(dict.fromkeys([*wanted[topology.cut_layer], pair]))
    threads = threads_per_worker(workers, dask)
    in_order = (*cuts[::3], *cuts[1::3], *cuts[2::3])  # an early look covers all depths
    if set(fidelities) == {"screen"}:
        in_order = cuts  # soon over; a cut's features are computed from an earlier one's
    jobs = [
        Job(
            spec.network.name,
            inputs.weights,
            cut,
            inputs.splits,
            wanted[cut.name],
            output,
            device,
            threads,
            start,
            spec.characterization.searched.get(cut.name, ()),
            tuple(attack.at(attacked, cut.name) for attack in attacks),
            stack,
        )
        for cut in in_order
    ]
    described = inputs.sidecar(checked, notes, start) | _extensions(table)
    del inputs  # who measures loads the network; here nobody needs it any more
    gc.collect()

    def write() -> None:
        rows = folder.rows()
        if rows:
            described.update(folder.beside_rows())
            write_table(table, rows, [cut.name for cut in cuts], described)
            copy_study_file(spec.directory, spec.network.weights, output)

    try:
        with _progress(folder, sum(len(job.wanted) for job in jobs)):
            run_jobs(jobs, run_job, workers, dask)
        if repair:
            # Audits need pandas, which a machine that only measures may lack.
            from privynet_opt.characterization.repair import repairs

            write()
            while answers := repairs(table, jobs):
                with _progress(folder, folder.count() + sum(len(job.missing()) for job in answers)):
                    run_jobs(answers, run_job, workers, dask)
                write()
    finally:
        forget()
        write()
    return table


def _extensions(table: Path) -> dict[str, Any]:
    """Return the sidecar's entry on rows that were measured otherwise, if there is one."""
    try:
        known = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it is written anew
        return {}
    kept = known.get("extensions") if isinstance(known, dict) else None
    return {"extensions": kept} if kept else {}


def _other_images(spec: StudySpec, data: Path, skip_bad: bool, score: ImageSet) -> SideAttack:
    """Return an attacker with images of another kind, as many as the others have."""
    option = "--attacker-data"
    images, _ = load_images(kind_of(data, option), data, spec.data.image_size, (), skip_bad, option)
    wanted = spec.characterization.n_attacker
    if len(images) < wanted:
        raise DataError(
            f"`{option}` must have the {wanted:,} images of the usual attacker or more, so "
            f"that only their kind differs, but {data} has {len(images):,}. Give more images."
        )
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SPLIT_SEED))
    theirs = images.take(order[:wanted])
    theirs.check_attackable(option)
    if n_copies := theirs.n_copies_of(score):
        raise DataError(
            f"`{option}` must have none of the images that are scored, but {n_copies:,} of those "
            f"in {data} are, pixel for pixel. Remove them."
        )
    return SideAttack(data.stem, theirs)


@contextmanager
def _progress(folder: MeasurementFolder, n_wanted: int) -> Iterator[None]:
    """Show on stderr how many measurements are finished, whichever process finishes them."""
    done = threading.Event()

    def watch(bar: tqdm[None]) -> None:
        while not done.wait(0.5):
            bar.update(folder.count() - bar.n)
        bar.update(folder.count() - bar.n)

    quiet = not sys.stderr.isatty()
    with tqdm(total=n_wanted, initial=folder.count(), unit="row", disable=quiet) as bar:
        watcher = threading.Thread(target=watch, args=(bar,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
