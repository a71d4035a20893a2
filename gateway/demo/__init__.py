"""What `make run` stands up beside the gateway: an example app and a stand-in provider."""
