/**
 * The client session: from the end of log-in to the end of the session, over any number of sockets.
 *
 * Binds or resumes on each new socket, counts stanzas, holds back what can't be sent now. A refused resumption becomes
 * a fresh session on the same stream. No timers and no sockets in here: `connection.ts` has them.
 */

import { NS } from "./namespaces";
import { isStanza, StreamManagement } from "./stream_management";
import { attribute, child, children, element, text } from "./xml";
import type { XmlElement } from "./xml";

export type SessionEvent =
  /** A new session; whatever the old one had (rooms, open requests) is gone. */
  | { readonly kind: "bound"; readonly jid: string }
  /** The old session goes on; nothing was lost. */
  | { readonly kind: "resumed" }
  | { readonly kind: "stanza"; readonly stanza: XmlElement }
  /** The server answered in a way that makes this socket useless. */
  | { readonly kind: "broken"; readonly detail: string };

type Phase = "down" | "binding" | "resuming" | "enabling" | "ready";

export class ClientSession {
  readonly #write: (element: XmlElement) => void;
  readonly #listener: (event: SessionEvent) => void;
  readonly #management = new StreamManagement();
  #phase: Phase = "down";
  #isManagementOffered = false;
  #jid = "";
  /** The last resumption id. The server sealed into it who we are, so it is of use when the session is gone, too. */
  #identity: string | null = null;
  /** Stanzas for the time when the stream is ready. */
  #waiting: XmlElement[] = [];

  constructor(write: (element: XmlElement) => void, listener: (event: SessionEvent) => void) {
    this.#write = write;
    this.#listener = listener;
  }

  /** Our full JID; empty before the first binding. */
  get jid(): string {
    return this.#jid;
  }

  /** What goes into the URL of the next socket as `previd`, so that we are who we were. */
  get token(): string | null {
    return this.#identity;
  }

  get isReady(): boolean {
    return this.#phase === "ready";
  }

  /** Log-in on a new socket is done; these are the features after it. */
  opened(features: XmlElement | null): void {
    this.#isManagementOffered = child(features, "sm", NS.streamManagement) !== null;
    const token = this.#management.token;
    if (token !== null && this.#isManagementOffered) {
      this.#phase = "resuming";
      const h = this.#management.received;
      this.#write(element("resume", { xmlns: NS.streamManagement, h, previd: token }));
    } else {
      this.#bind();
    }
  }

  /** The socket is gone. What is sent from now on waits. */
  closed(): void {
    this.#phase = "down";
  }

  /** Sends a stanza, now or when the stream is ready again; a fresh session drops what waited. */
  send(stanza: XmlElement): void {
    if (this.#phase !== "ready") {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(stanza);
      return;
    }
    this.#sendNow(stanza);
  }

  /** Forgets the session and who we were, so that the next socket is somebody new. */
  forget(): void {
    this.#identity = null;
    this.#forgetSession();
  }

  #forgetSession(): void {
    this.#management.reset();
    this.#waiting = [];
  }

  receive(of: XmlElement): void {
    if (of.attributes["xmlns"] === NS.streamManagement) this.#receiveManagement(of);
    else if (this.#phase === "binding" && of.name === "iq" && of.attributes["id"] === BIND_ID) this.#receiveBound(of);
    else if (isStanza(of)) {
      this.#management.countReceived(of);
      this.#listener({ kind: "stanza", stanza: of });
    }
  }

  #receiveManagement(of: XmlElement): void {
    switch (of.name) {
      case "r":
        this.#write(element("a", { xmlns: NS.streamManagement, h: this.#management.received }));
        return;
      case "a":
        if (!this.#management.acknowledge(readH(of))) this.#broken("acknowledged more than was sent");
        return;
      case "enabled":
        if (this.#phase !== "enabling") return;
        this.#management.enabled(attribute(of, "resume") === "true" ? attribute(of, "id") : null);
        this.#identity = this.#management.token ?? this.#identity;
        this.#ready({ kind: "bound", jid: this.#jid });
        return;
      case "resumed":
        if (this.#phase === "resuming") this.#receiveResumed(of);
        return;
      case "failed":
        // Resumption refused: bind on this stream. Management refused: go on without it.
        if (this.#phase === "resuming") {
          this.#forgetSession();
          this.#bind();
        } else if (this.#phase === "enabling") {
          this.#ready({ kind: "bound", jid: this.#jid });
        }
        return;
      default:
        return;
    }
  }

  #receiveResumed(of: XmlElement): void {
    if (!this.#management.acknowledge(readH(of))) {
      this.#forgetSession();
      this.#broken("resumed with a wrong count");
      return;
    }
    for (const stanza of this.#management.unacknowledged) this.#write(stanza);
    this.#ready({ kind: "resumed" });
  }

  #bind(): void {
    this.#phase = "binding";
    this.#write(element("iq", { xmlns: NS.client, type: "set", id: BIND_ID }, element("bind", { xmlns: NS.bind })));
  }

  #receiveBound(of: XmlElement): void {
    const jid = text(child(child(of, "bind"), "jid"));
    if (of.attributes["type"] !== "result" || jid === "") {
      this.#broken(errorCondition(of) ?? "binding failed");
      return;
    }
    this.#jid = jid;
    this.#waiting = [];
    if (this.#isManagementOffered) {
      this.#phase = "enabling";
      this.#write(element("enable", { xmlns: NS.streamManagement, resume: "true" }));
    } else {
      this.#ready({ kind: "bound", jid });
    }
  }

  #ready(event: SessionEvent): void {
    this.#phase = "ready";
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const stanza of waiting) this.#sendNow(stanza);
    this.#listener(event);
  }

  #sendNow(stanza: XmlElement): void {
    const isRequestDue = this.#management.countSent(stanza);
    this.#write(stanza);
    if (isRequestDue) this.#write(element("r", { xmlns: NS.streamManagement }));
  }

  #broken(detail: string): void {
    this.#phase = "down";
    this.#listener({ kind: "broken", detail });
  }
}

/** The condition of an error stanza, or null. */
export function errorCondition(of: XmlElement): string | null {
  const error = child(of, "error");
  return children(error).find((node) => node.name !== "text")?.name ?? null;
}

const BIND_ID = "bind";

/** While the line is down; far more than a user can write, and less than a runaway timer. */
const WAITING_MAX = 500;

function readH(of: XmlElement): number {
  const h = Number(attribute(of, "h") ?? "-1");
  return Number.isInteger(h) && h >= 0 ? h : -1;
}
