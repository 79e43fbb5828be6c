"""The composition root: HTTP, WebSocket, WHIP, WHEP, tokens, store, command line."""
