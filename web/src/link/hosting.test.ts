import { describe, expect, it } from "vitest";

import { RequestError } from "./connection";
import type { LinkEvent } from "./events";
import { Hosting } from "./hosting";
import { NS } from "./namespaces";
import { Room } from "./room";
import { attribute, child, children, element, text } from "./xml";
import type { XmlElement } from "./xml";

const ROOM = "tea@conference.localhost";
const LOBBY = "tea@lobby.localhost";
const ME = "1a2b3c4d";
const OTTO = "9f8e7d6c";

const SERVICES = { lobby: "lobby.localhost", breakout: "breakout.localhost", moderation: "avmoderation.localhost" };

function presence(from: string, item: Record<string, string>, ...more: readonly XmlElement[]): XmlElement {
  return element("presence", { from }, element("x", { xmlns: NS.mucUser }, element("item", item)), more);
}

const nick = (name: string) => element("nick", { xmlns: NS.nick }, name);

function roomInfo(...features: readonly string[]): XmlElement {
  const lobby = element("field", { var: "muc#roominfo_lobbyroom" }, element("value", {}, LOBBY));
  return element(
    "query",
    { xmlns: NS.discoInfo },
    features.map((name) => element("feature", { var: name })),
    element("x", { xmlns: NS.dataForm, type: "result" }, lobby),
  );
}

const ownerForm = element(
  "query",
  { xmlns: NS.mucOwner },
  element(
    "x",
    { xmlns: NS.dataForm, type: "form" },
    element("field", { var: "muc#roomconfig_roomsecret" }),
    element("field", { var: "muc#roomconfig_membersonly" }),
  ),
);

/** A moderator in a room with Otto, whose server answers as the test says. */
function start(answers: (iq: XmlElement) => XmlElement | null = () => null) {
  const requests: XmlElement[] = [];
  const sent: XmlElement[] = [];
  const events: LinkEvent[] = [];
  const room = new Room(ROOM, ME, null, ["focus@auth.localhost"]);
  room.receive(presence(`${ROOM}/focus`, { role: "moderator", jid: "focus@auth.localhost/focus" }));
  room.receive(presence(`${ROOM}/${OTTO}`, { role: "participant", affiliation: "none", jid: "otto@localhost/r" }));
  room.receive(presence(`${ROOM}/${ME}`, { role: "moderator", jid: "me@localhost/r" }));
  const hosting = new Hosting({
    connection: {
      send: (stanza) => sent.push(stanza),
      request: async (iq) => {
        requests.push(iq);
        return element("iq", { type: "result" }, answers(iq));
      },
    },
    room,
    services: () => SERVICES,
    listener: (event) => events.push(event),
  });
  hosting.setModerator(true);
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
  return { hosting, room, requests, sent, events, settle };
}

/** A room with a lobby, in which the moderator is. */
async function withLobby() {
  const all = start((iq) => (child(iq, "query", NS.discoInfo) === null ? null : roomInfo("muc_membersonly")));
  await all.hosting.askRoom();
  const joining = all.sent.splice(0)[0];
  all.events.splice(0);
  return { ...all, joining };
}

const visitor = (id: string, name: string) =>
  presence(`${LOBBY}/${id}`, { role: "participant", jid: `${name.toLowerCase()}@localhost/r` }, nick(name));

describe("orders", () => {
  it("go to the room or its focus", async () => {
    const { hosting, requests, settle } = start();
    hosting.carryOut({ kind: "kick", id: OTTO });
    hosting.carryOut({ kind: "mute", id: OTTO, source: "camera" });
    hosting.carryOut({ kind: "make-moderator", id: OTTO });
    await settle();
    expect(requests.map((iq) => attribute(iq, "to"))).toEqual([ROOM, `${ROOM}/focus`, ROOM]);
    expect(attribute(child(requests[1] ?? null, "mute", NS.muteVideo), "jid")).toBe(`${ROOM}/${OTTO}`);
    expect(child(child(requests[2] ?? null, "query"), "item")?.attributes).toEqual({
      affiliation: "owner",
      jid: "otto@localhost",
    });
  });

  it("make members of those inside before the lobby closes the door", async () => {
    const { hosting, requests, settle } = start((iq) => (child(iq, "query", NS.mucOwner) === null ? null : ownerForm));
    hosting.carryOut({ kind: "set-lobby", isOn: true });
    await settle();
    expect(requests.map((iq) => [attribute(iq, "type"), attribute(child(iq, "query"), "xmlns")])).toEqual([
      ["set", NS.mucAdmin],
      ["get", NS.mucOwner],
      ["set", NS.mucOwner],
    ]);
    const items = children(child(requests[0] ?? null, "query"), "item");
    expect(items.map((item) => attribute(item, "jid"))).toEqual(["otto@localhost"]);
  });

  it("set a password by the form, if the room has passwords", async () => {
    const { hosting, requests, settle, events } = start((iq) => (attribute(iq, "type") === "get" ? ownerForm : null));
    hosting.carryOut({ kind: "set-password", password: "rose" });
    await settle();
    expect(requests.map((iq) => attribute(iq, "type"))).toEqual(["get", "set"]);
    const none = start();
    none.hosting.carryOut({ kind: "set-password", password: "rose" });
    await none.settle();
    expect(none.requests.length).toBe(1);
    expect(none.events).toEqual([{ kind: "order-refused", order: "set-password", detail: "feature-not-implemented" }]);
    expect(events).toEqual([]);
  });

  it("are reported when the server refuses them", async () => {
    const { hosting, settle, events } = start(() => {
      throw new RequestError("not-allowed", null);
    });
    hosting.carryOut({ kind: "kick", id: OTTO });
    await settle();
    expect(events).toEqual([{ kind: "order-refused", order: "kick", detail: "not-allowed" }]);
    // A lost session repeats nothing and complains of nothing.
    const lost = start(() => {
      throw new RequestError("session-lost", null);
    });
    lost.hosting.carryOut({ kind: "kick", id: OTTO });
    await lost.settle();
    expect(lost.events).toEqual([]);
  });

  it("to services come back as errors of their message", async () => {
    const { hosting, sent, events, settle } = start();
    hosting.carryOut({ kind: "add-room", name: "Group 1" });
    hosting.carryOut({ kind: "permit", id: OTTO, source: "microphone" });
    await settle();
    expect(sent.map((message) => attribute(message, "to"))).toEqual([SERVICES.breakout, SERVICES.moderation]);
    const error = element("error", { type: "auth" }, element("forbidden", { xmlns: NS.stanzas }));
    const id = attribute(sent[0] ?? null, "id") ?? "";
    expect(hosting.receive(element("message", { type: "error", from: SERVICES.breakout, id }, error))).toBe(true);
    expect(events).toEqual([{ kind: "order-refused", order: "add-room", detail: "forbidden" }]);
    expect(hosting.receive(element("message", { type: "error", from: SERVICES.breakout, id: "other" }, error))).toBe(false);
  });
});

describe("the lobby", () => {
  it("is joined under another nick by who moderates", async () => {
    const { joining } = await withLobby();
    expect(attribute(joining ?? null, "to")).toMatch(new RegExp(`^${LOBBY}/[0-9a-f]{8}$`));
    expect(attribute(joining ?? null, "to")).not.toContain(ME);
    const guest = start(() => roomInfo("muc_membersonly"));
    guest.hosting.setModerator(false);
    await guest.hosting.askRoom();
    expect(guest.sent).toEqual([]);
    expect(guest.events).toEqual([{ kind: "room-info", hasPassword: false, hasLobby: true }]);
    guest.hosting.setModerator(true);
    expect(guest.sent.length).toBe(1);
  });

  it("shows who waits, and not who moderates or is inside", async () => {
    const { hosting, events } = await withLobby();
    expect(hosting.receive(visitor("aaaaaaaa", "Heike"))).toBe(true);
    hosting.receive(presence(`${LOBBY}/bbbbbbbb`, { role: "moderator", jid: "anke@localhost/r" }));
    hosting.receive(visitor("cccccccc", "Otto"));
    expect(events.at(-1)).toEqual({ kind: "door", waiting: [{ id: "aaaaaaaa", name: "Heike" }] });
    hosting.receive(element("presence", { type: "unavailable", from: `${LOBBY}/aaaaaaaa` }));
    expect(events.at(-1)).toEqual({ kind: "door", waiting: [] });
    expect(hosting.receive(visitor("x", "Y"))).toBe(true);
    expect(hosting.receive(presence(`${ROOM}/x`, {}))).toBe(false);
  });

  it("lets people in by one message to the room, or sends them away", async () => {
    const { hosting, sent, requests, settle } = await withLobby();
    hosting.receive(visitor("aaaaaaaa", "Heike"));
    hosting.receive(visitor("dddddddd", "Martin"));
    hosting.carryOut({ kind: "admit", ids: ["aaaaaaaa", "dddddddd", "unknown"] });
    const message = sent.splice(0)[0] ?? null;
    expect(attribute(message, "to")).toBe(ROOM);
    expect(children(child(message, "x"), "invite").map((invite) => attribute(invite, "to"))).toEqual([
      "heike@localhost/r",
      "martin@localhost/r",
    ]);
    hosting.carryOut({ kind: "deny", id: "aaaaaaaa" });
    await settle();
    expect(attribute(requests.at(-1) ?? null, "to")).toBe(LOBBY);
    hosting.carryOut({ kind: "admit", ids: ["unknown"] });
    expect(sent).toEqual([]);
  });

  it("empties when it goes away, or when we go", async () => {
    const gone = await withLobby();
    gone.hosting.receive(visitor("aaaaaaaa", "Heike"));
    const nickInLobby = attribute(gone.joining ?? null, "to") ?? "";
    const destroyed = element("x", { xmlns: NS.mucUser }, element("destroy", { jid: ROOM }));
    gone.hosting.receive(element("presence", { type: "unavailable", from: nickInLobby }, destroyed));
    expect(gone.events.at(-1)).toEqual({ kind: "door", waiting: [] });
    const left = await withLobby();
    left.hosting.close(true);
    expect(attribute(left.sent[0] ?? null, "type")).toBe("unavailable");
    const lost = await withLobby();
    lost.hosting.close(false);
    expect(lost.sent).toEqual([]);
    expect(lost.events.at(-1)).toEqual({ kind: "door", waiting: [] });
  });
});

it("says nothing of a name in the lobby", async () => {
  const { joining } = await withLobby();
  expect(text(child(joining ?? null, "nick"))).toBe("");
});
