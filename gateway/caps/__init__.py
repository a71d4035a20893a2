"""Caps in use: how many requests hold a slot, who waits for one, and what replicas share of that."""
