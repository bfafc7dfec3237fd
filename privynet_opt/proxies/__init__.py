"""Proxies: predict accuracy and privacy loss of topologies nobody measured, and say how surely."""

from privynet_opt.proxies.fit import Proxies, fit_proxies
from privynet_opt.proxies.validation import ProxyValidation

__all__ = ["Proxies", "ProxyValidation", "fit_proxies"]
