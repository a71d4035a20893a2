"""Faults under load: what 200 clients see of them, and what is left of them in the gateway afterwards."""
