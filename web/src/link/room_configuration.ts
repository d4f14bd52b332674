/**
 * What a room says about itself (disco#info), and what a moderator may change about it: password, lobby, rights, who
 * stays. Pure: stanzas for `Hosting` to send.
 */

import { RequestError } from "./connection";
import { NS } from "./namespaces";
import { attribute, child, children, element, text } from "./xml";
import type { XmlElement } from "./xml";

export interface RoomInfo {
  readonly hasPassword: boolean;
  /** Only members may enter; others wait in the lobby. */
  readonly isMembersOnly: boolean;
  readonly lobby: string | null;
}

export function roomInfoRequest(room: string): XmlElement {
  return iq("get", room, element("query", { xmlns: NS.discoInfo }));
}

export function readRoomInfo(result: XmlElement): RoomInfo {
  const query = child(result, "query");
  const features = children(query, "feature").map((feature) => attribute(feature, "var"));
  const lobby = fieldOf(child(query, "x", NS.dataForm), "muc#roominfo_lobbyroom");
  return {
    hasPassword: features.includes("muc_passwordprotected"),
    isMembersOnly: features.includes("muc_membersonly"),
    lobby: lobby === null || lobby === "" ? null : lobby,
  };
}

export function ownerFormRequest(room: string): XmlElement {
  return iq("get", room, element("query", { xmlns: NS.mucOwner }));
}

/** Throws where the room has no such setting. */
export function checkOwnerForm(result: XmlElement, field: string): void {
  const form = child(child(result, "query", NS.mucOwner), "x", NS.dataForm);
  if (fieldOf(form, field) === null) throw new RequestError("feature-not-implemented", null);
}

export const PASSWORD_FIELD = "muc#roomconfig_roomsecret";
export const MEMBERS_ONLY_FIELD = "muc#roomconfig_membersonly";

/** An empty password: none. What the other switch says is repeated, as Jitsi's client does. */
export function passwordForm(room: string, password: string, info: RoomInfo): XmlElement {
  return submit(room, [
    [PASSWORD_FIELD, password],
    ["muc#roomconfig_passwordprotectedroom", password === "" ? "0" : "1"],
    ...(info.isMembersOnly ? ([[MEMBERS_ONLY_FIELD, "true"]] as const) : []),
    ["muc#roomconfig_whois", "anyone"],
  ]);
}

export function membersOnlyForm(room: string, isOn: boolean, info: RoomInfo): XmlElement {
  return submit(room, [
    [MEMBERS_ONLY_FIELD, String(isOn)],
    ...(info.hasPassword ? ([["muc#roomconfig_passwordprotectedroom", "1"]] as const) : []),
  ]);
}

/** Who is inside becomes a member before the lobby closes the door. Bare JIDs. */
export function membersList(room: string, jids: readonly string[]): XmlElement {
  return admin(room, jids.map((jid) => element("item", { affiliation: "member", jid })));
}

export function ownership(room: string, jid: string): XmlElement {
  return admin(room, [element("item", { affiliation: "owner", jid })]);
}

export function removal(room: string, nick: string): XmlElement {
  return admin(room, [element("item", { nick, role: "none" })]);
}

/** Lets waiting people in. Full JIDs. */
export function invitation(room: string, id: string, jids: readonly string[]): XmlElement {
  const invites = jids.map((jid) => element("invite", { to: jid }));
  return element("message", { xmlns: NS.client, to: room, id }, element("x", { xmlns: NS.mucUser }, invites));
}

/** An invitation that we got from that room: its password or, mostly, none. Null where it is not one. */
export function readInvitation(stanza: XmlElement, room: string): { readonly password: string | null } | null {
  if (stanza.name !== "message" || attribute(stanza, "from") !== room || attribute(stanza, "type") === "error") return null;
  const user = child(stanza, "x", NS.mucUser);
  if (child(user, "invite") === null) return null;
  const password = child(user, "password");
  return { password: password === null ? null : text(password) };
}

/** The focus mutes; it is not for us to switch anybody on. */
export function muteRequest(focus: string, occupant: string, namespace: string): XmlElement {
  return iq("set", focus, element("mute", { xmlns: namespace, jid: occupant }, "true"));
}

function iq(type: "get" | "set", to: string, payload: XmlElement): XmlElement {
  return element("iq", { xmlns: NS.client, type, to }, payload);
}

function admin(room: string, items: readonly XmlElement[]): XmlElement {
  return iq("set", room, element("query", { xmlns: NS.mucAdmin }, items));
}

function submit(room: string, fields: readonly (readonly [string, string])[]): XmlElement {
  const all = [["FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig"] as const, ...fields];
  const form = element(
    "x",
    { xmlns: NS.dataForm, type: "submit" },
    all.map(([name, value]) => element("field", { var: name }, element("value", {}, value))),
  );
  return iq("set", room, element("query", { xmlns: NS.mucOwner }, form));
}

/** A field's value, "" if it is there without one, null if it is not there. */
function fieldOf(form: XmlElement | null, name: string): string | null {
  const field = children(form, "field").find((one) => attribute(one, "var") === name);
  return field === undefined ? null : text(child(field, "value"));
}
