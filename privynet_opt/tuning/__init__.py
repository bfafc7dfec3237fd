"""Measure a study where measuring decides: rounds of fitting, choosing and measuring."""

from privynet_opt.tuning.api import Tuned, tune

__all__ = ["Tuned", "tune"]
