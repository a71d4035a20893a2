"""Hypothesis for the rules: the same examples on every run, and no clock on a machine that others share."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("rules", deadline=None, derandomize=True)
settings.load_profile("rules")
