"""One file a policy key of the YAML: its settings, and a thin shell round its rule."""
