"""Shipped studies, installed as `privynet_opt.studies`."""
