import { describe, expect, it } from "vitest";

import { NS } from "./namespaces";
import { ClientSession, errorCondition } from "./session";
import type { SessionEvent } from "./session";
import { element } from "./xml";
import type { XmlElement } from "./xml";

const FEATURES = element(
  "features",
  {},
  element("bind", { xmlns: NS.bind }),
  element("sm", { xmlns: NS.streamManagement }),
);
const JID = "1a2b3c4d-0000-4000-8000-000000000000@localhost/r";

const sm = (name: string, attributes: Record<string, string | number> = {}) =>
  element(name, { xmlns: NS.streamManagement, ...attributes });
const bound = (jid = JID) =>
  element("iq", { type: "result", id: "bind" }, element("bind", { xmlns: NS.bind }, element("jid", {}, jid)));
const message = (id: string) => element("message", { id });

function start() {
  const written: XmlElement[] = [];
  const events: SessionEvent[] = [];
  const session = new ClientSession(
    (of) => written.push(of),
    (event) => events.push(event),
  );
  const take = () => written.splice(0);
  return { session, events, take };
}

function ready() {
  const all = start();
  all.session.opened(FEATURES);
  all.session.receive(bound());
  all.session.receive(sm("enabled", { resume: "true", id: "TOKEN_1" }));
  all.take();
  all.events.splice(0);
  return all;
}

describe("a new session", () => {
  it("binds, switches management on, and is ready only then", () => {
    const { session, events, take } = start();
    session.opened(FEATURES);
    expect(take().map((of) => of.name)).toEqual(["iq"]);
    session.receive(bound());
    expect(take()).toEqual([sm("enable", { resume: "true" })]);
    session.send(message("early"));
    expect(take()).toEqual([]);
    expect(events).toEqual([]);
    session.receive(sm("enabled", { resume: "true", id: "TOKEN_1" }));
    expect(take()).toEqual([message("early")]);
    expect(events).toEqual([{ kind: "bound", jid: JID }]);
    expect(session.token).toBe("TOKEN_1");
    expect(session.jid).toBe(JID);
  });

  it("does without management where it is not offered or refused", () => {
    const plain = start();
    plain.session.opened(element("features"));
    plain.session.receive(bound());
    expect(plain.events).toEqual([{ kind: "bound", jid: JID }]);
    const refused = start();
    refused.session.opened(FEATURES);
    refused.session.receive(bound());
    refused.session.receive(sm("failed"));
    expect(refused.events).toEqual([{ kind: "bound", jid: JID }]);
    expect(refused.session.token).toBeNull();
  });

  it("says why binding failed", () => {
    const { session, events } = start();
    session.opened(FEATURES);
    const error = element("error", { type: "cancel" }, element("conflict", { xmlns: NS.stanzas }), element("text"));
    session.receive(element("iq", { type: "error", id: "bind" }, error));
    expect(events).toEqual([{ kind: "broken", detail: "conflict" }]);
    expect(errorCondition(element("iq"))).toBeNull();
  });
});

describe("a running session", () => {
  it("tells how much it has received", () => {
    const { session, events, take } = ready();
    session.receive(message("a"));
    session.receive(sm("r"));
    session.receive(message("b"));
    session.receive(sm("r"));
    expect(take()).toEqual([sm("a", { h: 1 }), sm("a", { h: 2 })]);
    expect(events.map((event) => event.kind)).toEqual(["stanza", "stanza"]);
  });

  it("asks after five stanzas, behind the fifth", () => {
    const { session, take } = ready();
    for (const id of ["1", "2", "3", "4", "5", "6"]) session.send(message(id));
    expect(take().map((of) => of.name)).toEqual(["message", "message", "message", "message", "message", "r", "message"]);
  });

  it("breaks with a server that counts wrongly", () => {
    const { session, events } = ready();
    session.receive(sm("a", { h: 7 }));
    expect(events).toEqual([{ kind: "broken", detail: "acknowledged more than was sent" }]);
  });
});

describe("after a lost socket", () => {
  it("resumes, redelivers what was not acknowledged, then what waited", () => {
    const { session, events, take } = ready();
    session.send(message("1"));
    session.send(message("2"));
    session.receive(message("x"));
    session.closed();
    session.send(message("3"));
    take();
    session.opened(FEATURES);
    expect(take()).toEqual([sm("resume", { h: 1, previd: "TOKEN_1" })]);
    session.receive(sm("resumed", { h: 1, previd: "TOKEN_1" }));
    expect(take()).toEqual([message("2"), message("3")]);
    expect(events.at(-1)).toEqual({ kind: "resumed" });
    // Counting goes on where it was: the server has "1", now "2" and "3" come.
    session.receive(sm("a", { h: 3 }));
    expect(events.at(-1)).toEqual({ kind: "resumed" });
  });

  it("binds on the same stream when the server does not know it any more", () => {
    const { session, events, take } = ready();
    session.send(message("1"));
    session.closed();
    session.send(message("waiting"));
    take();
    session.opened(FEATURES);
    take();
    session.receive(sm("failed"));
    expect(take().map((of) => of.name)).toEqual(["iq"]);
    session.receive(bound());
    session.receive(sm("enabled", { resume: "true", id: "TOKEN_2" }));
    expect(take()).toEqual([sm("enable", { resume: "true" })]);
    expect(events.at(-1)).toEqual({ kind: "bound", jid: JID });
    expect(session.token).toBe("TOKEN_2");
  });

  it("is who it was after a crash, also when that takes several sockets", () => {
    const { session } = ready();
    session.closed();
    session.opened(FEATURES);
    session.receive(sm("failed"));
    // The new session breaks before it has an id of its own.
    session.closed();
    expect(session.token).toBe("TOKEN_1");
    session.opened(FEATURES);
    session.receive(bound());
    session.receive(sm("enabled", { resume: "true", id: "TOKEN_2" }));
    expect(session.token).toBe("TOKEN_2");
    session.forget();
    expect(session.token).toBeNull();
  });

  it("starts anew if the server resumes with a wrong count", () => {
    const { session, events, take } = ready();
    session.closed();
    session.opened(FEATURES);
    session.receive(sm("resumed", { h: 5 }));
    expect(events.at(-1)?.kind).toBe("broken");
    take();
    session.closed();
    session.opened(FEATURES);
    expect(take().map((of) => of.name)).toEqual(["iq"]);
  });
});
