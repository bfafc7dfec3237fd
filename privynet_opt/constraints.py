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

EXAMPLES = '"psnr_db <= 17.5" or "accuracy >= 0.55"'

_SHAPE = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|≤|≥|=<|=>|==|!=|<|>|=)\s*(.+?)\s*")
_WITH_UNIT = re.compile(r"([-+]?[\d._]+(?:[eE][-+]?\d+)?)\s*((?:[kKMGT]i?)?)([A-Za-z%]*).*")
_SAME = {"≤": "<=", "≥": ">=", "=<": "<=", "=>": ">="}
_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


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
        shares = (-excess if self.operator == ">=" else excess) / (abs(self.limit) or 1.0)
        return np.where(np.isnan(shares), np.inf, shares)

    def with_limit(self, limit: float) -> Constraint:
        """Return the same constraint with another limit.

        Args:
            limit: In the metric's unit.
        """
        return Constraint(f"{self.metric} {self.operator} {limit!r}")

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
    if operator not in ("<=", ">="):
        raise ConstraintError(
            f"`constraint` must compare with <= or >=, but got {text!r}. "
            f'Write "{metric} {right} {number}".'
        )
    why = "higher is better" if right == ">=" else "lower is better"
    if METRICS[metric].is_privacy_loss:
        why = "higher is less private"
    raise ConstraintError(
        f"`constraint` must limit {metric} with {right} ({why}), but got {text!r}. "
        f'Write "{metric} {right} {number}".'
    )


def _read_limit(metric: str, operator: str, number: str) -> float:
    try:
        limit = float(number)
    except ValueError:
        raise ConstraintError(_unit_message(metric, operator, number)) from None
    if not math.isfinite(limit) or (limit <= 0 and metric != "ssim"):
        raise ConstraintError(
            f"`{metric}` must have a positive, finite limit, but got {number}. "
            f"Its unit: {METRICS[metric].unit}."
        )
    highest = METRICS[metric].highest
    if highest is not None and abs(limit) > highest:
        percent = f'Write "{metric} {operator} {limit / 100:g}".' if limit <= 100 else ""
        raise ConstraintError(
            f"`{metric}` must have a limit of at most {highest:g} ({METRICS[metric].unit}), but "
            f"got {number}. {percent}".rstrip()
        )
    return limit


def _unit_message(metric: str, operator: str, number: str) -> str:
    unit = METRICS[metric].unit
    if any(sign in number for sign in "<>=≤≥"):
        return (
            f"`constraint` must hold one comparison, but got {number!r} after {metric} {operator}. "
            "Give each limit as a constraint of its own."
        )
    thousands = re.search(r"\d,\d{3}(?!\d)", number)
    match = _WITH_UNIT.fullmatch(number.replace(",", "" if thousands else "."))
    try:
        value = float(match[1]) if match else math.nan
    except ValueError:
        value = math.nan
    if match is None or math.isnan(value):
        return (
            f"`{metric}` must have a number as its limit, but got {number!r}. "
            f'Write for example "{metric} {operator} {_example(metric)}"; unit: {unit}.'
        )
    factor = {**_PREFIXES, **_BINARY}[match[2]] * (0.01 if match[3] == "%" else 1.0)
    written = format_limit(float(f"{value * factor:.12g}"))
    return (
        f"`{metric}` must have a number alone as its limit, without unit or comma, but got "
        f'{number!r}. Write "{metric} {operator} {written}"; unit: {unit}.'
    )


def _example(metric: str) -> str:
    return {"accuracy": "0.55", "psnr_db": "17.5", "ssim": "0.4"}.get(metric, "60e6")
