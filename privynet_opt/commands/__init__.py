"""The commands of ``privynet-opt``: one file each, with its options and what it does.

A command's module has ``add_to(commands)``; nothing heavy is imported before the command runs, so
that ``--help`` answers at once.
"""
