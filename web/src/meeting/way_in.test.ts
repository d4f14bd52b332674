import { describe, expect, it } from "vitest";

import type { LinkEvent } from "../link/events";
import type { StanzaProblem } from "../link/room";
import { inside, join, joined, Story } from "./story";

const problem = (changed: Partial<StanzaProblem>): LinkEvent => ({
  kind: "join-refused",
  error: { type: "auth", condition: "not-authorized", extras: [], lobby: null, text: "", ...changed },
});
const password = problem({});
const lobby = problem({ condition: "registration-required", extras: ["lobbyroom"], lobby: "tea@lobby.localhost" });
const knock = { kind: "knock", lobby: "tea@lobby.localhost" };

const atDoor = () => new Story().command(join).link({ kind: "connected" });

describe("a password", () => {
  it("is asked for, once more after a wrong one, and then leads in", () => {
    const story = atDoor().link(password);
    expect(story.state.stage).toEqual({ kind: "asking", question: "password", isWrong: false, isBusy: false });
    expect(story.wishes).toEqual([]);
    expect(story.state.connection.kind).toBe("connected");
    story.command({ kind: "answer", name: null, password: "thorn" });
    expect(story.wishes).toEqual([{ kind: "enter", name: "Ann", password: "thorn" }]);
    expect(story.state.stage).toMatchObject({ isBusy: true });
    expect(story.command({ kind: "answer", name: null, password: "twice" }).wishes).toEqual([]);
    expect(story.link(password).state.stage).toMatchObject({ isWrong: true, isBusy: false });
    story.command({ kind: "answer", name: null, password: "rose" }).link(joined());
    expect(story.state.stage.kind).toBe("inside");
  });

  it("need not be known: one may leave, also while it is asked for", () => {
    const story = atDoor().link(password).command({ kind: "leave" });
    expect(story.wishes).toEqual([{ kind: "leave" }, { kind: "stop-devices" }]);
    expect(story.state.stage.kind).toBe("left");
  });

  it("may be new for who comes back after a lost session", () => {
    const story = inside().link({ kind: "session-lost" }).link(password);
    expect(story.state.stage).toMatchObject({ kind: "asking", isWrong: false });
    expect(story.state.participants).toEqual([]);
    expect(story.state.connection.kind).toBe("connected");
  });
});

it("a name is asked for and taken over", () => {
  const story = atDoor().link(problem({ type: "modify", condition: "not-acceptable", extras: ["displayname-required"] }));
  expect(story.state.stage).toMatchObject({ kind: "asking", question: "name" });
  story.command({ kind: "answer", name: "Heike", password: null });
  expect(story.wishes).toEqual([{ kind: "enter", name: "Heike", password: null }]);
  expect(story.state.self.name).toBe("Heike");
});

describe("the lobby", () => {
  it("is where we wait and knock, until we are let in", () => {
    const story = atDoor().link(lobby, 7);
    expect(story.state.stage).toEqual({ kind: "waiting", since: 7, isForHost: false, isWrong: false, isBusy: false });
    expect(story.wishes).toEqual([knock]);
    story.link({ kind: "connecting" }).link({ kind: "connected" });
    expect(story.state.stage.kind).toBe("waiting");
    expect(story.link(joined()).state.stage.kind).toBe("inside");
  });

  it("says when nobody is there who could let us in", () => {
    const extras = ["waiting-for-host", "lobbyroom"];
    const story = atDoor().link(problem({ condition: "registration-required", extras, lobby: "tea@lobby.localhost" }));
    expect(story.state.stage).toMatchObject({ isForHost: true });
  });

  it("is passed with a password; a wrong one leaves us waiting since when we did", () => {
    const story = atDoor().link(lobby, 7).command({ kind: "answer", name: null, password: "thorn" }, 8);
    expect(story.wishes).toEqual([{ kind: "enter", name: "Ann", password: "thorn" }]);
    expect(story.state.stage).toMatchObject({ kind: "waiting", isBusy: true });
    story.link(lobby, 9);
    expect(story.state.stage).toEqual({ kind: "waiting", since: 7, isForHost: false, isWrong: true, isBusy: false });
    expect(story.wishes).toEqual([knock]);
  });

  it("may say no, or end with the meeting", () => {
    const denied = atDoor().link(lobby).link({ kind: "denied" });
    expect(denied.state.stage).toEqual({ kind: "left", reason: { kind: "denied" } });
    expect(denied.wishes).toEqual([{ kind: "stop-devices" }]);
    const ended = atDoor().link(lobby).link({ kind: "ended", reason: "over" });
    expect(ended.state.stage).toEqual({ kind: "left", reason: { kind: "ended", reason: "over" } });
  });

  it("without an address to wait at is a refusal", () => {
    const story = atDoor().link(problem({ condition: "registration-required" }));
    expect(story.state.stage).toMatchObject({ kind: "failed", problem: { code: "members-only" } });
    expect(story.wishes).toEqual([{ kind: "leave" }]);
  });
});

it("answers nothing that was not asked", () => {
  expect(inside().command({ kind: "answer", name: null, password: "rose" }).wishes).toEqual([]);
});
