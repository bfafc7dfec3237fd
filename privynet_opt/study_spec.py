"""A study: which network, which images, which topologies, and what is asked of them.

Read from ``study.toml`` into frozen dataclasses; all independent faults in one message. The first
stage of the flow: everything to the right is told by a `StudySpec` what to do.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from privynet_opt.errors import StudyError, UnknownStudyError, did_you_mean
from privynet_opt.search_space_spec import SearchSpaceSpec, read_search_space
from privynet_opt.study_sections import (
    SAMPLERS,
    CharacterizationSpec,
    DataSpec,
    NetworkSpec,
    SearchSpec,
    read_characterization,
    read_data,
    read_network,
    read_search,
)
from privynet_opt.toml_reader import Section, read_toml

__all__ = [
    "SAMPLERS",
    "CharacterizationSpec",
    "DataSpec",
    "NetworkSpec",
    "SearchSpaceSpec",
    "SearchSpec",
    "StudySpec",
    "list_studies",
    "load_study",
]


STUDY_FILE = "study.toml"

STUDY_NAME = r"[\w.-]{0,59}\w"
"""What a study may be called: it names folders."""


@dataclass(frozen=True)
class StudySpec:
    """A whole study.

    Attributes:
        name: Short name, also part of file names.
        title: One line for people.
        directory: The folder of ``study.toml``.
        network: The network.
        data: The images.
        search_space: The topologies.
        search: What is asked of them.
        characterization: How much is measured.
    """

    name: str
    title: str
    directory: Path
    network: NetworkSpec
    data: DataSpec
    search_space: SearchSpaceSpec
    search: SearchSpec
    characterization: CharacterizationSpec

    @property
    def table_path(self) -> Path:
        """Return where the study's characterization table lies once it is measured."""
        return self.directory / "characterization.csv"

    @property
    def argument(self) -> str:
        """Return what names this study on the command line: its name if shipped, else its path."""
        shipped = _shipped().get(self.name)
        return self.name if shipped == self.directory else str(self.directory)


def load_study(name_or_path: str | Path) -> StudySpec:
    """Load a study.

    Args:
        name_or_path: Name of a shipped study, a folder with a ``study.toml``, or that file.

    Returns:
        The study.

    Raises:
        UnknownStudyError: If neither a shipped study nor a path has this name.
        StudyError: If it is no name or path at all, a file of another name, or one that cannot be
            read; the message names every fault.

    Example:
        >>> load_study("cifar10").network.name
        'vgg16'
    """
    shipped = _shipped()
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise StudyError(
            f"`study` must be a name or a path, but got {name_or_path!r}. "
            f"{did_you_mean('', shipped)}"
        )
    if str(name_or_path) in shipped:
        return _read_study(shipped[str(name_or_path)] / STUDY_FILE)
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return _read_study(path / STUDY_FILE)
    if path.name == STUDY_FILE:
        return _read_study(path)
    if path.suffix == ".toml" or path.exists():
        # A result, a copy and a bundle find a study by its folder.
        raise StudyError(
            f"`study` must be a folder or the {STUDY_FILE} in it, but got {path}. Put that file "
            f"into a folder of its own as {STUDY_FILE}."
        )
    raise UnknownStudyError(
        f"`study` must be a shipped study or the path of one, but got {str(name_or_path)!r}. "
        + did_you_mean(str(name_or_path), shipped)
    )


def list_studies() -> list[StudySpec]:
    """Return the shipped studies, in the order of their names.

    Raises:
        StudyError: If one of them cannot be read.
    """
    return [_read_study(folder / STUDY_FILE) for _, folder in sorted(_shipped().items())]


def _shipped() -> dict[str, Path]:
    # Installed, the studies lie inside the package; in the source tree, beside it.
    here = Path(__file__).resolve().parent
    root = next((r for r in (here / "studies", here.parent / "studies") if r.is_dir()), here)
    return {file.parent.name: file.parent for file in root.glob(f"*/{STUDY_FILE}")}


def _read_study(path: Path) -> StudySpec:
    faults: list[str] = []
    whole = Section(read_toml(path), "", faults)
    name = whole.take(
        "name",
        str,
        rule="consist of letters, digits, dots, dashes and underscores, 60 at most",
        holds=lambda text: re.fullmatch(STUDY_NAME, text) is not None,
    )
    directory = path.resolve().parent
    space = read_search_space(whole.section("search_space"))
    spec = StudySpec(
        name=name,
        title=whole.take("title", str, default=name),
        directory=directory,
        network=read_network(whole.section("network"), directory),
        data=read_data(whole.section("data")),
        search_space=space,
        search=read_search(whole.section("search", required=False)),
        characterization=read_characterization(
            whole.section("characterization", required=False), space
        ),
    )
    whole.check_no_others()
    if faults:
        raise StudyError(f"{path}: {' '.join(faults)}")
    return spec
