"""Which requests are a kubelet's probes of this very pod.

They say `User-Agent: kube-probe/…`, and come without a proxy in between from the node, whose address is private.
Anybody can say so; whoever can also connect directly from a private network passes for a kubelet.
"""

from __future__ import annotations

from gateway.rules.client_address import is_private
from gateway.rules.request_head import RequestHead

#: The field by which they are known; a listener must note it (`Interest.also`).
FIELD = b"user-agent"


def is_kube_probe(head: RequestHead, peer: str) -> bool:
    """Whether this is one, on ingress, where what proxies add is noted. `peer` is who connected to us."""
    noted = head.noted
    agents = noted.get(FIELD)
    return (
        agents is not None
        and agents[0].startswith(b"kube-probe/")
        and head.method in (b"GET", b"HEAD")
        and b"x-forwarded-for" not in noted
        and b"forwarded" not in noted
        and is_private(peer)
    )
