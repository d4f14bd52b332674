/**
 * The line to the server: keeps one client session alive over sockets that come and go.
 *
 * Dials again by itself, for ever, after a loss (`backoff.ts`); notices dead sockets by XMPP pings; matches answers to
 * requests. An answer that a lost session took with it is reported as an error, so that every request ends.
 */

import { retryDelayMs } from "./backoff";
import { NS } from "./namespaces";
import { ClientSession, errorCondition } from "./session";
import type { CloseReason, Dial, Transport } from "./transport";
import { attribute, child, element, text, withAttributes } from "./xml";
import type { XmlElement } from "./xml";

export type ConnectionEvent =
  | { readonly kind: "connecting" }
  | { readonly kind: "bound"; readonly jid: string }
  | { readonly kind: "resumed" }
  | { readonly kind: "waiting"; readonly attempt: number; readonly nextAttemptAt: number; readonly detail: string }
  | { readonly kind: "login-refused"; readonly detail: string }
  | { readonly kind: "stanza"; readonly stanza: XmlElement };

export interface ConnectionOptions {
  /** Without `previd`. */
  readonly url: string;
  readonly domain: string;
  readonly dial: Dial;
  readonly listener: (event: ConnectionEvent) => void;
}

/** The server's refusal of a request, or none at all. */
export class RequestError extends Error {
  constructor(
    /** An XMPP condition, or `timeout`, or `session-lost`. */
    readonly condition: string,
    readonly stanza: XmlElement | null,
  ) {
    super(`${condition} ${text(child(child(stanza, "error"), "text"))}`.trim());
  }
}

interface OpenRequest {
  readonly resolve: (stanza: XmlElement) => void;
  readonly reject: (error: RequestError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #session: ClientSession;
  readonly #requests = new Map<string, OpenRequest>();
  #transport: Transport | null = null;
  /** Each socket has its number, so that what a dead one still reports is ignored. */
  #generation = 0;
  #attempt = 0;
  #isWanted = false;
  #nextId = 1;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #dialTimer: ReturnType<typeof setTimeout> | undefined;
  #pingTimer: ReturnType<typeof setInterval> | undefined;
  #heardAt = 0;
  #isPinging = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#session = new ClientSession(
      (of) => this.#transport?.write(of),
      (event) => {
        switch (event.kind) {
          case "bound":
            this.#established();
            this.#rejectAll();
            this.#options.listener(event);
            return;
          case "resumed":
            this.#established();
            this.#options.listener(event);
            return;
          case "stanza":
            this.#receive(event.stanza);
            return;
          case "broken":
            this.#lost({ kind: "lost", detail: event.detail });
            return;
        }
      },
    );
  }

  get jid(): string {
    return this.#session.jid;
  }

  /** Opened, and not closed or refused since. The socket may still be on its way. */
  get isOpen(): boolean {
    return this.#isWanted;
  }

  open(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.#attempt = 0;
    this.#dial();
  }

  /** Ends the session for good. `last` is sent before the stream closes. */
  close(last: readonly XmlElement[] = []): void {
    this.#isWanted = false;
    this.#stopTimers();
    if (this.#session.isReady) {
      for (const stanza of last) this.#session.send(stanza);
    }
    this.#generation += 1;
    this.#transport?.goodbye();
    this.#transport = null;
    this.#session.closed();
    this.#session.forget();
    this.#rejectAll();
  }

  /** Takes the session to a new socket at once: our address is another, so the old socket is dead. */
  renew(): void {
    if (!this.#isWanted) return;
    this.#stopTimers();
    this.#generation += 1;
    this.#transport?.drop();
    this.#transport = null;
    this.#session.closed();
    this.#dial();
  }

  /** Checks at once whether the socket still lives, and renews it if not: perhaps our address is another. */
  checkNow(): void {
    if (!this.#session.isReady) return;
    const generation = this.#generation;
    const askedAt = Date.now();
    this.#ping();
    setTimeout(() => {
      if (generation === this.#generation && this.#heardAt < askedAt) this.renew();
    }, CHECK_MS);
  }

  send(stanza: XmlElement): void {
    this.#session.send(stanza);
  }

  /** Sends an `iq` and gives its result; rejects with a `RequestError`. */
  request(iq: XmlElement, timeoutMs = REQUEST_TIMEOUT_MS): Promise<XmlElement> {
    const id = `t${this.#nextId}`;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new RequestError("timeout", null));
      }, timeoutMs);
      this.#requests.set(id, { resolve, reject, timer });
      this.send(withAttributes(iq, { id }));
    });
  }

  #dial(): void {
    const { url, domain, dial } = this.#options;
    const token = this.#session.token;
    const generation = ++this.#generation;
    const isCurrent = (): boolean => generation === this.#generation;
    this.#options.listener({ kind: "connecting" });
    this.#dialTimer = setTimeout(() => this.#lost({ kind: "lost", detail: "no answer in time" }), DIAL_TIMEOUT_MS);
    this.#transport = dial(token === null ? url : withQuery(url, "previd", token), domain, {
      opened: (features) => {
        if (isCurrent()) this.#session.opened(features);
      },
      received: (of) => {
        if (!isCurrent()) return;
        this.#heardAt = Date.now();
        this.#session.receive(of);
      },
      closed: (reason) => {
        if (isCurrent()) this.#lost(reason);
      },
    });
  }

  #established(): void {
    clearTimeout(this.#dialTimer);
    this.#attempt = 0;
    this.#heardAt = Date.now();
    clearInterval(this.#pingTimer);
    this.#pingTimer = setInterval(() => {
      if (Date.now() - this.#heardAt >= PING_AFTER_MS) this.#ping();
    }, PING_CHECK_MS);
  }

  #ping(): void {
    if (this.#isPinging) return;
    this.#isPinging = true;
    const generation = this.#generation;
    const sentAt = Date.now();
    const ping = element("iq", { xmlns: NS.client, type: "get", to: this.#options.domain }, element("ping", { xmlns: NS.ping }));
    this.request(ping, PING_TIMEOUT_MS)
      .catch(() => {
        // An error is an answer, too; only silence is not.
        const isSilent = this.#heardAt < sentAt;
        if (generation === this.#generation && isSilent && this.#session.isReady) {
          this.#lost({ kind: "lost", detail: "no answer to a ping" });
        }
      })
      .finally(() => {
        this.#isPinging = false;
      });
  }

  #lost(reason: CloseReason): void {
    this.#stopTimers();
    this.#generation += 1;
    this.#transport?.drop();
    this.#transport = null;
    this.#session.closed();
    if (!this.#isWanted) return;
    if (reason.kind === "login-refused") {
      this.#isWanted = false;
      this.#session.forget();
      this.#rejectAll();
      this.#options.listener({ kind: "login-refused", detail: reason.detail });
      return;
    }
    const delay = retryDelayMs(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => this.#dial(), delay);
    this.#options.listener({
      kind: "waiting",
      attempt: this.#attempt,
      nextAttemptAt: Date.now() + delay,
      detail: reason.detail,
    });
  }

  #stopTimers(): void {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#dialTimer);
    clearInterval(this.#pingTimer);
  }

  #receive(stanza: XmlElement): void {
    const type = attribute(stanza, "type");
    if (stanza.name === "iq" && (type === "result" || type === "error")) {
      const open = this.#requests.get(attribute(stanza, "id") ?? "");
      if (open === undefined) return;
      this.#requests.delete(attribute(stanza, "id") ?? "");
      clearTimeout(open.timer);
      if (type === "result") open.resolve(stanza);
      else open.reject(new RequestError(errorCondition(stanza) ?? "undefined-condition", stanza));
      return;
    }
    this.#options.listener({ kind: "stanza", stanza });
  }

  #rejectAll(): void {
    const open = [...this.#requests.values()];
    this.#requests.clear();
    for (const request of open) {
      clearTimeout(request.timer);
      request.reject(new RequestError("session-lost", null));
    }
  }
}

export function withQuery(url: string, name: string, value: string): string {
  return `${url}${url.includes("?") ? "&" : "?"}${name}=${encodeURIComponent(value)}`;
}

const DIAL_TIMEOUT_MS = 8000;
const REQUEST_TIMEOUT_MS = 15_000;
/** A quiet socket is asked for a sign of life. */
const PING_AFTER_MS = 10_000;
const PING_CHECK_MS = 2000;
const PING_TIMEOUT_MS = 5000;
/** Longer than the way to any server and back; a socket that is renewed without need costs little. */
const CHECK_MS = 300;
