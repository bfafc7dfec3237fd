"""The one training loop: one cycle, early stop on held-out images, best epoch kept."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from privynet_opt.errors import DataError, OutputError
from privynet_opt.networks.optimizers import MuonRecipe, make_optimizers

HELD_OUT_SHARE = 0.1
"""Share of the training images that only decide which epoch is kept and when to stop."""

LARGEST_GRADIENT = 1.0
"""Gradients are clipped to this norm: the peak of the one cycle is steep for narrow cuts."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How long and how fast a network is trained.

    Attributes:
        max_epochs: Length of the one cycle.
        patience: Epochs without a better held-out loss after which training stops.
        batch_size: Images per step.
        peak_learning_rate: Height of the one cycle (Smith & Topin, arXiv:1708.07120) of AdamW.
        warm_up: Share of the cycle in which the learning rate rises.
        muon: Speed of the weights of convolutions; None leaves them to AdamW.
        min_steps: Few images make short epochs: cycle and patience are lengthened, in proportion,
            until the cycle has so many steps.
    """

    max_epochs: int
    patience: int
    batch_size: int = 64
    peak_learning_rate: float = 2e-3
    min_steps: int = 0
    warm_up: float = 0.3
    muon: MuonRecipe | None = None

    def lengthened(self, n_images: int) -> TrainingRecipe:
        """Return the recipe that has `min_steps` with so many images.

        Args:
            n_images: Images of one epoch.
        """
        steps = -(-n_images // self.batch_size)
        times = -(-self.min_steps // (self.max_epochs * steps))
        if times <= 1:
            return self
        return replace(self, max_epochs=times * self.max_epochs, patience=times * self.patience)


Loss = Callable[[nn.Module, Tensor], Tensor]
"""Maps a network and the positions of some training images to the mean loss over them; stacked
networks to one loss each, shape ``(n_stacked,)``."""


def train(
    network: nn.Module,
    loss: Loss,
    n_images: int,
    recipe: TrainingRecipe,
    seed: int,
    checkpoint: Path | None = None,
    keep_start: bool = False,
    generators: Sequence[torch.Generator] = (),
    watch: Callable[[int, float], None] | None = None,
    n_stacked: int = 1,
) -> tuple[int, ...]:
    """Train a network in place and leave it at its best epoch, in evaluation mode.

    Stacked networks (`privynet_opt.networks.stacked`) are trained together, each as it would be
    alone: it has its own loss, its gradient is clipped by itself, and it is left at its own best
    epoch, before its own patience ended.

    Args:
        network: The network; its parameters are changed.
        loss: The loss of some of the images, by position.
        n_images: Number of images; the last `HELD_OUT_SHARE` of them are held out.
        recipe: Length and speed.
        seed: Seed of the order of images.
        checkpoint: File that keeps the state after each epoch; a training that finds it goes on
            from there. None keeps nothing.
        keep_start: Whether the network is worth something before: then it stays as it is unless
            an epoch makes it better on the held-out images.
        generators: Others than torch's own that the loss draws from; a training that goes on draws
            as if it had not been stopped.
        watch: Called after each epoch with the epochs trained and the mean held-out loss.
        n_stacked: How many networks `network` consists of.

    Returns:
        Epochs trained, of each of them.

    Raises:
        DataError: If a network that is worth nothing before never had a finite held-out loss.
        OutputError: If the checkpoint is damaged, another training's, or cannot be written.
    """
    n_fit = n_images - max(1, int(HELD_OUT_SHARE * n_images))
    recipe = recipe.lengthened(n_fit)
    held_out = torch.arange(n_fit, n_images).split(4 * recipe.batch_size)
    sizes = _batch_sizes(n_fit, recipe.batch_size)
    run = _Run(network, recipe, len(sizes), seed, generators, n_stacked)

    def held_out_losses() -> list[float]:
        network.eval()
        with torch.no_grad():
            losses = [loss(network, p).reshape(n_stacked).cpu().double() * len(p) for p in held_out]
        means: list[float] = (torch.stack(losses).sum(0) / (n_images - n_fit)).tolist()
        return means

    start = (held_out_losses(), copy.deepcopy(network.state_dict())) if keep_start else None
    if checkpoint is not None and checkpoint.exists():
        run.load(checkpoint)
    while run.epoch < recipe.max_epochs and run.unfinished():
        network.train()
        for positions in torch.randperm(n_fit, generator=run.generator).split(sizes):
            run.step(loss(network, positions))
        reached = held_out_losses()
        run.end_epoch(reached)
        if checkpoint is not None:
            run.save(checkpoint)
        if watch is not None:
            watch(run.epoch, sum(reached) / n_stacked)
    if start is None:
        run.refuse_unlearned()
    else:
        run.prefer(*start)
    network.load_state_dict(run.best_state)
    network.eval()
    return tuple(min(run.epoch, best + recipe.patience) for best in run.best_epochs)


def _batch_sizes(n_images: int, batch_size: int) -> list[int]:
    """Return the sizes of an epoch's batches; none is of one image, which has no variance."""
    full, left = divmod(n_images, batch_size)
    if left == 1 and full:
        return [batch_size] * (full - 1) + [batch_size + 1]
    return [batch_size] * full + [left] * bool(left)


Receive = Callable[[Tensor], Tensor]
"""Maps features as they are computed to features as they arrive, noise drawn at each call."""


class _Run:
    """The state of one training: what a step changes and what an epoch decides."""

    def __init__(
        self,
        network: nn.Module,
        recipe: TrainingRecipe,
        steps: int,
        seed: int,
        generators: Sequence[torch.Generator],
        n_stacked: int,
    ) -> None:
        assert n_stacked == 1 or recipe.muon is None  # it would mix the stacked networks
        self.network = network
        self.recipe = recipe
        self.n_stacked = n_stacked
        self.generator = torch.Generator().manual_seed(seed)
        self.generators = (self.generator, *generators)
        self.optimizers = make_optimizers(network, recipe.peak_learning_rate, recipe.muon)
        n_steps = recipe.max_epochs * steps
        self.schedules = [_one_cycle(part, recipe.warm_up, n_steps) for part in self.optimizers]
        self.epoch = 0
        self.best_epochs = [0] * n_stacked
        self.best_losses = [float("inf")] * n_stacked
        self.best_state = copy.deepcopy(network.state_dict())

    def unfinished(self) -> list[int]:
        """Return which of the stacked networks are not out of patience."""
        waited = [self.epoch - best for best in self.best_epochs]
        return [index for index, epochs in enumerate(waited) if epochs < self.recipe.patience]

    def step(self, loss: Tensor) -> None:
        self.network.zero_grad()
        loss.sum().backward()
        for index in range(self.n_stacked):
            parts = [_with_gradient(p, self.n_stacked, index) for p in self.network.parameters()]
            nn.utils.clip_grad_norm_(parts, LARGEST_GRADIENT)
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            optimizer.step()
            schedule.step()

    def end_epoch(self, held_out_losses: list[float]) -> None:
        unfinished = self.unfinished()
        self.epoch += 1
        reached = self.network.state_dict()
        for index in unfinished:
            if held_out_losses[index] < self.best_losses[index]:
                self.best_losses[index] = held_out_losses[index]
                self.best_epochs[index] = self.epoch
                self._take(reached, index)

    def refuse_unlearned(self) -> None:
        """Refuse to end where the best epoch of any of them is none: it would be as it began."""
        if not all(map(math.isfinite, self.best_losses)):
            raise DataError(
                f"the held-out loss must be finite, but after none of {self.epoch} epochs it was. "
                "Look for features that are NaN or infinite, and compute them again without."
            )

    def prefer(self, losses: list[float], state: dict[str, Tensor]) -> None:
        """Go back to a state from before the first epoch where none of them was better."""
        for index in range(self.n_stacked):
            if losses[index] <= self.best_losses[index]:
                self._take(state, index)

    def _take(self, state: dict[str, Tensor], index: int) -> None:
        for name, best in self.best_state.items():
            part_of(best, self.n_stacked, index).copy_(part_of(state[name], self.n_stacked, index))

    def save(self, path: Path) -> None:
        state = {
            "recipe": asdict(self.recipe),
            **{name: getattr(self, name) for name in _COUNTERS},
            "network": self.network.state_dict(),
            **{name: [part.state_dict() for part in getattr(self, name)] for name in _STATEFUL},
            "generators": [generator.get_state() for generator in self.generators],
            "dropout": _global_states(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        temporary = path.with_suffix(".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content.getvalue())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(
                f"`output` must be writable, but {path} is not ({error.strerror}). Free some space "
                "and run the command again: it goes on after the last epoch that was kept."
            ) from error

    def load(self, path: Path) -> None:
        try:
            self._restore(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch reports damaged files by many types
            raise OutputError(
                f"a checkpoint must be one that this training wrote, but {path} cannot be used "
                f"({type(error).__name__}). Delete it: training then begins anew."
            ) from error

    def _restore(self, state: dict[str, Any]) -> None:
        if state["recipe"] != asdict(self.recipe):
            raise ValueError("of another recipe")
        for name in _COUNTERS:
            setattr(self, name, state[name])
        self.network.load_state_dict(state["network"])
        for name in _STATEFUL:
            for part, kept in zip(getattr(self, name), state[name], strict=True):
                part.load_state_dict(kept)
        for generator, kept in zip(self.generators, state["generators"], strict=True):
            generator.set_state(kept)
        _set_global_states(state["dropout"])


def _one_cycle(
    optimizer: torch.optim.Optimizer, warm_up: float, n_steps: int
) -> torch.optim.lr_scheduler.OneCycleLR:
    """Return a schedule up to the optimiser's rate; AdamW's momentum goes down meanwhile."""
    if warm_up * n_steps == 1:
        warm_up = 2 / n_steps  # torch divides by the steps of the rise, less one
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        optimizer.defaults["lr"],
        n_steps,
        pct_start=warm_up,
        cycle_momentum="betas" in optimizer.defaults,
    )


def part_of(tensor: Tensor, n_stacked: int, index: int) -> Tensor:
    """Return the view of one network's part of a parameter or buffer of stacked networks.

    Args:
        tensor: Theirs side by side along the first axis, or a number that all share.
        n_stacked: How many they are.
        index: Which of them.
    """
    return tensor.chunk(n_stacked)[index] if tensor.dim() else tensor


def _with_gradient(parameter: Tensor, n_stacked: int, index: int) -> Tensor:
    part = part_of(parameter.detach(), n_stacked, index)
    if parameter.grad is not None:
        part.grad = part_of(parameter.grad, n_stacked, index)
    return part


def _global_states() -> list[Tensor]:
    """Return the states of torch's own generators, which dropout draws from.

    Of CUDA devices that of the current one, where training is: the next machine may have others.
    """
    on_cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *on_cuda]


def _set_global_states(states: list[Tensor]) -> None:
    on_cpu, *on_cuda = states
    torch.set_rng_state(on_cpu)
    if on_cuda and torch.cuda.is_available():
        torch.cuda.set_rng_state(on_cuda[0])


_COUNTERS = ("epoch", "best_epochs", "best_losses", "best_state")
_STATEFUL = ("optimizers", "schedules")
