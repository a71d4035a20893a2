"""Feature flags: what a definition says of a request, by Unleash's published semantics.

Definitions are compiled once, into closures over what they need; evaluating one reads the context and gives an
answer that was made beforehand. `unleash` compiles what an Unleash server serves, `definition` what the gateway's own
config defines; both make the same `flag.Flag`.
"""
