"""The one place that imports torchvision.

A CPU build of torch next to torchvision's ordinary wheel cannot import it: the wheel's compiled
operators were built for CUDA, do not load, and the Python side then registers fake kernels for
operators that do not exist. Declaring those operators is enough for models, data sets and
transforms. It is done only on that very error: a second declaration beside a working wheel would
abort the interpreter.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType

import torch

_MISSING_OPERATORS = ("nms", "qnms")


@functools.cache
def torchvision() -> ModuleType:
    """Return the imported torchvision package.

    Returns:
        The module, with ``models`` and ``datasets`` available as attributes.
    """
    try:
        import torchvision as vision
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        for name in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        declarations = torch.library.Library("torchvision", "FRAGMENT")
        for operator in _MISSING_OPERATORS:
            declarations.define(
                f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        import torchvision as vision

        vision._declarations_kept_alive = declarations
    module: ModuleType = vision
    return module
