/** The WebSocket of a page: at most one, decoding what comes. */

import { type ClientMessage, decode, type ServerMessage } from '../wire.ts';

export type SocketEvents = {
  opened: () => void;
  /** Not after `close()`: that end was ours. */
  closed: (code: number) => void;
  message: (message: ServerMessage) => void;
};

export class Socket {
  #ws: WebSocket | null = null;
  #events: SocketEvents;

  constructor(events: SocketEvents) {
    this.#events = events;
  }

  open(): void {
    if (this.#ws !== null) return;
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const ws = new WebSocket(`${scheme}://${location.host}/ws`);
    this.#ws = ws;
    ws.addEventListener('open', () => {
      if (ws === this.#ws) this.#events.opened();
    });
    ws.addEventListener('message', (event: MessageEvent<unknown>) => {
      if (ws !== this.#ws || typeof event.data !== 'string') return;
      const message = decode(event.data);
      // A newer server may say more than this page knows.
      if (message !== null) this.#events.message(message);
    });
    ws.addEventListener('close', (event) => {
      if (ws !== this.#ws) return;
      this.#ws = null;
      this.#events.closed(event.code);
    });
  }

  send(message: ClientMessage & { id?: number }): void {
    if (this.#ws?.readyState === WebSocket.OPEN) this.#ws.send(JSON.stringify(message));
  }

  close(): void {
    const ws = this.#ws;
    this.#ws = null;
    ws?.close(1000);
  }
}
