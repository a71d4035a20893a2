"""The upstream's side: connections, pool, breaker, forwarding and relaying."""
