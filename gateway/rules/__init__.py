"""Pure decisions: no sockets, no clock, no randomness; those are arguments."""
