/**
 * The moderator's side of a room: carries out orders, and watches who waits in the lobby.
 *
 * One value for one room that we are in. What the server refuses is reported; nothing is believed before the server has
 * said it.
 */

import { RequestError } from "./connection";
import type { Connection } from "./connection";
import { randomHex } from "./device_id";
import type { LinkEvent } from "./events";
import type { OwnSource } from "./media_connection";
import { NS } from "./namespaces";
import type { Order } from "./orders";
import { readProblem, Room } from "./room";
import type { Occupant } from "./room";
import * as configuration from "./room_configuration";
import type { RoomInfo } from "./room_configuration";
import { breakoutRequest, permissionRequest } from "./services";
import type { BreakoutRequest, Services } from "./services";
import { attribute } from "./xml";
import type { XmlElement } from "./xml";

export interface HostingOptions {
  readonly connection: Pick<Connection, "send" | "request">;
  readonly room: Room;
  readonly services: () => Services;
  readonly listener: (event: LinkEvent) => void;
}

export class Hosting {
  readonly #options: HostingOptions;
  #info: RoomInfo = { hasPassword: false, isMembersOnly: false, lobby: null };
  #isModerator = false;
  #lobby: Room | null = null;
  /** Orders that went as messages, by their id: only a refusal comes back. */
  readonly #sent = new Map<string, Order["kind"]>();

  constructor(options: HostingOptions) {
    this.#options = options;
  }

  /** Asks the room what it is like now: after joining, and whenever it says that it changed. */
  async askRoom(): Promise<void> {
    const { connection, room, listener } = this.#options;
    try {
      this.#info = configuration.readRoomInfo(await connection.request(configuration.roomInfoRequest(room.jid)));
    } catch {
      return;
    }
    listener({ kind: "room-info", hasPassword: this.#info.hasPassword, hasLobby: this.#info.isMembersOnly });
    this.#watchLobby();
  }

  setModerator(isModerator: boolean): void {
    this.#isModerator = isModerator;
    this.#watchLobby();
  }

  carryOut(order: Order): void {
    this.#carryOut(order).catch((error: unknown) => {
      if (!(error instanceof RequestError)) throw error;
      // With the session went what it asked for; whoever asked sees that nothing changed.
      if (error.condition !== "session-lost") this.#refused(order.kind, error.message);
    });
  }

  /** Takes a stanza of the lobby, or the refusal of an order; false when it is neither. */
  receive(stanza: XmlElement): boolean {
    const refused = attribute(stanza, "type") === "error" ? this.#sent.get(attribute(stanza, "id") ?? "") : undefined;
    if (refused !== undefined) {
      const problem = readProblem(stanza);
      this.#refused(refused, `${problem.condition} ${problem.text}`.trim());
      return true;
    }
    const lobby = this.#lobby;
    if (lobby === null || (attribute(stanza, "from") ?? "").split("/")[0] !== lobby.jid) return false;
    for (const event of lobby.receive(stanza)) {
      if (event.kind === "ended" || event.kind === "removed" || event.kind === "refused") this.#lobby = null;
      else if (event.kind !== "occupant" && event.kind !== "occupant-left") continue;
      this.#tellDoor();
    }
    return true;
  }

  /** Leaves the lobby as well; with a new session there is nothing to leave. */
  close(isSameSession: boolean): void {
    if (!isSameSession && this.#lobby !== null) {
      this.#lobby = null;
      this.#tellDoor();
    }
    this.#leaveLobby();
  }

  async #carryOut(order: Order): Promise<void> {
    const { connection, room } = this.#options;
    switch (order.kind) {
      case "kick":
        await connection.request(configuration.removal(room.jid, order.id));
        return;
      case "mute":
        await connection.request(
          configuration.muteRequest(room.focus ?? `${room.jid}/focus`, `${room.jid}/${order.id}`, MUTE[order.source]),
        );
        return;
      case "permit": {
        const service = this.#options.services().moderation;
        if (service !== null) {
          this.#send(order, (id) => permissionRequest(service, id, `${room.jid}/${order.id}`, order.source));
        }
        return;
      }
      case "make-moderator": {
        const jid = room.occupants.get(order.id)?.jid ?? null;
        if (jid !== null) await connection.request(configuration.ownership(room.jid, bareOf(jid)));
        return;
      }
      case "set-password":
        await this.#configure(configuration.PASSWORD_FIELD, () =>
          configuration.passwordForm(room.jid, order.password, this.#info),
        );
        return;
      case "set-lobby":
        if (order.isOn) await this.#makeMembers();
        await this.#configure(configuration.MEMBERS_ONLY_FIELD, () =>
          configuration.membersOnlyForm(room.jid, order.isOn, this.#info),
        );
        return;
      case "admit": {
        const jids = this.#waiting().flatMap(({ nick, jid }) => (jid !== null && order.ids.includes(nick) ? [jid] : []));
        // Also from a breakout room: they are let into the meeting, by the room in which its moderator is.
        if (jids.length > 0) this.#send(order, (id) => configuration.invitation(room.jid, id, jids));
        return;
      }
      case "deny":
        if (this.#lobby !== null) await connection.request(configuration.removal(this.#lobby.jid, order.id));
        return;
      case "add-room":
        this.#sendToRooms(order, { type: "add", subject: order.name });
        return;
      case "remove-room":
        this.#sendToRooms(order, { type: "remove", breakoutRoomJid: order.room });
        return;
      case "send":
        this.#sendToRooms(order, { type: "move-to-room", participantJid: order.person, roomJid: order.room });
        return;
    }
  }

  async #configure(field: string, form: () => XmlElement): Promise<void> {
    const { connection, room } = this.#options;
    configuration.checkOwnerForm(await connection.request(configuration.ownerFormRequest(room.jid)), field);
    await connection.request(form());
  }

  async #makeMembers(): Promise<void> {
    const { connection, room } = this.#options;
    const jids = [...room.occupants.values()].flatMap(({ jid, affiliation }) =>
      jid === null || affiliation !== "none" ? [] : [bareOf(jid)],
    );
    if (jids.length > 0) await connection.request(configuration.membersList(room.jid, [...new Set(jids)]));
  }

  #sendToRooms(order: Order, request: BreakoutRequest): void {
    const service = this.#options.services().breakout;
    if (service !== null) this.#send(order, (id) => breakoutRequest(service, id, request));
  }

  #send(order: Order, stanza: (id: string) => XmlElement): void {
    const id = `o-${randomHex(6)}`;
    const oldest = this.#sent.keys().next().value;
    if (this.#sent.size >= SENT_MAX && oldest !== undefined) this.#sent.delete(oldest);
    this.#sent.set(id, order.kind);
    this.#options.connection.send(stanza(id));
  }

  #refused(order: Order["kind"], detail: string): void {
    this.#options.listener({ kind: "order-refused", order, detail });
  }

  /** In the lobby as long as we moderate and there is one. */
  #watchLobby(): void {
    const wanted = this.#isModerator && this.#info.isMembersOnly ? this.#info.lobby : null;
    if (wanted === (this.#lobby?.jid ?? null)) return;
    this.#leaveLobby();
    if (wanted === null) return;
    this.#lobby = new Room(wanted, randomHex(4), null, []);
    this.#options.connection.send(this.#lobby.joinPresence({ name: "", sources: [], handAt: null }));
  }

  #leaveLobby(): void {
    const lobby = this.#lobby;
    if (lobby === null) return;
    this.#lobby = null;
    this.#options.connection.send(lobby.leavePresence());
    this.#tellDoor();
  }

  #waiting(): Occupant[] {
    const inside = new Set([...this.#options.room.occupants.values()].map((occupant) => occupant.jid));
    return [...(this.#lobby?.occupants.values() ?? [])].filter(
      (occupant) => !occupant.isModerator && (occupant.jid === null || !inside.has(occupant.jid)),
    );
  }

  #tellDoor(): void {
    const waiting = this.#waiting().map(({ nick, name }) => ({ id: nick, name }));
    this.#options.listener({ kind: "door", waiting });
  }
}

const MUTE: Readonly<Record<OwnSource, string>> = {
  microphone: NS.muteAudio,
  camera: NS.muteVideo,
  screen: NS.muteDesktop,
};

/** How many orders are remembered for the case that they are refused. */
const SENT_MAX = 100;

function bareOf(jid: string): string {
  return jid.split("/")[0] ?? jid;
}
