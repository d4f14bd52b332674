/** Waiting in the lobby until a moderator decides, or until the lobby goes away. */

import type { Connection } from "./connection";
import { randomHex } from "./device_id";
import { Room } from "./room";
import type { StanzaProblem } from "./room";
import { readInvitation } from "./room_configuration";
import { attribute } from "./xml";
import type { XmlElement } from "./xml";

export type WaitingEvent =
  /** The room is open to us: somebody let us in, or the lobby was closed. */
  | { readonly kind: "admitted"; readonly password: string | null }
  | { readonly kind: "denied" }
  | { readonly kind: "ended"; readonly reason: string }
  | { readonly kind: "refused"; readonly error: StanzaProblem };

export interface WaitingOptions {
  readonly connection: Pick<Connection, "send">;
  readonly lobby: string;
  readonly mainRoom: string;
  readonly name: string;
  readonly listener: (event: WaitingEvent) => void;
}

export class Waiting {
  readonly #options: WaitingOptions;
  /** A nick of its own: in the lobby nobody is to be recognised by it. */
  readonly #lobby: Room;

  constructor(options: WaitingOptions) {
    this.#options = options;
    this.#lobby = new Room(options.lobby, randomHex(4), null, []);
    options.connection.send(this.#lobby.joinPresence({ name: options.name, sources: [], handAt: null }));
  }

  get lobby(): string {
    return this.#lobby.jid;
  }

  leavePresence(): XmlElement {
    return this.#lobby.leavePresence();
  }

  /** Takes a stanza of the lobby, or the invitation from the room; false when it is neither. */
  receive(stanza: XmlElement): boolean {
    const { listener, mainRoom } = this.#options;
    const invitation = readInvitation(stanza, mainRoom);
    if (invitation !== null) {
      listener({ kind: "admitted", password: invitation.password });
      return true;
    }
    if ((attribute(stanza, "from") ?? "").split("/")[0] !== this.#lobby.jid) return false;
    for (const event of this.#lobby.receive(stanza)) {
      if (event.kind === "removed") listener({ kind: "denied" });
      else if (event.kind === "refused") listener(event);
      else if (event.kind === "ended") {
        // With the main room's address the lobby is closed because everybody may enter now.
        if (event.alternate === null) listener({ kind: "ended", reason: event.reason });
        else listener({ kind: "admitted", password: null });
      }
    }
    return true;
  }
}
