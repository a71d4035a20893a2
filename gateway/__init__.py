"""A sidecar reverse proxy: in front of an app (ingress) and on its calls out to AI providers (egress)."""
