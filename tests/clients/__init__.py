"""Real clients through the gateway: SDKs, a browser, curl."""
