"""Metrics, access log, operational log and the event loop's lag."""
