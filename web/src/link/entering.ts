/**
 * The way into the room: ask for the conference until it is ready, then join, and repeat both where the server says so.
 */

import type { LinkConfig } from "./config";
import { conferenceRequest, readConferenceReply } from "./conference_request";
import { RequestError } from "./connection";
import type { Connection } from "./connection";
import { machineUid, randomHex } from "./device_id";
import { readProblem, Room } from "./room";
import type { OwnPresence, StanzaProblem } from "./room";
import type { XmlElement } from "./xml";

export interface EnteringOptions {
  readonly config: LinkConfig;
  readonly connection: Connection;
  readonly roomJid: string;
  /** Of the room, if we know one. */
  readonly password: string | null;
  readonly caps: XmlElement | null;
  readonly presence: () => OwnPresence;
  /** A room is being joined from now on: stanzas from it belong to this value. */
  readonly joining: (room: Room) => void;
  readonly refused: (error: StanzaProblem) => void;
}

export class Entering {
  readonly #options: EnteringOptions;
  #room: Room | null = null;
  #attempt = 0;
  #isOver = false;
  #nick: string;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: EnteringOptions) {
    this.#options = options;
    this.#nick = nickOf(options.connection.jid);
  }

  start(): void {
    void this.#request();
  }

  /** Inside, or not wanted any more. */
  stop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  /** The room refused us. Tries again where that helps, else reports. */
  refusedByRoom(error: StanzaProblem): void {
    if (this.#isOver) return;
    clearTimeout(this.#timer);
    const isMissing = error.extras.includes("room-does-not-exist") || error.text === ROOM_MISSING_TEXT;
    if (error.condition === "conflict" && this.#attempt < ATTEMPTS_MAX) {
      // An older self may still be there for a moment; if it is somebody else, take another name.
      if (this.#attempt >= 2) this.#nick = randomHex(4);
      this.#again(CONFLICT_MS);
    } else if (isMissing && this.#attempt < ATTEMPTS_MAX) {
      this.#again(MISSING_MS);
    } else {
      this.stop();
      this.#options.refused(error);
    }
  }

  async #request(): Promise<void> {
    const { config, connection, roomJid } = this.#options;
    for (let wait = READY_FIRST_MS; !this.#isOver; wait = Math.min(wait * 2, READY_LAST_MS)) {
      try {
        const result = await connection.request(conferenceRequest(config.focus, roomJid, machineUid()));
        const reply = readConferenceReply(result);
        if (reply.isReady) {
          this.#join(reply.focusUser);
          return;
        }
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        // A new session starts all over again, with an `Entering` of its own.
        if (error.condition === "session-lost") return;
        if (error.condition !== "timeout") {
          if (!this.#isOver) this.#options.refused(readProblem(error.stanza));
          this.stop();
          return;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  #join(focusUser: string | null): void {
    if (this.#isOver) return;
    const { config, connection, roomJid, password, caps } = this.#options;
    const users = [focusUser, config.focusUser].filter((user) => user !== null);
    const room = new Room(roomJid, this.#nick, caps, users);
    this.#room = room;
    this.#options.joining(room);
    connection.send(room.joinPresence(this.#options.presence(), password));
    this.#timer = setTimeout(() => {
      if (this.#room === room && !room.isJoined) this.#again(0);
    }, JOIN_TIMEOUT_MS);
  }

  #again(afterMs: number): void {
    this.#attempt += 1;
    this.#timer = setTimeout(() => void this.#request(), afterMs * (0.75 + 0.5 * Math.random()));
  }
}

/** The nick is the first part of our JID, so that the server can tell it is ours. */
function nickOf(jid: string): string {
  const start = jid.slice(0, 8).toLowerCase();
  return /^[0-9a-f]{8}$/.test(start) ? start : randomHex(4);
}

const ATTEMPTS_MAX = 6;
const CONFLICT_MS = 700;
const MISSING_MS = 500;
const JOIN_TIMEOUT_MS = 10_000;
const READY_FIRST_MS = 500;
const READY_LAST_MS = 4000;
/** COMPAT(prosody): said with these words only. */
const ROOM_MISSING_TEXT = "Room creation is restricted";
