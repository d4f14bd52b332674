import { describe, expect, it } from "vitest";

import type { LinkEvent } from "../link/events";
import type { ServiceMessage } from "../link/services";
import { mayUse } from "./moderation";
import { inside, join, joined, LATER, ME, occupant, OTTO, PIA, Story } from "./story";

const moderator: LinkEvent = { kind: "role", isModerator: true };
const service = (message: ServiceMessage): LinkEvent => ({ kind: "service", message });
const on = (source: "microphone" | "camera" | "screen"): LinkEvent => ({
  kind: "capture",
  source,
  state: { kind: "on", trackKey: source },
});
const rule = (isOn: boolean, by: string | null = OTTO): LinkEvent =>
  service({ kind: "moderation", source: "microphone", isOn, by });
const permission = (isGiven: boolean, by: string | null = null): LinkEvent =>
  service({ kind: "permission", source: "microphone", isGiven, by });

describe("who moderates", () => {
  it("may order, and nobody else", () => {
    const order = { kind: "kick", id: OTTO } as const;
    expect(inside().command({ kind: "order", order }).wishes).toEqual([]);
    expect(inside().link(moderator).command({ kind: "order", order }).wishes).toEqual([{ kind: "order", order }]);
    const left = inside().link(moderator).command({ kind: "leave" });
    expect(left.command({ kind: "order", order }).wishes).toEqual([]);
  });

  it("is told so, once the meeting is under way", () => {
    expect(inside().link(moderator, 2000).notices).toEqual([]);
    const story = inside().link(moderator, LATER);
    expect(story.lastNotice).toEqual({ kind: "role", isModerator: true });
    expect(story.link(occupant(OTTO, { isModerator: true })).participant(OTTO).isModerator).toBe(true);
  });

  it("hears what the server refuses", () => {
    const story = inside().link({ kind: "order-refused", order: "kick", detail: "not-allowed" });
    expect(story.lastNotice).toEqual({ kind: "order-refused", order: "kick", detail: "not-allowed" });
  });

  it("sees the door", () => {
    const story = inside()
      .link({ kind: "room-info", hasPassword: true, hasLobby: true })
      .link({ kind: "door", waiting: [{ id: "aaaaaaaa", name: "Heike" }] });
    expect(story.state.door).toEqual({ hasPassword: true, hasLobby: true, waiting: [{ id: "aaaaaaaa", name: "Heike" }] });
  });
});

describe("a raised hand", () => {
  it("of ours goes up once and down once", () => {
    const story = inside().command({ kind: "raise-hand", isUp: true }, 1234);
    expect(story.wishes).toEqual([{ kind: "hand", at: 1234 }]);
    expect(story.state.self.handAt).toBe(1234);
    expect(story.command({ kind: "raise-hand", isUp: true }, 2345).wishes).toEqual([]);
    story.command({ kind: "raise-hand", isUp: false });
    expect(story.wishes).toEqual([{ kind: "hand", at: null }]);
    expect(new Story().command({ kind: "raise-hand", isUp: true }).wishes).toEqual([]);
  });

  it("stays up over a lost session", () => {
    const story = inside().command({ kind: "raise-hand", isUp: true }, 1234).link({ kind: "session-lost" }).link(joined(OTTO));
    expect(story.state.self.handAt).toBe(1234);
  });

  it("of others is news when it goes up", () => {
    const story = inside().link(occupant(OTTO, { handAt: 5 }), LATER);
    expect(story.participant(OTTO).handAt).toBe(5);
    expect(story.lastNotice).toEqual({ kind: "hand", participant: OTTO, name: `name of ${OTTO}` });
    story.link(occupant(OTTO, { handAt: 5 }), LATER).link(occupant(OTTO), LATER);
    expect(story.notices).toEqual(["hand"]);
    expect(story.participant(OTTO).handAt).toBeNull();
  });
});

describe("a source that needs permission", () => {
  it("is switched off, and stays off until a moderator permits it", () => {
    const story = inside().link(on("microphone")).link(rule(true));
    expect(story.wishes).toEqual([{ kind: "capture", source: "microphone", isOn: false }]);
    expect(story.lastNotice).toEqual({ kind: "permission-rule", source: "microphone", isNeeded: true });
    story.link({ kind: "capture", source: "microphone", state: { kind: "off" } });
    expect(story.command({ kind: "toggle", source: "microphone" }).wishes).toEqual([]);
    expect(story.lastNotice).toEqual({ kind: "permission-needed", source: "microphone" });
    // The camera is another matter.
    expect(story.command({ kind: "toggle", source: "camera" }).wishes).toEqual([
      { kind: "capture", source: "camera", isOn: true },
    ]);
    story.link(permission(true));
    expect(story.lastNotice).toEqual({ kind: "permission", source: "microphone", isGiven: true });
    expect(story.wishes).toEqual([]);
    expect(story.command({ kind: "toggle", source: "microphone" }).wishes).toEqual([
      { kind: "capture", source: "microphone", isOn: true },
    ]);
  });

  it("is switched off when permission is taken", () => {
    const story = inside().link(rule(true)).link(permission(true)).link(on("microphone")).link(permission(false));
    expect(story.wishes).toEqual([{ kind: "capture", source: "microphone", isOn: false }]);
    expect(mayUse(story.state, "microphone")).toBe(false);
  });

  it("is free again when the rule goes, and permission with it", () => {
    const story = inside().link(rule(true)).link(permission(true)).link(rule(false), LATER).link(rule(true), LATER);
    expect(mayUse(story.state, "microphone")).toBe(false);
    expect(mayUse(story.link(rule(false)).state, "microphone")).toBe(true);
  });

  it("does not concern moderators, nor who made the rule", () => {
    const story = inside().link(moderator).link(on("microphone")).link(rule(true));
    expect(story.wishes).toEqual([]);
    expect(mayUse(story.state, "microphone")).toBe(true);
    expect(inside().link(on("microphone")).link(rule(true, ME)).wishes).toEqual([]);
  });

  it("is still permitted after a lost session, whose end tells the rule anew", () => {
    const story = inside().link(rule(true)).link(permission(true)).link(on("microphone")).link({ kind: "session-lost" });
    story.link(joined(OTTO), LATER).link(rule(true), LATER + 5);
    expect(story.wishes).toEqual([]);
    expect(mayUse(story.state, "microphone")).toBe(true);
    // And free, if the rule is gone.
    const free = inside().link(rule(true)).link({ kind: "session-lost" }).link(joined(OTTO), LATER);
    expect(mayUse(free.state, "microphone")).toBe(true);
  });

  it("lists who has permission", () => {
    const story = inside().link(moderator).link(rule(true));
    story.link(service({ kind: "permissions", source: "microphone", ids: [OTTO] }));
    expect(story.state.permissions.microphone).toEqual({ isNeeded: true, isGiven: false, holders: [OTTO] });
  });

  it("stays permitted to who moderated", () => {
    const story = inside().link(moderator).link(rule(true));
    story.link(service({ kind: "permissions", source: "microphone", ids: [ME] }));
    story.link({ kind: "role", isModerator: false });
    expect(mayUse(story.state, "microphone")).toBe(true);
  });

  it("where none is needed, permission is a wish to hear us", () => {
    const story = inside().link(permission(true, OTTO));
    expect(story.lastNotice).toEqual({ kind: "asked", source: "microphone", by: `name of ${OTTO}` });
    expect(inside().link(permission(true)).notices).toEqual([]);
  });
});

describe("a room that starts people muted", () => {
  const policy = service({ kind: "start-muted", microphone: true, camera: false });

  it("switches off what a newcomer has on", () => {
    const story = new Story().link(on("microphone")).link(on("camera")).command(join).link(policy);
    expect(story.wishes).toEqual([{ kind: "capture", source: "microphone", isOn: false }]);
    expect(story.lastNotice).toEqual({ kind: "start-muted", microphone: true, camera: false });
    expect(new Story().command(join).link(policy).notices).toEqual([]);
  });

  it("lets who comes back go on", () => {
    const story = inside().link(on("microphone")).link({ kind: "session-lost" }).link(policy);
    expect(story.wishes).toEqual([]);
  });
});

describe("breakout rooms", () => {
  const GROUP = "uuid@breakout.localhost";
  const MAIN = "tea@conference.localhost";
  const person = (id: string) => ({ id, jid: `${id}@localhost/r`, name: id, isModerator: false });
  const rooms = service({
    kind: "rooms",
    rooms: [
      { jid: GROUP, name: "Group 1", isMain: false, people: [person(OTTO), person(PIA)] },
      { jid: MAIN, name: "tea", isMain: true, people: [person(ME)] },
    ],
  });
  const moving = (room: string, isMain: boolean): LinkEvent => ({ kind: "moving", room, isMain, cause: "sent" });

  it("are listed behind the main room", () => {
    expect(inside().link(rooms).state.rooms.map((room) => room.name)).toEqual(["tea", "Group 1"]);
  });

  it("are another place, with other people", () => {
    const story = inside().link(rooms).command({ kind: "raise-hand", isUp: true }, 5);
    story.link({ kind: "chat", message: { id: "m", nick: OTTO, text: "hi", sentAt: null } }).link(rule(true));
    story.link(moving(GROUP, false));
    expect(story.state.place).toEqual({ room: GROUP, name: "Group 1", isReached: false });
    expect(story.state.participants).toEqual([]);
    expect(story.state.chat).toEqual([]);
    expect(story.state.self.handAt).toBeNull();
    expect(mayUse(story.state, "microphone")).toBe(true);
    expect(story.lastNotice).toEqual({ kind: "moved", name: "Group 1", cause: "sent" });
    // Who is there already is no news.
    story.link(occupant(PIA), LATER).link(joined(PIA), LATER);
    expect(story.notices.filter((kind) => kind === "joined")).toEqual([]);
    expect(story.state.place.isReached).toBe(true);
    expect(story.state.stage).toEqual({ kind: "inside", since: 1000 });
    story.link(moving(MAIN, true));
    expect(story.state.place).toEqual({ room: null, name: "", isReached: false });
    expect(story.lastNotice).toMatchObject({ kind: "moved", name: null });
  });

  it("are known by name later, too", () => {
    const story = inside().link(moving(GROUP, false));
    expect(story.state.place.name).toBe("");
    expect(story.link(rooms).state.place.name).toBe("Group 1");
  });

  it("are entered and left by wish, once", () => {
    const story = inside().command({ kind: "go-to", room: GROUP });
    expect(story.wishes).toEqual([{ kind: "go-to", room: GROUP }]);
    expect(story.command({ kind: "go-to", room: null }).wishes).toEqual([]);
    story.link(moving(GROUP, false)).command({ kind: "go-to", room: null });
    expect(story.wishes).toEqual([{ kind: "go-to", room: null }]);
  });

  it("are emptied by sending everybody back", () => {
    const story = inside().link(rooms).link(moderator).command({ kind: "recall" });
    expect(story.wishes).toEqual(
      [OTTO, PIA].map((id) => ({ kind: "order", order: { kind: "send", person: `${id}@localhost/r`, room: MAIN } })),
    );
    expect(inside().link(rooms).command({ kind: "recall" }).wishes).toEqual([]);
    expect(inside().link(moderator).command({ kind: "recall" }).wishes).toEqual([]);
  });
});
