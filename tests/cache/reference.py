"""A plain cache to hold the real one against: everything the origin has ever said, and slow rules over all of it.

It knows no keys, no stores and no flights. `Reference.may` tells from the words of one request, one grant and the
route whether the content of that grant may answer that request at that time; each rule stands by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

GONE, STALE = "gone", "stale"


@dataclass(frozen=True)
class Route:
    """What a route says, as far as the reference knows it."""

    ttl: int | None = None
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    post: bool = False
    shared_between_callers: bool = False
    keyed_by_authorization: bool = False

    def settings(self) -> dict[str, object]:
        """The same, as it stands in a config."""
        return {
            "ttl": "false" if self.ttl is None else f"{self.ttl}s",
            "stale_while_revalidate": f"{self.stale_while_revalidate}s",
            "stale_if_error": f"{self.stale_if_error}s",
            "methods": ["GET", "POST"] if self.post else ["GET"],
            "shared_between_callers": self.shared_between_callers,
            "key": {"headers": ["Authorization"] if self.keyed_by_authorization else []},
        }


@dataclass(frozen=True)
class Ask:
    """A request."""

    method: str = "GET"
    target: str = "/a"
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()

    def value(self, name: str) -> str | None:
        return dict(self.fields).get(name)

    @property
    def plain(self) -> bool:
        """It asks for nothing particular."""
        return self.method == "GET" and not self.fields

    @property
    def wanted(self) -> set[str]:
        return {part.strip() for part in (self.value("Cache-Control") or "").split(",")} - {""}


@dataclass(frozen=True)
class Said:
    """What the origin says with a content."""

    status: int = 200
    control: str = ""
    vary: str = ""
    age: int = 0
    tag: str = ""
    set_cookie: bool = False
    etag: bool = False

    @property
    def plain(self) -> bool:
        """It may be kept for a minute, for all."""
        return replace(self, tag="", etag=False) == Said(control="max-age=60")

    @property
    def words(self) -> dict[str, str]:
        parts = [part.strip().partition("=") for part in self.control.split(",") if part.strip()]
        return {name: value for name, _, value in parts}


@dataclass(frozen=True)
class Purged:
    """A purge: of a target or a tag, or with neither of all."""

    target: str | None = None
    tag: str | None = None
    soft: bool = False


@dataclass
class Grant:
    """One time that the origin let a content go out: by a response, or by a 304 that renewed it."""

    number: int
    ask: Ask
    said: Said
    at: float
    step: int
    owner: int
    #: What purges have made of it, and in which step.
    purged: set[tuple[str, int]] = field(default_factory=set)

    def purge(self, purge: Purged, step: int) -> None:
        """It was granted before this purge, or asked for before it."""
        if purge.target in (None, self.ask.target) and purge.tag in (None, self.said.tag):
            self.purged.add((STALE if purge.soft else GONE, step))


class Reference:
    """All grants, and who may have them."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.grants: list[Grant] = []

    def renewal(self, number: int, target: str, said: Said) -> Said | None:
        """What a 304 that says this makes of what was said before (RFC 9111, section 3.2); None where nothing was."""
        known = [grant.said for grant in self.grants if grant.number == number and grant.ask.target == target]
        if not known:
            return None
        return replace(known[-1], control=said.control or known[-1].control, age=said.age)

    def purge(self, purge: Purged, step: int) -> None:
        """What was granted until now is gone, or stale, for whoever asks after this step."""
        for grant in self.grants:
            grant.purge(purge, step)

    def may(self, number: int, ask: Ask, now: float, step: int, *, failed: bool) -> bool:
        """Whether this content may answer this request without the origin being asked for it.

        `step` is that of the request: what was granted in the same step may be shared as it comes. `failed`: the
        origin has failed in this step.
        """
        return any(
            self._matches(grant, ask)
            and self._is_anybodys(grant, ask)
            and self._is_of_now(grant, ask, now, step, failed=failed)
            for grant in self.grants
            if grant.number == number
        )

    # one rule each

    def _matches(self, grant: Grant, ask: Ask) -> bool:
        """It is the same resource, by a method that it answers, and the same in what Vary names."""
        one = grant.ask
        if one.target != ask.target or one.body != ask.body:
            return False
        if ask.method not in {"GET": ("GET", "HEAD"), "POST": ("POST",) if self.route.post else ()}.get(
            one.method, ()
        ):
            return False
        names = [name.strip() for name in grant.said.vary.split(",") if name.strip()]
        return "*" not in names and all(one.value(name) == ask.value(name) for name in names)

    def _is_anybodys(self, grant: Grant, ask: Ask) -> bool:
        """Nobody has forbidden to keep it, and it is not of one caller for another."""
        words, one, route = grant.said.words, grant.ask, self.route
        if "no-store" in words or "private" in words or grant.said.set_cookie:
            return False
        if one.method == "POST" and grant.said.status >= 300:
            return False
        if "no-store" in one.wanted or "no-store" in ask.wanted:
            return False
        if (route.keyed_by_authorization or (route.post and not route.shared_between_callers)) and one.value(
            "Authorization"
        ) != ask.value("Authorization"):
            return False
        if route.post and not route.shared_between_callers and one.value("Cookie") != ask.value("Cookie"):
            return False
        if route.shared_between_callers:
            return True
        by_key = {"Authorization": route.keyed_by_authorization or route.post, "Cookie": route.post}
        for who in (one, ask):
            if (
                who.value("Authorization")
                and not by_key["Authorization"]
                and not ({"public", "s-maxage", "must-revalidate"} & set(words))
            ):
                return False
            if any(who.value(name) and not by_key[name] for name in by_key) and not (
                {"public", "s-maxage", "max-age"} & set(words)
            ):
                return False
        return True

    def lifetime(self, grant: Grant, ask: Ask) -> int:
        """For how long it is fresh, in seconds."""
        words = grant.said.words
        for name in ("s-maxage", "max-age"):
            if name in words:
                return int(words[name])
        personal = not self.route.shared_between_callers and any(
            who.value(name) and not by_key
            for who in (grant.ask, ask)
            for name, by_key in (
                ("Authorization", self.route.keyed_by_authorization or self.route.post),
                ("Cookie", self.route.post),
            )
        )
        ours = self.route.ttl if grant.said.status == 200 and not personal else None
        return ours or 0

    def _is_of_now(self, grant: Grant, ask: Ask, now: float, step: int, *, failed: bool) -> bool:
        """It is fresh, or stale where somebody lets it be, and nobody has asked for newer."""
        words, wanted = grant.said.words, ask.wanted
        if "no-cache" in words or {"no-cache", "max-age=0"} & wanted:
            return False
        if grant.step == step and not {"s-maxage", "max-age"} & set(words):
            return True  # it is of now for all who waited for it
        purged = {what for what, at in grant.purged if at < step}
        if GONE in purged:
            return False
        lifetime = 0 if STALE in purged else self.lifetime(grant, ask)
        late = grant.said.age + now - grant.at - lifetime
        if late < 0:
            return True
        firm = {"must-revalidate", "s-maxage"} & set(words)
        named = "stale-while-revalidate" in words
        swr = int(words["stale-while-revalidate"]) if named else 0 if firm else self.route.stale_while_revalidate
        sie = 0 if firm else self.route.stale_if_error
        if "must-revalidate" in words:
            swr = sie = 0
        if late < swr or (failed and late < sie):
            return True
        return not firm and any(late <= int(one.partition("=")[2]) for one in wanted if one.startswith("max-stale="))
