"""The example app's page: a browser's EventSource and WebSocket, with what they get shown as it comes.

`body.dataset.events` and `.socket` turn to `works` once each has had an answer, which is what a test of a
headless browser looks for.
"""

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Example app</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
  output { display: block; min-height: 1.5em; padding: .5rem; background: #eee; font-family: monospace }
</style>
<body data-events="waiting" data-socket="waiting">
<h1>Example app</h1>
<p>Seen through the gateway this page should behave as it does without it.</p>
<h2>Correlation</h2>
<output id="correlation"></output>
<h2>Events</h2>
<output id="events"></output>
<h2>WebSocket</h2>
<input id="say" value="hello"><button id="send">Send</button>
<output id="socket"></output>
<script>
  const show = (id, text) => { document.getElementById(id).textContent = text }

  fetch("api/echo").then(answer => show("correlation", answer.headers.get("X-Correlation-ID") || "none"))

  const events = new EventSource("api/events")
  events.onmessage = event => {
    show("events", event.data)
    document.body.dataset.events = "works"
  }

  const socket = new WebSocket(new URL("api/ws", location).href.replace(/^http/, "ws"))
  const send = () => socket.send(document.getElementById("say").value)
  socket.onopen = send
  socket.onmessage = event => {
    show("socket", event.data)
    document.body.dataset.socket = "works"
  }
  document.getElementById("send").onclick = send
</script>
</html>
"""
