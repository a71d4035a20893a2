"""What is particular to a provider: base URL, how a key is sent, breaker and timeouts."""
