import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Connection, RequestError } from "./connection";
import type { ConnectionEvent } from "./connection";
import { NS } from "./namespaces";
import type { TransportListener } from "./transport";
import { attribute, child, element } from "./xml";
import type { XmlElement } from "./xml";

const FEATURES = element("features", {}, element("sm", { xmlns: NS.streamManagement }));
const JID = "1a2b3c4d-0000-4000-8000-000000000000@localhost/r";

/** A server that logs everybody in and answers pings. */
class Server {
  readonly urls: string[] = [];
  readonly written: XmlElement[] = [];
  listener: TransportListener | null = null;
  isReachable = true;
  isSilent = false;
  knowsToken = true;
  goodbyes = 0;

  readonly dial = (url: string, _domain: string, listener: TransportListener) => {
    this.urls.push(url);
    this.listener = listener;
    setTimeout(() => {
      if (this.listener !== listener) return;
      if (this.isReachable) listener.opened(FEATURES);
      else listener.closed({ kind: "lost", detail: "refused" });
    }, 10);
    return {
      write: (of: XmlElement) => this.#write(of),
      goodbye: () => {
        this.goodbyes += 1;
      },
      drop: () => {
        this.listener = null;
      },
    };
  };

  #write(of: XmlElement): void {
    this.written.push(of);
    if (this.isSilent) return;
    const reply = this.#reply(of);
    const listener = this.listener;
    if (reply !== null) setTimeout(() => listener?.received(reply), 5);
  }

  #reply(of: XmlElement): XmlElement | null {
    const id = attribute(of, "id") ?? "";
    if (of.name === "enable") return element("enabled", { xmlns: NS.streamManagement, resume: "true", id: "TOKEN" });
    if (of.name === "resume") {
      const name = this.knowsToken ? "resumed" : "failed";
      return element(name, { xmlns: NS.streamManagement, h: 0, previd: "TOKEN" });
    }
    if (id === "bind") {
      return element("iq", { type: "result", id }, element("bind", {}, element("jid", {}, JID)));
    }
    return child(of, "ping") === null ? null : element("iq", { type: "result", id });
  }
}

function start() {
  const server = new Server();
  const events: ConnectionEvent[] = [];
  const connection = new Connection({
    url: "wss://localhost/xmpp-websocket?room=tea",
    domain: "localhost",
    dial: server.dial,
    listener: (event) => events.push(event),
  });
  return { server, events, connection, kinds: () => events.map((event) => event.kind) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a line", () => {
  it("is established and says so once", async () => {
    const { connection, kinds, server } = start();
    connection.open();
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    expect(kinds()).toEqual(["connecting", "bound"]);
    expect(server.urls).toEqual(["wss://localhost/xmpp-websocket?room=tea"]);
    expect(connection.jid).toBe(JID);
  });

  it("is dialled again within a second, with the token in the address, and resumed", async () => {
    const { connection, kinds, server } = start();
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    server.listener?.closed({ kind: "lost", detail: "closed with 1006" });
    expect(kinds().at(-1)).toBe("waiting");
    await vi.advanceTimersByTimeAsync(1000);
    expect(server.urls.at(-1)).toBe("wss://localhost/xmpp-websocket?room=tea&previd=TOKEN");
    expect(kinds()).toEqual(["connecting", "bound", "waiting", "connecting", "resumed"]);
  });

  it("is dialled for ever, at most a few seconds apart", async () => {
    const { connection, events, kinds, server } = start();
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    server.isReachable = false;
    server.listener?.closed({ kind: "lost", detail: "" });
    await vi.advanceTimersByTimeAsync(300_000);
    const attempts = server.urls.length;
    expect(attempts).toBeGreaterThan(60);
    server.isReachable = true;
    await vi.advanceTimersByTimeAsync(6000);
    expect(kinds().at(-1)).toBe("resumed");
    const last = events.filter((event) => event.kind === "waiting").at(-1);
    expect(last?.attempt).toBeGreaterThan(60);
  });

  it("becomes a new session after the server's restart, and open requests end", async () => {
    const { connection, kinds, server } = start();
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    const open = connection.request(element("iq", { type: "get" }), 60_000).catch((error: unknown) => error);
    server.knowsToken = false;
    server.listener?.closed({ kind: "lost", detail: "closed with 1006" });
    await vi.advanceTimersByTimeAsync(2000);
    expect(kinds()).toEqual(["connecting", "bound", "waiting", "connecting", "bound"]);
    const error = await open;
    expect(error).toBeInstanceOf(RequestError);
    expect(error instanceof RequestError && error.condition).toBe("session-lost");
  });

  it("is dropped when a server does not answer a dial in time", async () => {
    const { connection, kinds, server } = start();
    server.isSilent = true;
    connection.open();
    await vi.advanceTimersByTimeAsync(8100);
    expect(kinds()).toEqual(["connecting", "waiting"]);
  });

  it("is dropped when pings stay unanswered, and kept while they are answered", async () => {
    const { connection, kinds, server } = start();
    connection.open();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(kinds()).toEqual(["connecting", "bound"]);
    expect(server.written.filter((of) => child(of, "ping") !== null).length).toBeGreaterThanOrEqual(4);
    server.isSilent = true;
    await vi.advanceTimersByTimeAsync(18_000);
    expect(kinds().at(2)).toBe("waiting");
  });

  it("is renewed at once when the address changed, and nobody waits", async () => {
    const { connection, kinds, server } = start();
    connection.renew();
    expect(server.urls).toEqual([]);
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    connection.renew();
    await vi.advanceTimersByTimeAsync(50);
    expect(kinds()).toEqual(["connecting", "bound", "connecting", "resumed"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.urls.length).toBe(2);
  });

  it("is renewed soon when it is checked and does not answer, and kept when it does", async () => {
    const { connection, kinds, server } = start();
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    connection.checkNow();
    await vi.advanceTimersByTimeAsync(1000);
    expect(kinds()).toEqual(["connecting", "bound"]);
    server.isSilent = true;
    connection.checkNow();
    await vi.advanceTimersByTimeAsync(290);
    server.isSilent = false;
    await vi.advanceTimersByTimeAsync(50);
    expect(kinds()).toEqual(["connecting", "bound", "connecting", "resumed"]);
  });

  it("says goodbye and never dials again", async () => {
    const { connection, server } = start();
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    connection.close([element("presence", { type: "unavailable" })]);
    expect(server.goodbyes).toBe(1);
    expect(server.written.at(-1)).toEqual(element("presence", { type: "unavailable" }));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.urls).toHaveLength(1);
  });

  it("gives up when log-in is refused", async () => {
    const { connection, kinds, server } = start();
    connection.open();
    server.listener?.closed({ kind: "login-refused", detail: "not-allowed" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(kinds()).toEqual(["connecting", "login-refused"]);
  });
});

describe("requests", () => {
  it("are matched by id, refused with a condition, or time out", async () => {
    const { connection, server } = start();
    connection.open();
    await vi.advanceTimersByTimeAsync(100);
    const first = connection.request(element("iq", { type: "get" }));
    const second = connection.request(element("iq", { type: "get" })).catch((error: unknown) => error);
    const third = connection.request(element("iq", { type: "get" }), 3000).catch((error: unknown) => error);
    const ids = server.written.slice(-3).map((of) => attribute(of, "id") ?? "");
    const error = element("error", { type: "cancel" }, element("forbidden", { xmlns: NS.stanzas }));
    server.listener?.received(element("iq", { type: "error", id: ids[1] ?? "" }, error));
    server.listener?.received(element("iq", { type: "result", id: ids[0] ?? "" }));
    expect(attribute(await first, "type")).toBe("result");
    expect((await second) instanceof RequestError).toBe(true);
    await vi.advanceTimersByTimeAsync(3100);
    const timeout = await third;
    expect(timeout instanceof RequestError && timeout.condition).toBe("timeout");
  });
});
