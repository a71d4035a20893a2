"""The admin listener: its API under /api/v1/, who may use it, and what it needs of the running gateway."""
