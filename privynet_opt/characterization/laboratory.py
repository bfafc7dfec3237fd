"""Measure chosen topologies of a study, a few at a time, into a study folder of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from privynet_opt.characterization.bank import CutBank, build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.gallery import Gallery
from privynet_opt.characterization.information import measure_information
from privynet_opt.characterization.job import TRAINING_SEED, measurement_key
from privynet_opt.characterization.measure import measure_screen, measure_trained
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.parallel import threads_per_worker
from privynet_opt.characterization.provenance import circumstances
from privynet_opt.characterization.schema import GALLERY, subsets_of
from privynet_opt.characterization.stems import Stems
from privynet_opt.characterization.study_inputs import StudyInputs
from privynet_opt.characterization.table import CharacterizationTable, load_table
from privynet_opt.characterization.table_files import check_cuts, copy_study_file, write_table
from privynet_opt.characterization.taking_over import (
    continued_sidecar,
    rows_by_name,
    table_of_before,
    table_of_study,
    take_over,
)
from privynet_opt.networks.device import checked_device
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec

Row = dict[str, Any]
Pair = tuple[LocalTopology, str]
"""A topology and the fidelity it is measured at."""


class Laboratory:
    """A study's network and images, and the folder that its measurements go to.

    Args:
        spec: The study.
        output: The folder: measurements, table, sidecar and study file, as `characterize` leaves
            them. What is measured there already is kept, if it is of the same weights, images and
            recipes.
        data: Where the images are; None only for data the package can make itself.
        weights: Weights file or name; None takes the study's.
        device: ``"cpu"`` or ``"cuda"``.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

    Attributes:
        cuts: Cost profiles by name of the cut layer, in the order of the network.
        taken_over: Rows of the study's own table that are of the same weights, images and recipe,
            by fidelity.

    Raises:
        PrivyNetOptError: If network, weights, images, device or folder are not usable.
    """

    def __init__(
        self,
        spec: StudySpec,
        output: Path,
        data: Path | None = None,
        weights: str | None = None,
        device: str = "cpu",
        skip_bad: bool = False,
    ) -> None:
        self.spec = spec
        self.output = output.resolve()
        self.device = checked_device(device)
        self.inputs = StudyInputs.load(spec, data, weights, skip_bad)
        self.cuts = {profile.name: profile for profile in self.inputs.profiles()}
        self.folder = MeasurementFolder(self.output)
        self._path = self.output / spec.table_path.name
        self._identity = self.inputs.identity()
        known, is_kept = table_of_study(spec, self.cuts, self._identity, self._path)
        self.folder.claim(self._identity, None if is_kept else self._path)
        check_cuts(self.output, self.folder.rows(), self.cuts)
        own = table_of_before(self._path, self._identity)
        if known is not None:
            take_over(known, self.folder, self.cuts, self._identity)
        self._sidecar = continued_sidecar(own, known)
        theirs = rows_by_name(known)
        self._n_told = sum(map(self.folder.has, {**rows_by_name(own), **theirs}.values()))
        self.taken_over = dict(Counter(row["fidelity"] for row in theirs.values()))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is measured yet."""
        return not self.folder.count()

    @property
    def searched(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """Channels that searching found before, by cut layer and count of kept filters."""
        return subsets_of(self.folder.searched())

    def measure(
        self,
        pairs: Sequence[Pair],
        may_begin: Callable[[str], bool],
        finished: Callable[[Row], None],
    ) -> bool:
        """Measure what is missing, cut by cut; the features of a cut are computed once.

        Args:
            pairs: What is wanted, ``screen`` or a trained fidelity.
            may_begin: Asked before each measurement, and before a cut's features, for its fidelity.
            finished: Told each row once it is stored.

        Returns:
            Whether everything wanted is measured now.
        """
        torch.set_num_threads(threads_per_worker(1, None))
        missing = [pair for pair in pairs if not self.folder.has(measurement_key(*pair))]
        cuts = {cut.name: cut for cut in self.inputs.cuts}
        stems = Stems()
        for name in dict.fromkeys(topology.cut_layer for topology, _ in missing):
            here = [pair for pair in missing if pair[0].cut_layer == name]
            if not may_begin(here[0][1]):
                return False
            trains = any(fidelity != "screen" for _, fidelity in here)
            backbone, splits = self.inputs.backbone, self.inputs.splits
            source = FeatureSource(backbone, cuts[name], splits, self.device, trains or None, stems)
            bank = build_bank(source).with_searched(self.searched)
            self._inform(bank, {t.sent_plainly() for t, _ in here if t.noise_std})
            gallery = None
            if trains:
                gallery = Gallery(self.output / GALLERY, bank.score_images, bank.score_labels)
            for topology, fidelity in here:
                if not may_begin(fidelity):
                    return False
                if fidelity == "screen":
                    row = measure_screen(bank, topology)
                else:
                    row = measure_trained(bank, topology, fidelity, TRAINING_SEED, gallery=gallery)
                self.folder.add(row)
                finished(row)
        return True

    def _inform(self, bank: CutBank, topologies: Set[LocalTopology]) -> None:
        """Measure what the bound on every attacker takes, where it is not known."""
        known = {LocalTopology.of(entry) for entry in self.folder.information()}
        unknown = sorted(topologies - known)
        if unknown:
            self.folder.add_information(bank.cut.name, measure_information(bank, unknown))

    def table(self) -> CharacterizationTable:
        """Write the table of everything measured so far and return it, read back and checked.

        Raises:
            TableError: If nothing is measured yet.
            OutputError: If it cannot be written.
        """
        write_table(self._path, self.folder.rows(), list(self.cuts), self._described())
        copy_study_file(self.spec.directory, self.spec.network.weights, self.output)
        return load_table(self._path)

    def _described(self) -> dict[str, Any]:
        """Return the sidecar: what went before goes on, and new rows are told in ``extensions``."""
        described = {**self.inputs.sidecar(self.device), **self.folder.beside_rows()}
        n_new = self.folder.count() - self._n_told
        if self._sidecar and n_new:
            added = {"rows": n_new, **circumstances(self.device)}
            described["extensions"] = [*self._sidecar.get("extensions", []), added]
        kept = ("network", "measured") if self._sidecar else ()
        own = {**self._sidecar, **{k: v for k, v in described.items() if k not in kept}}
        # A table of an earlier release tells less of its data.
        return {**own, "data": {**described["data"], **self._sidecar.get("data", {})}}
