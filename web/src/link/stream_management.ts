/**
 * XEP-0198 counting: what we have received, what the server has not acknowledged yet.
 *
 * Pure; `session.ts` sends and receives. Both counters are modulo 2³², as the specification says.
 */

import type { XmlElement } from "./xml";

export class StreamManagement {
  #token: string | null = null;
  #received = 0;
  /** How many of our stanzas the server has acknowledged. */
  #acknowledged = 0;
  #unacknowledged: XmlElement[] = [];
  #sinceRequest = 0;

  /** The resumption token, or null while the stream can't be resumed. */
  get token(): string | null {
    return this.#token;
  }

  /** The `h` of `<a/>` and `<resume/>`. */
  get received(): number {
    return this.#received;
  }

  get unacknowledged(): readonly XmlElement[] {
    return this.#unacknowledged;
  }

  /** `<enabled/>` came: counting starts. A stream without resumption is not counted at all. */
  enabled(token: string | null): void {
    this.reset();
    this.#token = token;
  }

  countReceived(stanza: XmlElement): void {
    if (this.#token !== null && isStanza(stanza)) this.#received = (this.#received + 1) % MODULUS;
  }

  /** Remembers a stanza that was (or will be) sent; true when an acknowledgement should be requested after it. */
  countSent(stanza: XmlElement): boolean {
    if (this.#token === null || !isStanza(stanza)) return false;
    this.#unacknowledged.push(stanza);
    this.#sinceRequest += 1;
    if (this.#sinceRequest < REQUEST_EVERY) return false;
    this.#sinceRequest = 0;
    return true;
  }

  /** `<a h=…/>` or `<resumed h=…/>`. False when the server acknowledges what was never sent: the stream is broken. */
  acknowledge(h: number): boolean {
    const count = (h - this.#acknowledged + MODULUS) % MODULUS;
    if (count > this.#unacknowledged.length) return false;
    this.#unacknowledged.splice(0, count);
    this.#acknowledged = h;
    return true;
  }

  /** The stream can't be resumed any more. Returns what the server may never have seen. */
  reset(): readonly XmlElement[] {
    const lost = this.#unacknowledged;
    this.#token = null;
    this.#received = 0;
    this.#acknowledged = 0;
    this.#unacknowledged = [];
    this.#sinceRequest = 0;
    return lost;
  }
}

export function isStanza(of: XmlElement): boolean {
  return of.name === "iq" || of.name === "presence" || of.name === "message";
}

const MODULUS = 2 ** 32;

/** As Jitsi's client does. */
const REQUEST_EVERY = 5;
