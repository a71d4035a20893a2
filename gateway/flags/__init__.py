"""Flags at run time: what is in force, who changed it when and why, and where that is kept."""
