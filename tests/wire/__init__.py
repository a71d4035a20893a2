"""HTTP over raw sockets against a running gateway: each sentence of what must work has its test."""
