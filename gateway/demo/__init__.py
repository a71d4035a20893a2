"""What `make run` stands up beside the gateway: an example app and a stand-in provider."""

from pathlib import Path

#: The config that the demo runs on. In the repository it is a link to config/gateway.yaml, which an installed
#: package carries a copy of; resolved, so that in a checkout it is that file which is watched for changes.
CONFIG = Path(__file__).with_name("gateway.yaml").resolve()
