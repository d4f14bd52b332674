/**
 * Jitsi's services around the rooms (breakout rooms, A/V moderation, room metadata): where they are, what they tell us,
 * what we ask of them. Pure.
 */

import { isRecord, parseJson, stringOf, stringsOf } from "./json";
import type { JsonRecord } from "./json";
import type { OwnSource } from "./media_connection";
import { NS } from "./namespaces";
import { attribute, child, children, element, text } from "./xml";
import type { XmlElement } from "./xml";

/** Addresses; null for what this server does not have. */
export interface Services {
  readonly lobby: string | null;
  readonly breakout: string | null;
  readonly moderation: string | null;
}

export const NO_SERVICES: Services = { lobby: null, breakout: null, moderation: null };

/** One room of the meeting, with everybody in it. */
export interface MeetingRoom {
  readonly jid: string;
  readonly name: string;
  readonly isMain: boolean;
  readonly people: readonly RoomMember[];
}

export interface RoomMember {
  /** The nick. */
  readonly id: string;
  /** The real, full JID, by which somebody is sent to another room. */
  readonly jid: string;
  readonly name: string;
  readonly isModerator: boolean;
}

export type ServiceMessage =
  | { readonly kind: "rooms"; readonly rooms: readonly MeetingRoom[] }
  /** A moderator sends us to that room. */
  | { readonly kind: "sent-to"; readonly room: string }
  /** From now on that source needs a moderator's permission, or no longer. */
  | { readonly kind: "moderation"; readonly source: OwnSource; readonly isOn: boolean; readonly by: string | null }
  /** Our own permission was given or taken. Given where none is needed, it is a moderator's wish to hear us. */
  | { readonly kind: "permission"; readonly source: OwnSource; readonly isGiven: boolean; readonly by: string | null }
  /** Everybody's, for moderators: nicks. */
  | { readonly kind: "permissions"; readonly source: OwnSource; readonly ids: readonly string[] }
  /** The room wants newcomers silent, or without picture. Said before we are inside. */
  | { readonly kind: "start-muted"; readonly microphone: boolean; readonly camera: boolean };

/** Reads the identities of the server's disco#info. */
export function readServices(result: XmlElement): Services {
  const identities = children(child(result, "query"), "identity");
  const named = (type: string): string | null =>
    attribute(identities.find((identity) => attribute(identity, "type") === type) ?? null, "name");
  return { lobby: named("lobbyrooms"), breakout: named("breakout_rooms"), moderation: named("av_moderation") };
}

/** A message of a service; null for anything else, and for what we have no use for. */
export function readServiceMessage(stanza: XmlElement, domain: string): ServiceMessage | null {
  if (stanza.name !== "message" || attribute(stanza, "type") === "error") return null;
  // Only the server's own services speak without a user name under its domain.
  const from = attribute(stanza, "from") ?? "";
  if (/[@/]/.test(from) || !from.endsWith(`.${domain}`)) return null;
  const json = parseJson(text(child(stanza, "json-message", NS.jitmeet)));
  if (!isRecord(json)) return null;
  switch (json["type"]) {
    case "breakout_rooms":
      return readBreakout(json);
    case "av_moderation":
      return readModeration(json);
    case "room_metadata":
      return readMetadata(json);
    default:
      return null;
  }
}

export type BreakoutRequest =
  | { readonly type: "add"; readonly subject: string }
  | { readonly type: "remove"; readonly breakoutRoomJid: string }
  | { readonly type: "move-to-room"; readonly participantJid: string; readonly roomJid: string };

export function breakoutRequest(service: string, id: string, request: BreakoutRequest): XmlElement {
  const attributes = { ...request, type: `features/breakout-rooms/${request.type}` };
  return element("message", { xmlns: NS.client, to: service, id }, element("breakout_rooms", attributes));
}

export function permissionRequest(service: string, id: string, occupant: string, source: OwnSource): XmlElement {
  const attributes = { jidToWhitelist: occupant, mediaType: MEDIA[source] };
  return element("message", { xmlns: NS.client, to: service, id }, element("av_moderation", attributes));
}

const MEDIA: Readonly<Record<OwnSource, string>> = { microphone: "audio", camera: "video", screen: "desktop" };

function readBreakout(json: JsonRecord): ServiceMessage | null {
  if (json["event"] === "features/breakout-rooms/move-to-room") {
    const room = stringOf(json["roomJid"]);
    return room === null ? null : { kind: "sent-to", room };
  }
  if (json["event"] !== "features/breakout-rooms/update" || !isRecord(json["rooms"])) return null;
  return { kind: "rooms", rooms: Object.values(json["rooms"]).flatMap(readRoom) };
}

function readRoom(room: unknown): MeetingRoom[] {
  const jid = isRecord(room) ? stringOf(room["jid"]) : null;
  if (!isRecord(room) || jid === null) return [];
  const people = isRecord(room["participants"]) ? Object.entries(room["participants"]) : [];
  return [{ jid, name: stringOf(room["name"]) ?? "", isMain: room["isMainRoom"] === true, people: people.flatMap(readMember) }];
}

function readMember([occupant, person]: readonly [string, unknown]): RoomMember[] {
  const jid = isRecord(person) ? stringOf(person["jid"]) : null;
  if (!isRecord(person) || jid === null) return [];
  const name = stringOf(person["displayName"]) ?? "";
  return [{ id: nickIn(occupant), jid, name, isModerator: person["role"] === "moderator" }];
}

function readModeration(json: JsonRecord): ServiceMessage | null {
  const source = (["microphone", "camera", "screen"] as const).find((one) => MEDIA[one] === json["mediaType"]);
  if (source === undefined) return null;
  const lists = json["whitelists"];
  if (isRecord(lists)) return { kind: "permissions", source, ids: stringsOf(lists[MEDIA[source]]).map(nickIn) };
  const isOn = json["enabled"];
  if (typeof isOn === "boolean") return { kind: "moderation", source, isOn, by: nickOf(json["actor"]) };
  const by = nickOf(json["from"]);
  if (json["removed"] === true) return { kind: "permission", source, isGiven: false, by };
  return json["approved"] === true ? { kind: "permission", source, isGiven: true, by } : null;
}

function readMetadata(json: JsonRecord): ServiceMessage | null {
  const metadata = json["metadata"];
  const policy = isRecord(metadata) ? metadata["startMuted"] : null;
  if (!isRecord(policy)) return null;
  return { kind: "start-muted", microphone: policy["audio"] === true, camera: policy["video"] === true };
}

function nickOf(occupant: unknown): string | null {
  return typeof occupant === "string" ? nickIn(occupant) : null;
}

function nickIn(occupant: string): string {
  return occupant.slice(occupant.indexOf("/") + 1);
}
