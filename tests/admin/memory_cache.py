"""A cache as the admin API sees it, in memory."""

from __future__ import annotations

from gateway.admin.ports import CachedKey, CacheResults, CacheStats, CacheTop, Conflict, PurgeBy, Purged, Warming

_NONE: CacheResults = {
    "hit": 0, "stale": 0, "revalidated": 0, "miss": 0, "collapsed": 0, "bypass": 0, "error": 0,
}  # fmt: skip


class MemoryCache:
    """Some keys, each with a tag of its path's first segment, and a warming that goes as fast as it is looked at."""

    def __init__(self) -> None:
        self.keys = {f"/models/{number}": number for number in range(5)}
        self.asked: list[tuple[str, str, bool]] = []
        self.listed: list[str] = []
        #: What was asked to be warmed, and why that fails.
        self.named: list[str] = []
        self.broken = ""
        self.going: Warming = {
            "state": "idle",
            "total": 0,
            "done": 0,
            "failed": 0,
            "left": 0,
            "dropped": 0,
            "seconds": 0.0,
            "estimate": None,
            "failures": [],
        }

    def stats(self) -> CacheStats:
        results: CacheResults = {
            "hit": 90,
            "stale": 1,
            "revalidated": 2,
            "miss": 5,
            "collapsed": 1,
            "bypass": 7,
            "error": 1,
        }
        return CacheStats(
            hit_ratio=0.94,
            flights=1,
            tiers=[
                {
                    "tier": "memory",
                    "up": True,
                    "entries": len(self.keys),
                    "max_entries": 1000,
                    "bytes": 5 << 20,
                    "max_bytes": 64 << 20,
                    "evictions": 3,
                    "hits": 93,
                    "misses": 6,
                    "seconds": 0.0000012,
                },
                {
                    "tier": "redis",
                    "up": False,
                    "entries": None,
                    "max_entries": None,
                    "bytes": None,
                    "max_bytes": None,
                    "evictions": None,
                    "hits": 0,
                    "misses": 0,
                    "seconds": None,
                },
            ],
            routes=[
                {
                    "listener": "ingress",
                    "route": "models",
                    "hit_ratio": 0.94,
                    "results": results,
                    "not_stored": [{"reason": "private", "count": 2}, {"reason": "set-cookie", "count": 1}],
                },
                {
                    "listener": "egress",
                    "route": "/hf/**",
                    "hit_ratio": None,
                    "results": _NONE,
                    "not_stored": [],
                },
            ],
            purges={"seen": 4, "waiting": 2},
            warming=self.going,
        )

    def top(self, number: int) -> CacheTop:
        ranked = [
            CachedKey(
                key=f"{hits:016x}",
                url=f"shop.example{path}?page",
                route="models",
                hits=hits,
                bytes=4096,
                age=12.5,
                fresh_for=30.0 - 20 * hits,
            )
            for path, hits in self.keys.items()
        ]
        return {"hottest": ranked[::-1][:number], "coldest": ranked[:number]}

    async def purge(self, by: PurgeBy, value: str, *, soft: bool) -> Purged:
        self.asked.append((by, value, soft))
        gone = [path for path in self.keys if by == "all" or value.endswith(path) or value == path.split("/")[1]]
        for path in gone:
            del self.keys[path]
        return {"purged": len(gone), "soft": soft, "replicas_told": True if self.keys else None}

    def warming(self) -> Warming:
        going = self.going
        if going["state"] == "running":
            if self.broken:
                going["failed"] += 1
                going["failures"].append({"url": self.named[going["failed"] - 1], "why": self.broken})
            else:
                going["done"] += 1
            going["left"] -= 1
            going["seconds"] += 0.5
            going["estimate"] = 0.5 * going["left"]
            if not going["left"]:
                going["state"], going["estimate"] = "done", None
        return going

    def warm(self, urls: list[str]) -> Warming:
        urls = urls or self.listed
        if not urls:
            raise Conflict("The config lists nothing to warm; name URLs.")
        self.named += urls
        self.going["state"] = "running"
        self.going["total"] += len(urls)
        self.going["left"] += len(urls)
        return self.going
