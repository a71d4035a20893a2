"""One file a policy key of the YAML: its settings, and a thin shell round its rule."""

#: Every policy there is, in the order in which a request meets them.
POLICIES = (
    *("correlation", "trusted_proxies", "when", "flags", "require", "headers", "request", "rate_limit", "cache"),
    *("coalesce", "in_flight", "breaker", "timeout"),
)
