import { describe, expect, it } from "vitest";

import { NS } from "./namespaces";
import { breakoutRequest, permissionRequest, readServiceMessage, readServices } from "./services";
import { child, element } from "./xml";
import type { XmlElement } from "./xml";

const BREAKOUT = "breakout.localhost";

function message(from: string, json: unknown, attributes: Record<string, string> = {}): XmlElement {
  const body = typeof json === "string" ? json : JSON.stringify(json);
  return element("message", { from, ...attributes }, element("json-message", { xmlns: NS.jitmeet }, body));
}

const read = (from: string, json: unknown) => readServiceMessage(message(from, json), "localhost");

describe("the server's services", () => {
  it("are named by its identities", () => {
    const identity = (type: string, name: string) => element("identity", { category: "component", type, name });
    const query = element(
      "query",
      { xmlns: NS.discoInfo },
      identity("breakout_rooms", BREAKOUT),
      identity("lobbyrooms", "lobby.localhost"),
    );
    expect(readServices(element("iq", {}, query))).toEqual({
      breakout: BREAKOUT,
      lobby: "lobby.localhost",
      moderation: null,
    });
  });

  it("are the only ones who are believed", () => {
    const json = { type: "breakout_rooms", event: "features/breakout-rooms/move-to-room", roomJid: "x@breakout.localhost" };
    expect(read(BREAKOUT, json)).toEqual({ kind: "sent-to", room: "x@breakout.localhost" });
    expect(read("breakout.school.localhost", json)).not.toBeNull();
    for (const stranger of [`mallory@${BREAKOUT}`, `${BREAKOUT}/r`, "localhost.evil.example", "breakout.evil.example", ""]) {
      expect(read(stranger, json), stranger).toBeNull();
    }
    expect(readServiceMessage(message(BREAKOUT, json, { type: "error" }), "localhost")).toBeNull();
  });

  it("may say nonsense, or what we have no use for", () => {
    for (const json of ["{", "7", {}, { type: "polls" }, { type: "breakout_rooms" }, { type: "av_moderation" }]) {
      expect(read(BREAKOUT, json)).toBeNull();
    }
    expect(readServiceMessage(element("message", { from: BREAKOUT }), "localhost")).toBeNull();
  });
});

describe("breakout rooms", () => {
  it("are listed with everybody in them", () => {
    const rooms = {
      tea: { isMainRoom: true, id: "tea", jid: "tea@conference.localhost", name: "tea", participants: {} },
      uuid: {
        id: "uuid",
        jid: "uuid@breakout.localhost",
        name: "Group 1",
        participants: {
          "uuid@breakout.localhost/9f8e7d6c": { jid: "o@localhost/r", role: "moderator", displayName: "Otto" },
          "uuid@breakout.localhost/0a0b0c0d": { jid: "p@localhost/r" },
          broken: 7,
        },
      },
      rubbish: { name: "no address" },
    };
    expect(read(BREAKOUT, { type: "breakout_rooms", event: "features/breakout-rooms/update", roomCounter: 1, rooms })).toEqual({
      kind: "rooms",
      rooms: [
        { jid: "tea@conference.localhost", name: "tea", isMain: true, people: [] },
        {
          jid: "uuid@breakout.localhost",
          name: "Group 1",
          isMain: false,
          people: [
            { id: "9f8e7d6c", jid: "o@localhost/r", name: "Otto", isModerator: true },
            { id: "0a0b0c0d", jid: "p@localhost/r", name: "", isModerator: false },
          ],
        },
      ],
    });
  });

  it("are made, removed and filled by messages without namespace", () => {
    const payload = (request: Parameters<typeof breakoutRequest>[2]) =>
      child(breakoutRequest(BREAKOUT, "o-1", request), "breakout_rooms")?.attributes;
    expect(payload({ type: "add", subject: "Group 1" })).toEqual({ type: "features/breakout-rooms/add", subject: "Group 1" });
    expect(payload({ type: "remove", breakoutRoomJid: "u@b" })).toEqual({
      type: "features/breakout-rooms/remove",
      breakoutRoomJid: "u@b",
    });
    expect(payload({ type: "move-to-room", participantJid: "o@localhost/r", roomJid: "u@b" })).toEqual({
      type: "features/breakout-rooms/move-to-room",
      participantJid: "o@localhost/r",
      roomJid: "u@b",
    });
  });
});

describe("A/V moderation", () => {
  const told = (json: Record<string, unknown>) => read("avmoderation.localhost", { type: "av_moderation", ...json });

  it("is on or off for a kind of media", () => {
    expect(told({ enabled: true, mediaType: "audio", actor: "tea@conference.localhost/9f8e7d6c" })).toEqual({
      kind: "moderation",
      source: "microphone",
      isOn: true,
      by: "9f8e7d6c",
    });
    expect(told({ enabled: false, mediaType: "desktop" })).toEqual({ kind: "moderation", source: "screen", isOn: false, by: null });
    expect(told({ enabled: true, mediaType: "smell" })).toBeNull();
  });

  it("gives and takes permission", () => {
    expect(told({ mediaType: "video", approved: true })).toEqual({ kind: "permission", source: "camera", isGiven: true, by: null });
    expect(told({ mediaType: "video", removed: true })).toMatchObject({ isGiven: false });
    expect(told({ mediaType: "audio", approved: true, from: "tea@conference.localhost/9f8e7d6c" })).toMatchObject({
      by: "9f8e7d6c",
    });
  });

  it("tells moderators who has permission; an empty list is left out", () => {
    const whitelists = { audio: ["tea@conference.localhost/9f8e7d6c"] };
    expect(told({ mediaType: "audio", whitelists })).toEqual({ kind: "permissions", source: "microphone", ids: ["9f8e7d6c"] });
    expect(told({ mediaType: "video", whitelists: {} })).toEqual({ kind: "permissions", source: "camera", ids: [] });
  });

  it("is asked for permission by the occupant's address", () => {
    const request = permissionRequest("avmoderation.localhost", "o-1", "tea@conference.localhost/9f8e7d6c", "screen");
    expect(child(request, "av_moderation")?.attributes).toEqual({
      jidToWhitelist: "tea@conference.localhost/9f8e7d6c",
      mediaType: "desktop",
    });
  });
});

describe("room metadata", () => {
  const told = (metadata: unknown) => read("metadata.localhost", { type: "room_metadata", metadata });

  it("says how newcomers begin", () => {
    expect(told({ startMuted: { audio: true, video: false } })).toEqual({ kind: "start-muted", microphone: true, camera: false });
    expect(told({})).toBeNull();
    expect(told({ startMuted: "yes" })).toBeNull();
  });
});
