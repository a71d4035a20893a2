"""The stand-in's Anthropic side: POST /v1/messages.

Shapes and the order of a stream's events as in
https://platform.claude.com/docs/en/build-with-claude/streaming; the anthropic SDK parses them in the tests.
"""

import hmac
import json
import uuid
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from gateway.demo import models
from gateway.demo.event_stream import send_events
from gateway.demo.models import Behaviour


def routes(behaviour: Behaviour) -> list[web.RouteDef]:
    """The Anthropic-style endpoint."""

    async def create_message(request: web.Request) -> web.StreamResponse:
        check_key(request, behaviour)
        body = await read_request(request)
        said = models.last_user_text(body)
        streamed = body.get("stream") is True
        try:
            words = await models.words(body.get("model"), said, behaviour, streamed=streamed)
        except models.UnknownModelError:
            raise error(web.HTTPNotFound, "not_found_error", "There is no such model here.") from None
        except models.ModelFailedError:
            raise error(web.HTTPInternalServerError, "api_error", "This model fails.") from None
        message = Message(body["model"], words, input_tokens=models.tokens(said))
        headers = {"request-id": message.id}
        if not streamed:
            return web.json_response(message.whole(), headers=headers)
        events = (f"event: {event['type']}\ndata: {json.dumps(event)}" for event in message.events())
        cut_after = 4 if message.model == models.BREAKING else None
        return await send_events(request, events, pace=behaviour.pace, headers=headers, cut_after=cut_after)

    return [web.post("/v1/messages", create_message)]


class Message:
    """One message, which can be sent whole or as events."""

    def __init__(self, model: str, words: list[str], input_tokens: int) -> None:
        self.id = f"msg_{uuid.uuid4().hex}"
        self.model = model
        self.words = words
        self.input_tokens = input_tokens

    def whole(self) -> dict[str, Any]:
        """The `message` object."""
        return self._envelope(
            content=[{"type": "text", "text": "".join(self.words)}],
            stop_reason="end_turn",
            output_tokens=len(self.words),
        )

    def events(self) -> Iterable[dict[str, Any]]:
        """The events of a stream, in the order that the SDK insists on."""
        start = self._envelope(content=[], stop_reason=None, output_tokens=1)
        yield {"type": "message_start", "message": start}
        yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        yield {"type": "ping"}
        for word in self.words:
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        yield {"type": "content_block_stop", "index": 0}
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": len(self.words)},
        }
        yield {"type": "message_stop"}

    def _envelope(self, content: list[dict[str, str]], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": self.input_tokens, "output_tokens": output_tokens},
        }


def check_key(request: web.Request, behaviour: Behaviour) -> None:
    """401 unless the right key is there, as `x-api-key` or as a bearer token, and no other credential beside it.

    Two credentials that disagree are refused: which of them a real provider would believe is not known, so
    a gateway must not send them.
    """
    sent = request.headers.getall("x-api-key", [])
    sent += [value.removeprefix("Bearer ") for value in request.headers.getall("Authorization", [])]
    if not sent or not all(hmac.compare_digest(key.encode(), behaviour.key.encode()) for key in sent):
        raise error(web.HTTPUnauthorized, "authentication_error", "invalid x-api-key")


async def read_request(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object; a 400 for one that the real API would not take either."""
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise error(web.HTTPBadRequest, "invalid_request_error", "The body is a JSON object.")
    if not request.headers.get("anthropic-version"):
        raise error(web.HTTPBadRequest, "invalid_request_error", "anthropic-version: header is required")
    if not isinstance(body.get("max_tokens"), int):
        raise error(web.HTTPBadRequest, "invalid_request_error", "max_tokens: Field required")
    return body


def error(kind: type[web.HTTPException], type_: str, message: str) -> web.HTTPException:
    """An error in Anthropic's shape."""
    body = {"type": "error", "error": {"type": type_, "message": message}}
    return kind(text=json.dumps(body), content_type="application/json")
