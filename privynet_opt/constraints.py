"""Limits as people write them: ``"psnr_db <= 17.5"``, ``"local_flops <= 60e6"``.

A constraint is read when it is made, so a typo fails there. A topology is feasible where the
violation of every constraint is at most 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privynet_opt.errors import ConstraintError
from privynet_opt.metrics import METRICS, check_metric
from privynet_opt.quantities import read_quantity

EXAMPLES = '"psnr_db <= 17.5" or "accuracy >= 0.55"'

_SHAPE = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|≤|≥|=<|=>|==|!=|<|>|=)\s*(.+?)\s*")
_SAME = {"≤": "<=", "≥": ">=", "=<": "<=", "=>": ">="}


@dataclass(frozen=True, init=False)
class Constraint:
    """A limit on one metric.

    Attributes:
        metric: A name in `METRICS`.
        operator: ``"<="``, or ``">="`` for a metric where higher is better.
        limit: The limit, in the metric's unit.

    Args:
        text: Metric, operator and number, for example ``"psnr_db <= 17.5"``.

    Raises:
        ConstraintError: If the text cannot be read, names no metric, bounds the metric's good side,
            or the number carries a unit or cannot be reached.

    Example:
        >>> Constraint("local_flops <= 60e6").violation([30e6, 60e6, 90e6]).tolist()
        [-0.5, 0.0, 0.5]
    """

    metric: str
    operator: str
    limit: float

    def __init__(self, text: str) -> None:
        match = _SHAPE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ConstraintError(
                f"`constraint` must be a metric, <= or >=, and a number, but got {text!r}. "
                f"Write for example {EXAMPLES}."
            )
        metric = check_metric(match[1], "constraint")
        operator = _SAME.get(match[2], match[2])
        _check_operator(metric, operator, match[3], text)
        object.__setattr__(self, "metric", metric)
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "limit", _read_limit(metric, operator, match[3]))

    def violation(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return by how much values break the limit, as a share of the limit.

        Shares make limits of different units comparable: a sampler that ranks infeasible trials
        by their total violation would otherwise only ever see the FLOPs.

        Args:
            values: Values of the metric, any shape.

        Returns:
            Same shape, feasible where ``<= 0``; infinite where a value is NaN.
        """
        excess = np.asarray(values, dtype=float) - self.limit
        with np.errstate(over="ignore"):  # of a tiny limit: an infinite share is what it means
            shares = (-excess if self.operator == ">=" else excess) / (abs(self.limit) or 1.0)
        return np.where(np.isnan(shares), np.inf, shares)

    def with_limit(self, limit: float) -> Constraint:
        """Return the same constraint with another limit.

        Args:
            limit: In the metric's unit.
        """
        return Constraint(f"{self.metric} {self.operator} {float(limit)!r}")

    def __str__(self) -> str:
        """Return the constraint as it could have been written."""
        return f"{self.metric} {self.operator} {format_limit(self.limit)}"


ConstraintsLike: TypeAlias = (
    str | Constraint | Iterable[str | Constraint] | Mapping[str, float | str] | None
)
"""What `parse_constraints` reads."""


def format_limit(limit: float) -> str:
    """Return a number in the shortest form that reads back as itself.

    Args:
        limit: Any finite number.

    Returns:
        For example ``"17.5"`` or ``"60e6"``.
    """
    if abs(limit) >= 1e15:
        return repr(float(limit))
    plain = f"{limit:.0f}" if float(limit).is_integer() else repr(float(limit))
    millions = f"{limit / 1e6:.12g}e6"
    short = abs(limit) >= 1e6 and len(millions) < len(plain) and float(millions) == limit
    return millions if short else plain


def parse_constraints(constraints: ConstraintsLike) -> tuple[Constraint, ...]:
    """Read constraints in any of the forms people write them.

    Args:
        constraints: One constraint or a list of them, each a string or a `Constraint`; or a
            mapping from metric to limit, which takes the metric's sensible operator; or None.

    Returns:
        The constraints, in order.

    Raises:
        ConstraintError: Naming every one that cannot be read, and metrics limited twice.
    """
    faults: list[str] = []
    read: list[Constraint] = []
    for item in _listed(constraints):
        try:
            read.append(item if isinstance(item, Constraint) else Constraint(item))
        except ConstraintError as error:
            faults.append(str(error))
    metrics = [constraint.metric for constraint in read]
    for metric in sorted({name for name in metrics if metrics.count(name) > 1}):
        both = ", ".join(str(c) for c in read if c.metric == metric)
        faults.append(
            f"`constraint` must limit each metric once, but got {both}. Keep the tighter one."
        )
    if faults:
        raise ConstraintError(" ".join(faults))
    return tuple(read)


def _listed(constraints: ConstraintsLike) -> list[Any]:
    if constraints is None:
        return []
    if isinstance(constraints, Mapping):
        return [_from_pair(metric, limit) for metric, limit in constraints.items()]
    if isinstance(constraints, (str, Constraint)):
        return [constraints]
    if isinstance(constraints, Iterable):
        return list(constraints)
    raise ConstraintError(
        f"`constraints` must be strings such as {EXAMPLES}, but got {constraints!r}. "
        "Give a list of them, or a mapping from metric to limit."
    )


def _from_pair(metric: Any, limit: Any) -> str:
    name = check_metric(str(metric), "constraint")
    text = str(limit).strip()
    if text[:1] in "<>=≤≥":
        return f"{name} {text}"
    return f"{name} {'>=' if METRICS[name].higher_is_better else '<='} {text}"


def _check_operator(metric: str, operator: str, number: str, text: str) -> None:
    right = ">=" if METRICS[metric].higher_is_better else "<="
    if operator == right:
        return
    remedy = f'Write "{metric} {right} {_meant(metric, number) or _example(metric)}".'
    if operator not in ("<=", ">="):
        raise ConstraintError(
            f"`constraint` must compare with <= or >=, but got {text!r}. {remedy}"
        )
    why = "higher is better" if right == ">=" else "lower is better"
    if METRICS[metric].is_privacy_loss:
        why = "higher is less private"
    raise ConstraintError(
        f"`constraint` must limit {metric} with {right} ({why}), but got {text!r}. {remedy}"
    )


def _read_limit(metric: str, operator: str, number: str) -> float:
    unit = METRICS[metric].unit
    try:
        limit = float(number)
    except ValueError:
        raise ConstraintError(_no_number(metric, operator, number)) from None
    if not math.isfinite(limit) or (limit <= 0 and metric != "ssim"):
        raise ConstraintError(
            f"`{metric}` must have a positive, finite limit, but got {number}. Its unit: {unit}."
        )
    highest = METRICS[metric].highest
    if highest is not None and abs(limit) > highest:
        meant = _meant(metric, number)
        percent = f' Write "{metric} {operator} {meant}".' if meant else ""
        raise ConstraintError(
            f"`{metric}` must have a limit of at most {highest:g} ({unit}), but got {number}."
            f"{percent}"
        )
    return limit


def _no_number(metric: str, operator: str, number: str) -> str:
    unit = METRICS[metric].unit
    if any(sign in number for sign in "<>=≤≥"):
        return (
            f"`constraint` must hold one comparison, but got {number!r} after {metric} {operator}. "
            "Give each limit as a constraint of its own."
        )
    meant = _meant(metric, number)
    if meant is None:
        return (
            f"`{metric}` must have a number as its limit, but got {number!r}. "
            f'Write for example "{metric} {operator} {_example(metric)}"; unit: {unit}.'
        )
    return (
        f"`{metric}` must have a number alone as its limit, without unit, space or comma, but got "
        f'{number!r}. Write "{metric} {operator} {meant}"; unit: {unit}.'
    )


def _meant(metric: str, number: str) -> str | None:
    """Return the limit that a text means, as it can be written; None where there is none."""
    limit, highest = read_quantity(number, METRICS[metric].kind), METRICS[metric].highest
    if limit is None or not math.isfinite(limit) or (limit <= 0 and metric != "ssim"):
        return None
    if highest is not None and abs(limit) > highest:
        return None
    try:
        return number if float(number) == limit else format_limit(limit)
    except ValueError:
        return format_limit(limit)


def _example(metric: str) -> str:
    return {"accuracy": "0.55", "psnr_db": "17.5", "ssim": "0.4"}.get(metric, "60e6")
