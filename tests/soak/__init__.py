"""What takes gigabytes or minutes: `make soak`, or `python -m tests.soak`. Not part of `make test`."""
