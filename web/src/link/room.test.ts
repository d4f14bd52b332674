import { describe, expect, it } from "vitest";

import { NS } from "./namespaces";
import { Room } from "./room";
import type { Occupant } from "./room";
import { attribute, child, element, text } from "./xml";
import type { XmlElement } from "./xml";

const ROOM = "tea@conference.localhost";
const ME = "1a2b3c4d";
const OTHER = "9f8e7d6c";

function item(attributes: Record<string, string>, ...more: readonly XmlElement[]): XmlElement {
  return element("x", { xmlns: NS.mucUser }, element("item", attributes), more);
}

const status = (code: number) => element("status", { code });

function presence(nick: string, ...children: readonly XmlElement[]): XmlElement {
  return element("presence", { from: `${ROOM}/${nick}` }, children);
}

function left(nick: string, ...children: readonly XmlElement[]): XmlElement {
  return element("presence", { from: `${ROOM}/${nick}`, type: "unavailable" }, children);
}

const selfPresence = presence(ME, item({ role: "moderator", jid: "x@localhost/r" }, status(110)));

function room(): Room {
  return new Room(ROOM, ME, element("c", { xmlns: NS.caps }), ["focus@auth.localhost"]);
}

function inside(): Room {
  const value = room();
  value.receive(selfPresence);
  return value;
}

describe("our presence", () => {
  it("joins with SourceInfo, capabilities and name", () => {
    const joining = room().joinPresence({
      name: "Ann <3",
      sources: [
        { name: `${ME}-a0`, isMuted: false, isScreen: false },
        { name: `${ME}-v1`, isMuted: true, isScreen: true },
      ],
      handAt: null,
    });
    expect(attribute(joining, "to")).toBe(`${ROOM}/${ME}`);
    expect(child(joining, "x", NS.muc)).not.toBeNull();
    expect(child(joining, "c")).not.toBeNull();
    expect(text(child(joining, "nick", NS.nick))).toBe("Ann <3");
    expect(JSON.parse(text(child(joining, "SourceInfo")))).toEqual({
      [`${ME}-a0`]: { muted: false },
      [`${ME}-v1`]: { muted: true, videoType: "desktop" },
    });
  });

  it("repeats everything but the join later", () => {
    const later = room().presence({ name: "", sources: [], handAt: null });
    expect(child(later, "x")).toBeNull();
    expect(child(later, "SourceInfo")).not.toBeNull();
    expect(child(later, "nick")).toBeNull();
  });

  it("brings a password, and says that it only changes the room", () => {
    const own = { name: "", sources: [], handAt: null };
    expect(text(child(child(room().joinPresence(own, "rose & thorn"), "x"), "password"))).toBe("rose & thorn");
    expect(child(child(room().joinPresence(own), "x"), "password")).toBeNull();
    expect(child(room().leavePresence(), "status")).toBeNull();
    expect(text(child(room().leavePresence("switch_room"), "status"))).toBe("switch_room");
  });

  it("raises and lowers the hand as Jitsi's clients read it", () => {
    const hand = (handAt: number | null) =>
      child(room().presence({ name: "", sources: [], handAt }), "jitsi_participant_raisedHand");
    expect(text(hand(1790000000000))).toBe("1790000000000");
    expect(text(hand(0))).toBe("0");
    expect(hand(null)).toBeNull();
  });
});

describe("a room", () => {
  it("is joined with the first presence of our own", () => {
    const value = room();
    expect(value.receive(selfPresence)).toEqual([{ kind: "joined", isModerator: true }]);
    expect(value.isJoined).toBe(true);
    expect(value.receive(selfPresence)).toEqual([]);
    expect(value.receive(presence(ME, item({ role: "participant" })))).toEqual([{ kind: "role", isModerator: false }]);
  });

  it("shows occupants with name, rights and sources of their own", () => {
    const info = {
      [`${OTHER}-a0`]: { muted: true },
      [`${OTHER}-v1`]: { muted: false, videoType: "desktop" },
      [`${ME}-v0`]: { muted: false },
      rubbish: { muted: false },
      [`${OTHER}-v2`]: 7,
    };
    const [event] = room().receive(
      presence(
        OTHER,
        item({ role: "participant", affiliation: "member", jid: "o@localhost/r" }),
        element("nick", { xmlns: NS.nick }, "Otto"),
        element("jitsi_participant_raisedHand", {}, "1790000000000"),
        element("SourceInfo", {}, JSON.stringify(info)),
      ),
    );
    const expected: Occupant = {
      nick: OTHER,
      jid: "o@localhost/r",
      name: "Otto",
      isModerator: false,
      affiliation: "member",
      handAt: 1790000000000,
      sources: [
        { name: `${OTHER}-a0`, isMuted: true, isScreen: false },
        { name: `${OTHER}-v1`, isMuted: false, isScreen: true },
      ],
      isBot: false,
    };
    expect(event).toEqual({ kind: "occupant", occupant: expected });
  });

  it("takes old clients' words where there is no SourceInfo, and none where it is malformed", () => {
    const legacy = element("audiomuted", {}, "true");
    const [event] = room().receive(presence(OTHER, item({ role: "participant" }), legacy));
    expect(event?.kind === "occupant" && event.occupant.sources).toEqual([
      { name: `${OTHER}-a0`, isMuted: true, isScreen: false },
    ]);
    const [broken] = room().receive(presence(OTHER, element("SourceInfo", {}, "{nonsense")));
    expect(broken?.kind === "occupant" && broken.occupant.sources).toEqual([]);
  });

  it("reads a raised hand from whoever says it how", () => {
    const handAt = (said: string) => {
      const [event] = room().receive(presence(OTHER, element("jitsi_participant_raisedHand", {}, said)));
      return event?.kind === "occupant" ? event.occupant.handAt : undefined;
    };
    expect(["1790000000000", "true"].map(handAt)).toEqual([1790000000000, 0]);
    expect(["0", "false", "", "-1", "soon", "1e400"].map(handAt)).toEqual([null, null, null, null, null, null]);
  });

  it("knows the focus by its real JID, and that no bridge is there", () => {
    const value = room();
    const focus = item({ role: "moderator", jid: "focus@auth.localhost/focus" });
    expect(value.receive(presence("focus", focus))).toEqual([]);
    expect(value.focus).toBe(`${ROOM}/focus`);
    expect(value.occupants.size).toBe(0);
    const missing = presence("focus", focus, element("bridgeNotAvailable", { xmlns: NS.focus }));
    expect(value.receive(missing)).toEqual([{ kind: "bridge-missing", isMissing: true }]);
    expect(value.receive(missing)).toEqual([]);
    expect(value.receive(presence("focus", focus))).toEqual([{ kind: "bridge-missing", isMissing: false }]);
    expect(value.receive(left("focus"))).toEqual([]);
    expect(value.focus).toBeNull();
    // Somebody else may call himself so.
    expect(value.receive(presence("focus", item({ jid: "mallory@localhost/r" })))[0]?.kind).toBe("occupant");
  });

  it("tells who left, once", () => {
    const value = inside();
    value.receive(presence(OTHER));
    expect(value.receive(left(OTHER))).toEqual([{ kind: "occupant-left", nick: OTHER }]);
    expect(value.receive(left(OTHER))).toEqual([]);
  });

  it("says that we were removed, by whom and why; or that it ended", () => {
    const kicked = element(
      "x",
      { xmlns: NS.mucUser },
      element("item", {}, element("actor", { nick: OTHER }), element("reason", {}, "bye")),
      status(307),
      status(110),
    );
    expect(inside().receive(left(ME, kicked))).toEqual([{ kind: "removed", by: OTHER, reason: "bye" }]);
    const destroyed = element("x", { xmlns: NS.mucUser }, element("destroy", {}, element("reason", {}, "over")));
    expect(inside().receive(left(ME, destroyed))).toEqual([{ kind: "ended", reason: "over", alternate: null }]);
    const moved = element("x", { xmlns: NS.mucUser }, element("destroy", { jid: "main@conference.localhost" }));
    expect(inside().receive(left(ME, moved))).toEqual([
      { kind: "ended", reason: "", alternate: "main@conference.localhost" },
    ]);
    expect(inside().receive(left(ME, item({}, status(110))))).toEqual([]);
  });

  it("tells why we may not enter", () => {
    const error = element(
      "error",
      { type: "cancel" },
      element("not-allowed", { xmlns: NS.stanzas }),
      element("text", { xmlns: NS.stanzas }, "Room creation is restricted"),
      element("room-does-not-exist", { xmlns: NS.jitmeet }),
    );
    expect(room().receive(element("presence", { type: "error", from: `${ROOM}/${ME}` }, error))).toEqual([
      {
        kind: "refused",
        error: {
          type: "cancel",
          condition: "not-allowed",
          extras: ["room-does-not-exist"],
          lobby: null,
          text: "Room creation is restricted",
        },
      },
    ]);
  });

  it("tells in which lobby to wait", () => {
    const error = element(
      "error",
      { type: "auth" },
      element("registration-required", { xmlns: NS.stanzas }),
      element("lobbyroom", { xmlns: NS.jitmeet }, "tea@lobby.localhost"),
    );
    const [event] = room().receive(element("presence", { type: "error", from: `${ROOM}/${ME}` }, error));
    expect(event).toMatchObject({
      kind: "refused",
      error: { condition: "registration-required", extras: ["lobbyroom"], lobby: "tea@lobby.localhost" },
    });
  });

  it("says that its configuration changed, and believes only the room itself", () => {
    const changed = element("x", { xmlns: NS.mucUser }, status(104));
    expect(inside().receive(element("message", { type: "groupchat", from: ROOM }, changed))).toEqual([
      { kind: "configuration-changed" },
    ]);
    expect(inside().receive(element("message", { type: "groupchat", from: `${ROOM}/${OTHER}` }, changed))).toEqual([]);
  });

  it("hands on chat, with the time of older messages, and refusals", () => {
    const value = inside();
    const body = element("body", {}, "hello");
    const from = `${ROOM}/${OTHER}`;
    expect(value.receive(element("message", { type: "groupchat", from, id: "m1" }, body))).toEqual([
      { kind: "chat", message: { id: "m1", nick: OTHER, text: "hello", sentAt: null } },
    ]);
    const delay = element("delay", { xmlns: NS.delay, stamp: "2026-01-02T03:04:05Z" });
    const [old] = value.receive(element("message", { type: "groupchat", from }, body, delay));
    expect(old?.kind === "chat" && old.message.sentAt).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
    const error = element("error", { type: "auth" }, element("forbidden", { xmlns: NS.stanzas }));
    const [refused] = value.receive(element("message", { type: "error", from: ROOM, id: "m2" }, error));
    expect(refused).toMatchObject({ kind: "chat-refused", id: "m2", error: { condition: "forbidden" } });
    const subject = element("message", { type: "groupchat", from: ROOM }, element("subject", {}, "Tea"));
    expect(value.receive(subject)).toEqual([{ kind: "subject", subject: "Tea" }]);
  });

  it("hears nothing of other rooms", () => {
    expect(room().receive(element("presence", { from: "else@conference.localhost/x" }))).toEqual([]);
    expect(room().receive(element("presence"))).toEqual([]);
  });
});
