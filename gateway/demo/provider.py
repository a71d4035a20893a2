"""A local stand-in for an AI provider, close enough that the real openai and anthropic SDKs work against it.

It speaks OpenAI's chat completions and model list, and Anthropic's messages, plain and streamed, and
answers with what the user said. It checks the key it is sent: the app holds none, so a call succeeds only
when the gateway put it there. Some models misbehave on purpose; `gateway/demo/models.py` has them.
"""

from aiohttp import web

from gateway.demo import anthropic_api, openai_api
from gateway.demo.models import Behaviour

KEY = "demo-key"
MAX_BODY = 16 * 1024 * 1024  # bytes in one request body


def make_provider(key: str = KEY, *, pace: float = 0.05, patience: float = 5.0) -> web.Application:
    """The stand-in, ready to be served.

    `pace`: seconds between two words of a stream. `patience`: seconds that the slow model takes to begin.
    """
    behaviour = Behaviour(key=key, pace=pace, patience=patience)
    app = web.Application(client_max_size=MAX_BODY)
    app.add_routes(openai_api.routes(behaviour))
    app.add_routes(anthropic_api.routes(behaviour))
    return app
