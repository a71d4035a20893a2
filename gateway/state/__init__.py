"""What policies remember: in this process's memory, or in a Redis that replicas share. `ports.py` says what that is."""
