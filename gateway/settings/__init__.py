"""The YAML file as frozen models, every mistake with its place."""
