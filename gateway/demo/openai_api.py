"""The stand-in's OpenAI side: POST /v1/chat/completions, GET /v1/models.

Shapes as in https://platform.openai.com/docs/api-reference/chat; the openai SDK parses them in the tests.
"""

import hmac
import json
import time
import uuid
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from gateway.demo import models
from gateway.demo.event_stream import send_events
from gateway.demo.models import Behaviour


def routes(behaviour: Behaviour) -> list[web.RouteDef]:
    """The OpenAI-style endpoints."""

    async def list_models(request: web.Request) -> web.Response:
        check_key(request, behaviour)
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "demo"} for name in models.NAMES]
        return web.json_response({"object": "list", "data": data})

    async def complete(request: web.Request) -> web.StreamResponse:
        check_key(request, behaviour)
        body = await read_json(request)
        said = models.last_user_text(body)
        streamed = body.get("stream") is True
        try:
            words = await models.words(body.get("model"), said, behaviour, streamed=streamed)
        except models.UnknownModelError:
            raise error(web.HTTPNotFound, "There is no such model here.", "model_not_found") from None
        except models.ModelFailedError:
            raise error(web.HTTPInternalServerError, "This model fails, as its name says.") from None
        answer = Answer(body, words, prompt_tokens=models.tokens(said))
        headers = {"x-request-id": answer.id}
        if not streamed:
            return web.json_response(answer.whole(), headers=headers)
        cut_after = 2 if answer.model == models.BREAKING else None
        return await send_events(request, answer.events(), pace=behaviour.pace, headers=headers, cut_after=cut_after)

    return [web.get("/v1/models", list_models), web.post("/v1/chat/completions", complete)]


class Answer:
    """One chat completion, which can be sent whole or as chunks."""

    def __init__(self, body: dict[str, Any], words: list[str], prompt_tokens: int) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.model = body["model"]
        self.created = int(time.time())
        self.words = words
        options = body.get("stream_options")
        self.with_usage = isinstance(options, dict) and options.get("include_usage") is True
        self.usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(words),
            "total_tokens": prompt_tokens + len(words),
        }

    def whole(self) -> dict[str, Any]:
        """The `chat.completion` object."""
        message = {"role": "assistant", "content": "".join(self.words), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return self._envelope("chat.completion") | {"choices": [choice], "usage": self.usage}

    def chunks(self) -> Iterable[dict[str, Any]]:
        """The `chat.completion.chunk` objects of a stream: role, words, finish, and the usage when asked for."""
        yield self._chunk({"role": "assistant", "content": ""})
        for word in self.words:
            yield self._chunk({"content": word})
        yield self._chunk({}, finish_reason="stop")
        if self.with_usage:
            yield self._envelope("chat.completion.chunk") | {"choices": [], "usage": self.usage}

    def events(self) -> Iterable[str]:
        """The chunks as server-sent events, and `[DONE]`."""
        for chunk in self.chunks():
            yield f"data: {json.dumps(chunk)}"
        yield "data: [DONE]"

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._envelope("chat.completion.chunk") | {"choices": [choice]}

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def check_key(request: web.Request, behaviour: Behaviour) -> None:
    """401 unless the one Authorization field is the right key as a bearer token."""
    sent = request.headers.getall("Authorization", [])
    if len(sent) != 1 or not hmac.compare_digest(sent[0].encode(), f"Bearer {behaviour.key}".encode()):
        raise error(web.HTTPUnauthorized, "Incorrect API key provided.", "invalid_api_key")


async def read_json(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object, or a 400."""
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise error(web.HTTPBadRequest, "The body is a JSON object.")
    return body


def error(kind: type[web.HTTPException], message: str, code: str | None = None) -> web.HTTPException:
    """An error in OpenAI's shape."""
    type_ = "server_error" if kind.status_code >= 500 else "invalid_request_error"
    body = {"error": {"message": message, "type": type_, "param": None, "code": code}}
    return kind(text=json.dumps(body), content_type="application/json")
