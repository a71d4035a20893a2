"""What the tests over real sockets share: a running gateway, a scripted origin, a raw client, faults."""
