/**
 * The bridge channel: a data channel of the media connection, or a WebSocket that is dialled again for ever.
 *
 * Where a data channel was tried and does not open, the WebSocket takes over.
 */

import { readBridgeMessage } from "./channel_messages";
import type { BridgeMessage } from "./channel_messages";
import { NS } from "./namespaces";

export interface BridgeChannelListener {
  /** Open, for the first time or again: everything the bridge must know has to be said anew. */
  opened(): void;
  received(message: BridgeMessage): void;
}

export class BridgeChannel {
  readonly #listener: BridgeChannelListener;
  readonly #webSocketUrl: string | null;
  #data: RTCDataChannel | null = null;
  #socket: WebSocket | null = null;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(webSocketUrl: string | null, listener: BridgeChannelListener) {
    this.#webSocketUrl = webSocketUrl;
    this.#listener = listener;
  }

  /** Creates the data channel; before the connection's first answer. */
  openData(connection: RTCPeerConnection): void {
    const channel = connection.createDataChannel("JVB data channel", { protocol: NS.colibriProtocol });
    this.#data = channel;
    channel.onopen = () => {
      clearTimeout(this.#timer);
      this.#listener.opened();
    };
    channel.onmessage = (event) => this.#receive(event.data);
    channel.onclose = () => {
      this.#data = null;
      if (!this.#isClosed) this.openSocket();
    };
    this.#timer = setTimeout(() => {
      if (channel.readyState !== "open") this.openSocket();
    }, DATA_OPEN_MS);
  }

  openSocket(): void {
    if (this.#webSocketUrl === null || this.#socket !== null || this.#isClosed) return;
    const socket = new WebSocket(this.#webSocketUrl);
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempt = 0;
      this.#listener.opened();
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = () => {
      this.#socket = null;
      if (this.#isClosed) return;
      const delay = Math.min(1000 * 2 ** this.#attempt, RETRY_MAX_MS);
      this.#attempt += 1;
      this.#timer = setTimeout(() => this.openSocket(), delay);
    };
  }

  /** Dropped when the channel is not open: `opened` is the time to say everything again. */
  send(message: string): void {
    if (this.#data?.readyState === "open") this.#data.send(message);
    else if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#data?.close();
    this.#socket?.close(1000);
  }

  #receive(data: unknown): void {
    const message = typeof data === "string" ? readBridgeMessage(data) : null;
    if (message !== null) this.#listener.received(message);
  }
}

/** A data channel opens milliseconds after DTLS; this includes the way there. */
const DATA_OPEN_MS = 8000;
const RETRY_MAX_MS = 30_000;
