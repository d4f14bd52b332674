/**
 * The room as XEP-0045 shows it to an occupant: who is inside, what they say about their sources, what they write.
 *
 * Pure: stanzas in, events and stanzas out. Jingle is not here.
 */

import { isRecord, parseJson } from "./json";
import { NS } from "./namespaces";
import { attribute, child, children, element, text } from "./xml";
import type { XmlElement } from "./xml";

export interface Occupant {
  readonly nick: string;
  /** The real JID, where the room shows it. */
  readonly jid: string | null;
  readonly name: string;
  readonly isModerator: boolean;
  /** `owner`, `admin`, `member` or `none`. */
  readonly affiliation: string;
  /** Since when they raise their hand, in milliseconds since 1970 (0: it is not known since when); null: they don't. */
  readonly handAt: number | null;
  readonly sources: readonly SourceInfo[];
  /** Recorders and gateways, with which no direct connection is made. */
  readonly isBot: boolean;
}

export interface SourceInfo {
  readonly name: string;
  readonly isMuted: boolean;
  readonly isScreen: boolean;
}

export type RoomEvent =
  | { readonly kind: "joined"; readonly isModerator: boolean }
  | { readonly kind: "role"; readonly isModerator: boolean }
  | { readonly kind: "occupant"; readonly occupant: Occupant }
  | { readonly kind: "occupant-left"; readonly nick: string }
  | { readonly kind: "bridge-missing"; readonly isMissing: boolean }
  | { readonly kind: "removed"; readonly by: string | null; readonly reason: string }
  /** The room is no more. `alternate`: the JID of the room to go to instead. */
  | { readonly kind: "ended"; readonly reason: string; readonly alternate: string | null }
  | { readonly kind: "refused"; readonly error: StanzaProblem }
  /** Password or lobby changed: the room's disco#info says how. */
  | { readonly kind: "configuration-changed" }
  | { readonly kind: "subject"; readonly subject: string }
  | { readonly kind: "chat"; readonly message: RoomMessage }
  | { readonly kind: "chat-refused"; readonly id: string; readonly error: StanzaProblem };

export interface RoomMessage {
  readonly id: string;
  readonly nick: string;
  readonly text: string;
  /** Milliseconds since 1970, for messages from before; null for new ones. */
  readonly sentAt: number | null;
}

/** A stanza error, as far as anybody wants to tell it apart. */
export interface StanzaProblem {
  readonly type: string;
  readonly condition: string;
  /** Names of children besides the condition: `lobbyroom`, `room-does-not-exist` … */
  readonly extras: readonly string[];
  /** The JID of the lobby in which to wait. */
  readonly lobby: string | null;
  readonly text: string;
}

/** What our presence says. */
export interface OwnPresence {
  readonly name: string;
  readonly sources: readonly SourceInfo[];
  /** As in `Occupant`; 0 once it is down again, and null as long as it never was up in this room. */
  readonly handAt: number | null;
}

export class Room {
  readonly jid: string;
  readonly nick: string;
  readonly #caps: XmlElement | null;
  readonly #focusUsers: Set<string>;
  #occupants = new Map<string, Occupant>();
  #isJoined = false;
  #isModerator = false;
  #focusNick: string | null = null;
  #isBridgeMissing = false;

  constructor(jid: string, nick: string, caps: XmlElement | null, focusUsers: readonly string[]) {
    this.jid = jid;
    this.nick = nick;
    this.#caps = caps;
    this.#focusUsers = new Set(focusUsers);
  }

  get self(): string {
    return `${this.jid}/${this.nick}`;
  }

  get isJoined(): boolean {
    return this.#isJoined;
  }

  get occupants(): ReadonlyMap<string, Occupant> {
    return this.#occupants;
  }

  /** The occupant JID of the focus, or null while it is not there. */
  get focus(): string | null {
    return this.#focusNick === null ? null : `${this.jid}/${this.#focusNick}`;
  }

  trustFocus(user: string): void {
    this.#focusUsers.add(user);
  }

  joinPresence(own: OwnPresence, password: string | null = null): XmlElement {
    const secret = password === null ? null : element("password", {}, password);
    return this.#presence(own, element("x", { xmlns: NS.muc }, secret));
  }

  /** Says what changed; the room keeps only the latest. */
  presence(own: OwnPresence): XmlElement {
    return this.#presence(own, null);
  }

  /** `switch_room`: on the way to another room of the same meeting, so that our place is kept. */
  leavePresence(status: "switch_room" | null = null): XmlElement {
    const attributes = { xmlns: NS.client, type: "unavailable", to: this.self };
    return element("presence", attributes, status === null ? null : element("status", {}, status));
  }

  chatMessage(id: string, body: string): XmlElement {
    const attributes = { xmlns: NS.client, type: "groupchat", to: this.jid, id };
    return element("message", attributes, element("body", {}, body));
  }

  /** Takes a stanza from this room; nothing for what says nothing new. */
  receive(stanza: XmlElement): RoomEvent[] {
    const from = attribute(stanza, "from") ?? "";
    const slash = from.indexOf("/");
    const bare = slash < 0 ? from : from.slice(0, slash);
    if (bare !== this.jid) return [];
    const nick = slash < 0 ? "" : from.slice(slash + 1);
    if (stanza.name === "presence") return this.#receivePresence(stanza, nick);
    return stanza.name === "message" ? this.#receiveMessage(stanza, nick) : [];
  }

  #presence(own: OwnPresence, join: XmlElement | null): XmlElement {
    const sources = Object.fromEntries(
      own.sources.map((source) => [
        source.name,
        /-a\d+$/.test(source.name)
          ? { muted: source.isMuted }
          : { muted: source.isMuted, videoType: source.isScreen ? "desktop" : "camera" },
      ]),
    );
    return element(
      "presence",
      { xmlns: NS.client, to: this.self },
      join,
      this.#caps,
      element("SourceInfo", {}, JSON.stringify(sources)),
      element("jitsi_participant_codecList", {}, "vp8"),
      // COMPAT(lib-jitsi-meet): it does not notice an element that is gone, so a lowered hand is said as 0.
      own.handAt === null ? null : element(RAISED_HAND, {}, String(own.handAt)),
      own.name === "" ? null : element("nick", { xmlns: NS.nick }, own.name),
    );
  }

  #receivePresence(stanza: XmlElement, nick: string): RoomEvent[] {
    const type = attribute(stanza, "type");
    if (type === "error") {
      const isOurs = nick === this.nick || nick === "";
      return isOurs && !this.#isJoined ? [{ kind: "refused", error: readProblem(stanza) }] : [];
    }
    const user = child(stanza, "x", NS.mucUser);
    if (type === "unavailable") return this.#receiveUnavailable(user, nick);
    if (type !== null || nick === "") return [];

    const item = child(user, "item");
    const jid = attribute(item, "jid");
    const isModerator = attribute(item, "role") === "moderator";
    if (nick === this.nick) return this.#receiveSelf(isModerator);
    if (jid !== null && this.#focusUsers.has(jid.split("/")[0] ?? "")) return this.#receiveFocus(stanza, nick);

    const occupant: Occupant = {
      nick,
      jid,
      name: text(child(stanza, "nick", NS.nick)),
      isModerator,
      affiliation: attribute(item, "affiliation") ?? "none",
      handAt: readHand(child(stanza, RAISED_HAND)),
      sources: readSourceInfo(stanza, nick),
      isBot: child(stanza, "bot") !== null,
    };
    this.#occupants.set(nick, occupant);
    return [{ kind: "occupant", occupant }];
  }

  #receiveSelf(isModerator: boolean): RoomEvent[] {
    const wasModerator = this.#isModerator;
    this.#isModerator = isModerator;
    if (!this.#isJoined) {
      this.#isJoined = true;
      return [{ kind: "joined", isModerator }];
    }
    return wasModerator === isModerator ? [] : [{ kind: "role", isModerator }];
  }

  #receiveFocus(stanza: XmlElement, nick: string): RoomEvent[] {
    this.#focusNick = nick;
    const isMissing = child(stanza, "bridgeNotAvailable") !== null;
    if (isMissing === this.#isBridgeMissing) return [];
    this.#isBridgeMissing = isMissing;
    return [{ kind: "bridge-missing", isMissing }];
  }

  #receiveUnavailable(user: XmlElement | null, nick: string): RoomEvent[] {
    const codes = codesOf(user);
    const destroyed = child(user, "destroy");
    if (nick === this.nick || codes.includes("110")) {
      if (destroyed !== null) {
        return [{ kind: "ended", reason: text(child(destroyed, "reason")), alternate: attribute(destroyed, "jid") }];
      }
      if (codes.includes("307") || codes.includes("301")) {
        const item = child(user, "item");
        const by = attribute(child(item, "actor"), "nick");
        return [{ kind: "removed", by, reason: text(child(item, "reason")) }];
      }
      return [];
    }
    if (nick === this.#focusNick) {
      this.#focusNick = null;
      return [];
    }
    return this.#occupants.delete(nick) ? [{ kind: "occupant-left", nick }] : [];
  }

  #receiveMessage(stanza: XmlElement, nick: string): RoomEvent[] {
    const id = attribute(stanza, "id");
    if (attribute(stanza, "type") === "error") {
      return id === null ? [] : [{ kind: "chat-refused", id, error: readProblem(stanza) }];
    }
    if (attribute(stanza, "type") !== "groupchat") return [];
    const subject = child(stanza, "subject");
    const body = child(stanza, "body");
    if (nick === "" && codesOf(child(stanza, "x", NS.mucUser)).includes("104")) return [{ kind: "configuration-changed" }];
    if (body === null) return subject === null ? [] : [{ kind: "subject", subject: text(subject) }];
    if (nick === "") return [];
    const stamp = attribute(child(stanza, "delay"), "stamp");
    const sentAt = stamp === null ? Number.NaN : Date.parse(stamp);
    return [
      {
        kind: "chat",
        message: {
          id: id ?? `${nick} ${stamp ?? ""} ${text(body)}`,
          nick,
          text: text(body),
          sentAt: Number.isNaN(sentAt) ? null : sentAt,
        },
      },
    ];
  }
}

/** Reads the `<error/>` of a stanza. */
export function readProblem(stanza: XmlElement | null): StanzaProblem {
  const error = child(stanza, "error");
  const parts = children(error).filter((node) => node.name !== "text");
  const condition = parts.find((node) => node.attributes["xmlns"] === NS.stanzas) ?? parts[0];
  return {
    type: attribute(error, "type") ?? "cancel",
    condition: condition?.name ?? "undefined-condition",
    extras: parts.filter((node) => node !== condition).map((node) => node.name),
    lobby: text(child(error, "lobbyroom")) || null,
    text: text(child(error, "text")),
  };
}

function codesOf(user: XmlElement | null): (string | null)[] {
  return children(user, "status").map((status) => attribute(status, "code"));
}

/** A time as text; `true` from clients that don't tell it, and 0 or `false` for a hand that is down again. */
function readHand(hand: XmlElement | null): number | null {
  const said = text(hand).trim();
  if (said === "true") return 0;
  return /^[1-9]\d{0,15}$/.test(said) ? Number(said) : null;
}

const RAISED_HAND = "jitsi_participant_raisedHand";

/** The presence's `SourceInfo`; entries that belong to another endpoint are ignored. */
function readSourceInfo(presence: XmlElement, nick: string): SourceInfo[] {
  const info = child(presence, "SourceInfo");
  if (info === null) return readLegacySourceInfo(presence, nick);
  const map = parseJson(text(info));
  if (!isRecord(map)) return [];
  return Object.entries(map).flatMap(([name, value]) => {
    if (!isRecord(value) || !/^.+-[av]\d+$/.test(name) || name.slice(0, name.lastIndexOf("-")) !== nick) return [];
    return [{ name, isMuted: value["muted"] === true, isScreen: value["videoType"] === "desktop" }];
  });
}

/** COMPAT(jigasi): telephone gateways still say it with elements of their own. */
function readLegacySourceInfo(presence: XmlElement, nick: string): SourceInfo[] {
  return (["audio", "video"] as const).flatMap((media) => {
    const muted = child(presence, `${media}muted`);
    if (muted === null) return [];
    return [{ name: `${nick}-${media === "audio" ? "a" : "v"}0`, isMuted: text(muted) === "true", isScreen: false }];
  });
}
