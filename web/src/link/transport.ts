/**
 * One WebSocket with XMPP on it, up to the end of log-in, by strophe.js. A new one for each attempt.
 *
 * strophe.js opens the stream, logs in and frames; everything after that (binding, resumption, requests) is ours, so its
 * own counterparts stay switched off.
 */

import { $build, Strophe } from "strophe.js";
import type { Builder } from "strophe.js";

import { fromDom } from "./xml";
import type { XmlElement } from "./xml";

export interface TransportListener {
  /** Logged in; the features of the stream after it. */
  opened(features: XmlElement | null): void;
  received(element: XmlElement): void;
  /** Once, whoever closed it. Nothing follows. */
  closed(reason: CloseReason): void;
}

export interface CloseReason {
  readonly kind: "lost" | "login-refused";
  readonly detail: string;
}

export interface Transport {
  write(element: XmlElement): void;
  /** Ends the stream for good: the server must not keep the session. */
  goodbye(): void;
  /** Drops the socket; the session can be resumed. */
  drop(): void;
}

export type Dial = (url: string, domain: string, listener: TransportListener) => Transport;

// It tells the console of each step otherwise, and calls a lost socket an error.
Strophe.setLogLevel(Strophe.LogLevel.FATAL);

export const dialStrophe: Dial = (url, domain, listener) => {
  const connection = new Strophe.Connection(url, {
    explicitResourceBinding: true,
    mechanisms: [Strophe.SASLAnonymous],
  });
  let isOver = false;
  const over = (reason: CloseReason): void => {
    if (isOver) return;
    isOver = true;
    listener.closed(reason);
  };

  connection.xmlInput = (node) => {
    if (!isOver && connection.authenticated && node instanceof Element) listener.received(fromDom(node));
  };
  connection.connect(domain, "", (status: number, condition: unknown) => {
    const detail = typeof condition === "string" ? condition : "";
    if (status === Strophe.Status.BINDREQUIRED) {
      // From here on its handlers must believe that a resource is bound, or they answer requests in our place.
      connection.authenticated = true;
      connection.addHandler(() => true, null, null, null);
      listener.opened(connection.features === null ? null : fromDom(connection.features));
    } else if (status === Strophe.Status.AUTHFAIL) {
      over({ kind: "login-refused", detail });
    } else if (LOST.has(status)) {
      over({ kind: "lost", detail });
    }
  });
  // strophe.js is silent about a socket that the server closes before the stream is open.
  const socket = connection._proto instanceof Strophe.Websocket ? connection._proto.socket : null;
  if (socket instanceof WebSocket) {
    socket.addEventListener("close", (event) => over({ kind: "lost", detail: `closed with ${event.code}` }));
  }

  return {
    write(of) {
      if (isOver) return;
      try {
        connection.send(toBuilder(of));
      } catch (error) {
        // The socket may be closing already; its close event follows.
        over({ kind: "lost", detail: String(error) });
      }
    },
    goodbye() {
      isOver = true;
      connection.authenticated = false;
      connection.disconnect();
      socket?.close();
    },
    drop() {
      isOver = true;
      socket?.close();
      connection.reset();
    },
  };
};

const LOST: ReadonlySet<number> = new Set([
  Strophe.Status.CONNFAIL,
  Strophe.Status.ERROR,
  Strophe.Status.DISCONNECTED,
  Strophe.Status.CONNTIMEOUT,
]);

function toBuilder(of: XmlElement): Builder {
  const builder = $build(of.name, { ...of.attributes });
  append(builder, of);
  return builder;
}

function append(builder: Builder, of: XmlElement): void {
  for (const node of of.children) {
    if (typeof node === "string") {
      builder.t(node);
    } else {
      builder.c(node.name, { ...node.attributes });
      append(builder, node);
      builder.up();
    }
  }
}
