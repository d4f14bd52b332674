import { describe, expect, it } from "vitest";

import { NS } from "./namespaces";
import { Waiting } from "./waiting";
import type { WaitingEvent } from "./waiting";
import { attribute, child, element, text } from "./xml";
import type { XmlElement } from "./xml";

const ROOM = "tea@conference.localhost";
const LOBBY = "tea@lobby.localhost";

function start() {
  const sent: XmlElement[] = [];
  const events: WaitingEvent[] = [];
  const waiting = new Waiting({
    connection: { send: (stanza) => sent.push(stanza) },
    lobby: LOBBY,
    mainRoom: ROOM,
    name: "Heike",
    listener: (event) => events.push(event),
  });
  const self = attribute(sent[0] ?? null, "to") ?? "";
  const left = (...parts: readonly XmlElement[]) =>
    waiting.receive(element("presence", { type: "unavailable", from: self }, element("x", { xmlns: NS.mucUser }, parts)));
  waiting.receive(element("presence", { from: self }, element("x", { xmlns: NS.mucUser }, element("item"))));
  return { waiting, sent, events, self, left };
}

describe("who waits", () => {
  it("says a name, and is told apart by nothing else", () => {
    const { sent, self, events } = start();
    expect(self).toMatch(new RegExp(`^${LOBBY}/[0-9a-f]{8}$`));
    expect(text(child(sent[0] ?? null, "nick", NS.nick))).toBe("Heike");
    expect(events).toEqual([]);
  });

  it("is let in by the room's invitation", () => {
    const { waiting, events } = start();
    const invite = element("invite", { from: "anke@localhost/r" });
    const invitation = (...more: readonly XmlElement[]) =>
      element("message", { from: ROOM }, element("x", { xmlns: NS.mucUser }, invite, more));
    expect(waiting.receive(invitation())).toBe(true);
    expect(waiting.receive(invitation(element("password", {}, "rose")))).toBe(true);
    expect(events).toEqual([
      { kind: "admitted", password: null },
      { kind: "admitted", password: "rose" },
    ]);
  });

  it("is sent away", () => {
    const { left, events } = start();
    left(element("status", { code: 307 }), element("status", { code: 110 }));
    expect(events).toEqual([{ kind: "denied" }]);
  });

  it("goes in when the lobby closes, and home when the meeting does", () => {
    const opened = start();
    opened.left(element("destroy", { jid: ROOM }));
    expect(opened.events).toEqual([{ kind: "admitted", password: null }]);
    const ended = start();
    ended.left(element("destroy", {}, element("reason", {}, "over")));
    expect(ended.events).toEqual([{ kind: "ended", reason: "over" }]);
  });

  it("hears of nothing else", () => {
    const { waiting, events } = start();
    expect(waiting.receive(element("presence", { from: `${ROOM}/9f8e7d6c` }))).toBe(false);
    expect(waiting.receive(element("presence", { from: `${LOBBY}/9f8e7d6c` }))).toBe(true);
    expect(events).toEqual([]);
    expect(waiting.leavePresence().attributes).toMatchObject({ type: "unavailable" });
  });
});
