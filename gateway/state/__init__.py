"""What policies remember: in this process's memory, or in a Redis that replicas share. See `ports.py`."""
