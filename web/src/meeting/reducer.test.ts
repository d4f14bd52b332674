import { describe, expect, it } from "vitest";

import type { LinkEvent } from "../link/events";
import { inside, join, joined, LATER, ME, occupant, OTTO, PIA, Story } from "./story";

describe("coming and going of ours", () => {
  it("leads from outside to inside", () => {
    const story = new Story().command(join);
    expect(story.wishes).toEqual([{ kind: "enter", name: "Ann", password: null }]);
    expect(story.state.stage.kind).toBe("joining");
    expect(story.command(join).wishes).toEqual([]);
    story.link({ kind: "connected" }).link(joined(), 7);
    expect(story.state.stage).toEqual({ kind: "inside", since: 7 });
    expect(story.state.self).toMatchObject({ id: ME, name: "Ann" });
    expect(story.notices).toEqual([]);
  });

  it("takes the chosen devices along", () => {
    const devices = { microphone: "m", camera: null, speaker: "s" };
    const story = new Story().command({ kind: "join", name: "Ann", devices });
    expect(story.wishes[0]).toEqual({ kind: "select-devices", microphone: "m", camera: null });
    expect(story.state.devices.chosen).toEqual(devices);
  });

  it("ends by our wish, and can begin again with a clean table", () => {
    const story = inside().command({ kind: "leave" });
    expect(story.wishes).toEqual([{ kind: "leave" }, { kind: "stop-devices" }]);
    expect(story.state.stage).toEqual({ kind: "left", reason: { kind: "self" } });
    expect(story.state.participants).toEqual([]);
    story.command(join);
    expect(story.state.stage.kind).toBe("joining");
    expect(story.state.chat).toEqual([]);
  });

  it("comes back with what was on", () => {
    const story = inside().link({ kind: "capture", source: "camera", state: { kind: "on", trackKey: "t" } });
    story.command({ kind: "leave" });
    story.link({ kind: "capture", source: "camera", state: { kind: "off" } }).command(join);
    expect(story.wishes).toEqual([
      { kind: "enter", name: "Ann", password: null },
      { kind: "prepare-devices", microphone: false, camera: true },
    ]);
  });

  it("gives devices back when the page is left before joining", () => {
    expect(new Story().command({ kind: "leave" }).wishes).toEqual([{ kind: "stop-devices" }]);
  });

  it("ends when somebody removes us, or the meeting is over", () => {
    const removed = inside().link({ kind: "removed", by: OTTO, reason: "noise" });
    expect(removed.state.stage).toEqual({
      kind: "left",
      reason: { kind: "removed", by: `name of ${OTTO}`, reason: "noise" },
    });
    expect(removed.wishes).toEqual([{ kind: "stop-devices" }]);
    const ended = inside().link({ kind: "ended", reason: "bye" });
    expect(ended.state.stage).toEqual({ kind: "left", reason: { kind: "ended", reason: "bye" } });
  });

  it("says why the room is closed to us, and who can change that", () => {
    const refuse = (condition: string, type = "cancel", extras: string[] = []) => {
      const story = new Story().command(join);
      story.link({ kind: "join-refused", error: { type, condition, extras, lobby: null, text: "" } });
      const { stage } = story.state;
      return stage.kind === "failed" ? [stage.problem.code, stage.problem.actor] : stage.kind;
    };
    expect(refuse("registration-required", "auth", ["lobbyroom"])).toEqual(["members-only", "host"]);
    expect(refuse("service-unavailable", "wait")).toEqual(["room-full", "host"]);
    expect(refuse("forbidden", "auth")).toEqual(["banned", "host"]);
    expect(refuse("jid-malformed", "modify")).toEqual(["room-name-invalid", "you"]);
    expect(refuse("internal-server-error", "wait")).toEqual(["protocol", "administrator"]);
  });
});

describe("others", () => {
  it("have their sources in a fixed order, with what is known of each", () => {
    const story = inside();
    story.link({ kind: "tracks", keys: new Map([[`${OTTO}-v0`, "1/5"]]) });
    expect(story.participant(OTTO).sources).toEqual([
      { name: `${OTTO}-a0`, kind: "microphone", isMuted: true, trackKey: null, isForwarded: true },
      { name: `${OTTO}-v0`, kind: "camera", isMuted: false, trackKey: "1/5", isForwarded: true },
    ]);
    story.link({ kind: "forwarded", sources: [] });
    expect(story.participant(OTTO).sources.map((source) => source.isForwarded)).toEqual([true, false]);
    story.link({ kind: "forwarded", sources: [`${OTTO}-v0`] });
    expect(story.participant(OTTO).sources[1]?.isForwarded).toBe(true);
  });

  it("share a screen beside their camera", () => {
    const story = inside();
    const screen = { name: `${OTTO}-v1`, isMuted: false, isScreen: true };
    story.link(occupant(OTTO, { sources: [screen, { name: `${OTTO}-v0`, isMuted: false, isScreen: false }] }));
    expect(story.participant(OTTO).sources.map((source) => source.kind)).toEqual(["camera", "screen"]);
  });

  it("keep their value while nothing about them changes", () => {
    const story = inside().link(occupant(PIA), LATER);
    const before = story.participant(OTTO);
    story.link({ kind: "tracks", keys: new Map([[`${PIA}-v0`, "1/9"]]) });
    expect(story.participant(OTTO)).toBe(before);
  });

  it("are announced when they come and go, but not when we do", () => {
    const story = inside();
    expect(story.notices).toEqual([]);
    story.link(occupant(PIA), 2000);
    expect(story.notices).toEqual([]);
    story.link({ kind: "occupant-left", id: PIA }, LATER).link(occupant(PIA), LATER);
    expect(story.notices).toEqual(["left", "joined"]);
    expect(story.state.participants.map((participant) => participant.id)).toEqual([OTTO, PIA]);
    story.command({ kind: "dismiss-notice", id: story.state.notices[0]?.id ?? 0 });
    expect(story.notices).toEqual(["joined"]);
  });

  it("keep their place when they change their name", () => {
    const story = inside().link(occupant(PIA), LATER).link(occupant(OTTO, { name: "Otto" }), LATER);
    expect(story.state.participants.map((participant) => participant.name)).toEqual(["Otto", `name of ${PIA}`]);
    expect(story.notices).toEqual(["joined"]);
  });

  it("stop being the speaker when they leave", () => {
    const story = inside().link({ kind: "dominant-speaker", id: OTTO });
    expect(story.state.dominantSpeaker).toBe(OTTO);
    expect(story.link({ kind: "occupant-left", id: OTTO }).state.dominantSpeaker).toBeNull();
    story.link({ kind: "dominant-speaker", id: ME }).link({ kind: "path", path: "peer" });
    expect(story.state).toMatchObject({ path: "peer", dominantSpeaker: null });
  });
});

describe("somebody whose media stops", () => {
  const stop: LinkEvent = { kind: "connectivity", id: OTTO, isActive: false };
  const back: LinkEvent = { kind: "connectivity", id: OTTO, isActive: true };

  it("is greyed at once and leaves the grid soon after", () => {
    const story = inside().link(stop, LATER);
    expect(story.participant(OTTO)).toMatchObject({ link: "interrupted", isOnGrid: true });
    const [wish] = story.wishes;
    if (wish?.kind !== "wake") throw new Error("wants to be woken");
    expect(wish.afterMs).toBeLessThanOrEqual(3000);
    story.tell({ kind: "woken", reason: wish.reason }, LATER + wish.afterMs);
    expect(story.participant(OTTO)).toMatchObject({ link: "interrupted", isOnGrid: false });
    story.link(back, LATER + 5000);
    expect(story.participant(OTTO)).toMatchObject({ link: "active", isOnGrid: true });
  });

  it("stays if media comes back in time, even when it stops once more", () => {
    const story = inside().link(stop, LATER);
    const [first] = story.wishes;
    story.link(back, LATER + 1000).link(stop, LATER + 2000);
    if (first?.kind !== "wake") throw new Error("wants to be woken");
    story.tell({ kind: "woken", reason: first.reason }, LATER + 3000);
    expect(story.participant(OTTO).isOnGrid).toBe(true);
  });

  it("is waited for once, however often it is said", () => {
    const story = inside().link(stop, LATER).link(stop, LATER + 500);
    expect(story.wishes).toEqual([]);
    expect(inside().link({ ...stop, id: "nobody" }).wishes).toEqual([]);
  });
});

describe("the line", () => {
  const lost = (attempt: number, at: number): LinkEvent => ({
    kind: "line-lost",
    attempt,
    nextAttemptAt: at + 700,
    isOffline: false,
  });

  it("counts down to the next attempt, from the first loss", () => {
    const story = inside().link(lost(1, 5000), 5000);
    expect(story.state.connection).toEqual({
      kind: "reconnecting",
      since: 5000,
      nextAttemptAt: 5700,
      attempt: 1,
      isOffline: false,
    });
    story.link({ kind: "connecting" }, 5700);
    expect(story.state.connection).toMatchObject({ kind: "reconnecting", nextAttemptAt: null });
    story.link(lost(2, 6000), 6000);
    expect(story.state.connection).toMatchObject({ since: 5000, attempt: 2 });
    story.link({ kind: "connected" });
    expect(story.state.connection).toEqual({ kind: "connected" });
    expect(story.state.participants).toHaveLength(1);
  });

  it("may come back with a new session: who is still there stays, quietly", () => {
    const story = inside().link(occupant(PIA), LATER);
    story.command({ kind: "dismiss-notice", id: story.state.notices[0]?.id ?? 0 });
    story.link({ kind: "connected" }, LATER).link({ kind: "session-lost" }, LATER);
    expect(story.state.participants.map((participant) => participant.link)).toEqual(["interrupted", "interrupted"]);
    expect(story.state.stage.kind).toBe("inside");
    story.link(occupant(PIA), LATER + 100).link(joined(PIA), LATER + 200);
    expect(story.state.participants.map((participant) => [participant.id, participant.link])).toEqual([[PIA, "active"]]);
    story.link(occupant(OTTO), LATER + 1500);
    expect(story.state.participants.map((participant) => participant.id)).toEqual([PIA, OTTO]);
    expect(story.notices).toEqual(["reconnected"]);
    expect(story.state.stage).toEqual({ kind: "inside", since: 1000 });
  });
});

describe("chat", () => {
  const chat = (id: string, nick: string, text: string, sentAt: number | null = null): LinkEvent => ({
    kind: "chat",
    message: { id, nick, text, sentAt },
  });

  it("is sending until the room has echoed it", () => {
    const story = inside().command({ kind: "send-chat", id: "m1", text: "hello" }, 50);
    expect(story.wishes).toEqual([{ kind: "send-chat", id: "m1", text: "hello" }]);
    expect(story.state.chat).toMatchObject([{ id: "m1", isOwn: true, delivery: "sending", at: 50, name: "Ann" }]);
    story.link(chat("m1", ME, "hello"));
    expect(story.state.chat).toMatchObject([{ delivery: "sent" }]);
    story.link(chat("m2", OTTO, "hi"), 70);
    expect(story.state.chat[1]).toMatchObject({ isOwn: false, name: `name of ${OTTO}`, at: 70 });
  });

  it("shows older messages once, with their time", () => {
    const story = inside().link(chat("m1", OTTO, "before", 5)).link(chat("m1", OTTO, "before", 5));
    expect(story.state.chat).toMatchObject([{ text: "before", at: 5 }]);
  });

  it("fails visibly and can be sent again", () => {
    const story = inside().command({ kind: "send-chat", id: "m1", text: "x" });
    const error = { type: "auth", condition: "forbidden", extras: [], lobby: null, text: "" };
    story.link({ kind: "chat-refused", id: "m1", error });
    expect(story.state.chat[0]?.delivery).toBe("failed");
    expect(story.notices).toEqual(["chat-failed"]);
    story.command({ kind: "retry-chat", id: "m1" });
    expect(story.wishes).toEqual([{ kind: "send-chat", id: "m1", text: "x" }]);
    expect(story.command({ kind: "retry-chat", id: "m1" }).wishes).toEqual([]);
  });

  it("repeats what a lost session may have swallowed", () => {
    const story = inside().command({ kind: "send-chat", id: "m1", text: "x" });
    story.link({ kind: "session-lost" }).link(joined(OTTO), LATER);
    expect(story.wishes).toEqual([{ kind: "send-chat", id: "m1", text: "x" }]);
  });

  it("sends nothing empty, and nothing from outside", () => {
    expect(inside().command({ kind: "send-chat", id: "m", text: " \n" }).wishes).toEqual([]);
    expect(new Story().command({ kind: "send-chat", id: "m", text: "x" }).wishes).toEqual([]);
  });
});

describe("own devices", () => {
  it("are switched by what they are now", () => {
    const story = new Story().command({ kind: "toggle", source: "microphone" });
    expect(story.wishes).toEqual([{ kind: "capture", source: "microphone", isOn: true }]);
    story.link({ kind: "capture", source: "microphone", state: { kind: "starting" } });
    expect(story.command({ kind: "toggle", source: "microphone" }).wishes).toMatchObject([{ isOn: false }]);
    story.link({ kind: "capture", source: "microphone", state: { kind: "on", trackKey: "t" } });
    expect(story.state.self.microphone).toEqual({ kind: "on", trackKey: "t" });
    expect(story.command({ kind: "toggle", source: "microphone" }).wishes).toMatchObject([{ isOn: false }]);
  });

  it("say why they can't be had, and try again when toggled", () => {
    const failed = (error: string): Story =>
      new Story().link({ kind: "capture", source: "camera", state: { kind: "failed", error, detail: "d" } });
    const problem = (error: string) => {
      const { camera } = failed(error).state.self;
      return camera.kind === "failed" ? [camera.problem.code, camera.problem.actor] : camera.kind;
    };
    expect(problem("NotAllowedError")).toEqual(["permission-denied", "you"]);
    expect(problem("NotFoundError")).toEqual(["device-missing", "you"]);
    expect(problem("NotReadableError")).toEqual(["device-in-use", "you"]);
    expect(problem("insecure")).toEqual(["insecure-page", "administrator"]);
    expect(problem("unknown")).toEqual(["capture-failed", "nobody"]);
    expect(failed("NotFoundError").command({ kind: "toggle", source: "camera" }).wishes).toMatchObject([{ isOn: true }]);
  });

  it("are missed when they are unplugged, but not when a share ends", () => {
    const story = inside().link({ kind: "capture-ended", source: "screen" }).link({ kind: "capture-ended", source: "camera" });
    expect(story.notices).toEqual(["device-lost"]);
  });

  it("keep the choice when the list changes", () => {
    const choice = { microphone: "m", camera: "c", speaker: null };
    const story = new Story().command({ kind: "select-devices", choice });
    const list = { microphones: [{ id: "m", label: "M" }], cameras: [], speakers: [], canShareScreen: true };
    story.link({ kind: "devices", devices: list });
    expect(story.state.devices).toEqual({ ...list, chosen: choice });
  });

  it("are muted by a moderator, whose name is told", () => {
    const on: LinkEvent = { kind: "capture", source: "microphone", state: { kind: "on", trackKey: "m" } };
    const muted: LinkEvent = { kind: "muted-by", source: "microphone", by: OTTO };
    expect(inside().link(on).link(muted).lastNotice).toEqual({
      kind: "muted-by",
      source: "microphone",
      by: `name of ${OTTO}`,
    });
    // Who is silent anyway is not told.
    expect(inside().link(muted).notices).toEqual([]);
  });

  it("are refused by the room with a reason", () => {
    const story = inside().link({ kind: "source-refused", source: "screen", condition: "resource-constraint", detail: "d" });
    expect(story.state.notices[0]?.body).toMatchObject({ kind: "source-refused", problem: { code: "limit-reached" } });
  });
});

describe("what is received", () => {
  const tile = (source: string, height: number) => ({ participant: OTTO, source, height });

  it("is what the page shows, in steps that are worth sending", () => {
    const story = inside();
    story.command({
      kind: "visible-tiles",
      tiles: [tile(`${OTTO}-v0`, 180), tile(`${PIA}-v0`, 400), tile("x-v0", 421), tile(`${PIA}-v0`, 100), tile("y-v0", 0)],
    });
    const [wish] = story.wishes;
    expect(wish?.kind === "constrain" && [...wish.constraints.heights]).toEqual([
      [`${OTTO}-v0`, 180],
      [`${PIA}-v0`, 360],
      ["x-v0", 720],
    ]);
  });

  it("is asked for once", () => {
    const story = inside().command({ kind: "visible-tiles", tiles: [tile(`${OTTO}-v0`, 150)] });
    expect(story.wishes).toHaveLength(1);
    expect(story.command({ kind: "visible-tiles", tiles: [tile(`${OTTO}-v0`, 160)] }).wishes).toEqual([]);
    expect(story.command({ kind: "on-stage", sources: ["elsewhere-v0"] }).wishes).toEqual([]);
    expect(story.command({ kind: "on-stage", sources: [`${OTTO}-v0`] }).wishes).toHaveLength(1);
    expect(story.command({ kind: "visible-tiles", tiles: [] }).wishes).toHaveLength(1);
  });

  it("is a whole screen where one is shared, also if that is learnt later", () => {
    const story = inside().command({ kind: "visible-tiles", tiles: [tile(`${OTTO}-v1`, 300)] });
    story.link(occupant(OTTO, { sources: [{ name: `${OTTO}-v1`, isMuted: false, isScreen: true }] }));
    const [wish] = story.wishes;
    expect(wish?.kind === "constrain" && wish.constraints.heights.get(`${OTTO}-v1`)).toBe(2160);
  });
});
