import { describe, expect, it } from "vitest";

import { NS } from "./namespaces";
import {
  checkOwnerForm,
  invitation,
  MEMBERS_ONLY_FIELD,
  membersList,
  membersOnlyForm,
  muteRequest,
  passwordForm,
  readInvitation,
  readRoomInfo,
  removal,
} from "./room_configuration";
import type { RoomInfo } from "./room_configuration";
import { attribute, child, children, element, text } from "./xml";
import type { XmlElement } from "./xml";

const ROOM = "tea@conference.localhost";
const OPEN: RoomInfo = { hasPassword: false, isMembersOnly: false, lobby: null };

function field(name: string, value?: string): XmlElement {
  return element("field", { var: name }, value === undefined ? null : element("value", {}, value));
}

function fields(submitted: XmlElement): Record<string, string> {
  const form = child(child(submitted, "query", NS.mucOwner), "x", NS.dataForm);
  expect(attribute(form, "type")).toBe("submit");
  return Object.fromEntries(
    children(form, "field").map((one) => [attribute(one, "var") ?? "", text(child(one, "value"))]),
  );
}

describe("what a room says about itself", () => {
  const info = (...parts: readonly XmlElement[]) =>
    readRoomInfo(element("iq", { type: "result" }, element("query", { xmlns: NS.discoInfo }, parts)));

  it("is its features and its lobby", () => {
    const form = element("x", { xmlns: NS.dataForm, type: "result" }, field("muc#roominfo_lobbyroom", "tea@lobby.localhost"));
    const features = ["muc_passwordprotected", "muc_membersonly"].map((name) => element("feature", { var: name }));
    expect(info(...features, form)).toEqual({ hasPassword: true, isMembersOnly: true, lobby: "tea@lobby.localhost" });
  });

  it("may be nothing", () => {
    expect(info()).toEqual(OPEN);
    expect(readRoomInfo(element("iq", { type: "result" }))).toEqual(OPEN);
    const form = element("x", { xmlns: NS.dataForm }, field("muc#roominfo_lobbyroom"));
    expect(info(form).lobby).toBeNull();
  });
});

describe("the owner's form", () => {
  it("sets a password and keeps the lobby", () => {
    expect(fields(passwordForm(ROOM, "rose", { ...OPEN, isMembersOnly: true }))).toEqual({
      FORM_TYPE: "http://jabber.org/protocol/muc#roomconfig",
      "muc#roomconfig_roomsecret": "rose",
      "muc#roomconfig_passwordprotectedroom": "1",
      "muc#roomconfig_membersonly": "true",
      "muc#roomconfig_whois": "anyone",
    });
  });

  it("removes a password", () => {
    expect(fields(passwordForm(ROOM, "", OPEN))).toMatchObject({
      "muc#roomconfig_roomsecret": "",
      "muc#roomconfig_passwordprotectedroom": "0",
    });
    expect(fields(passwordForm(ROOM, "", OPEN))).not.toHaveProperty([MEMBERS_ONLY_FIELD]);
  });

  it("turns the lobby on and off and keeps the password", () => {
    expect(fields(membersOnlyForm(ROOM, true, OPEN))).toEqual({
      FORM_TYPE: "http://jabber.org/protocol/muc#roomconfig",
      "muc#roomconfig_membersonly": "true",
    });
    expect(fields(membersOnlyForm(ROOM, false, { ...OPEN, hasPassword: true }))).toMatchObject({
      "muc#roomconfig_membersonly": "false",
      "muc#roomconfig_passwordprotectedroom": "1",
    });
  });

  it("is not submitted where the room has no such setting", () => {
    const result = (...some: readonly XmlElement[]) =>
      element("iq", {}, element("query", { xmlns: NS.mucOwner }, element("x", { xmlns: NS.dataForm }, some)));
    expect(() => checkOwnerForm(result(), MEMBERS_ONLY_FIELD)).toThrow("feature-not-implemented");
    expect(() => checkOwnerForm(result(field(MEMBERS_ONLY_FIELD)), MEMBERS_ONLY_FIELD)).not.toThrow();
  });
});

it("makes members of everybody with one request", () => {
  const items = children(child(membersList(ROOM, ["a@localhost", "b@localhost"]), "query", NS.mucAdmin), "item");
  expect(items.map((item) => item.attributes)).toEqual([
    { affiliation: "member", jid: "a@localhost" },
    { affiliation: "member", jid: "b@localhost" },
  ]);
});

it("removes somebody by nick", () => {
  const item = child(child(removal(ROOM, "9f8e7d6c"), "query", NS.mucAdmin), "item");
  expect(item?.attributes).toEqual({ nick: "9f8e7d6c", role: "none" });
});

it("asks the focus to mute, and never to do the opposite", () => {
  const mute = child(muteRequest(`${ROOM}/focus`, `${ROOM}/9f8e7d6c`, NS.muteAudio), "mute", NS.muteAudio);
  expect(attribute(mute, "jid")).toBe(`${ROOM}/9f8e7d6c`);
  expect(text(mute)).toBe("true");
});

describe("an invitation", () => {
  it("may invite several", () => {
    const message = invitation(ROOM, "o-1", ["a@localhost/r", "b@localhost/r"]);
    expect(message.attributes).toMatchObject({ to: ROOM, id: "o-1" });
    const invites = children(child(message, "x", NS.mucUser), "invite");
    expect(invites.map((invite) => attribute(invite, "to"))).toEqual(["a@localhost/r", "b@localhost/r"]);
  });

  it("is read from the room alone", () => {
    const from = (jid: string, ...more: readonly XmlElement[]) =>
      element("message", { from: jid }, element("x", { xmlns: NS.mucUser }, element("invite", { from: "m@localhost" }), more));
    expect(readInvitation(from(ROOM), ROOM)).toEqual({ password: null });
    expect(readInvitation(from(ROOM, element("password", {}, "rose")), ROOM)).toEqual({ password: "rose" });
    expect(readInvitation(from("else@conference.localhost"), ROOM)).toBeNull();
    expect(readInvitation(from(`${ROOM}/9f8e7d6c`), ROOM)).toBeNull();
    expect(readInvitation(element("message", { from: ROOM }, element("x", { xmlns: NS.mucUser })), ROOM)).toBeNull();
  });
});
