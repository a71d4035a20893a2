"""Tests: the same tree as the package, and wire/ against a running gateway."""
