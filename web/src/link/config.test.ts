import { describe, expect, it } from "vitest";

import { readConfig, roomJid } from "./config";
import { conferenceRequest, readConferenceReply } from "./conference_request";
import { capsString, discoAnswer, readIceServers } from "./discovery";
import { retryDelayMs } from "./backoff";
import { NS } from "./namespaces";
import { attribute, child, children, element, serialize } from "./xml";

const PAGE = { protocol: "https:", host: "localhost:8443", hash: "" };
const HOSTS = { hosts: { domain: "localhost", muc: "Conference.localhost" } };

describe("config.js", () => {
  it("has defaults for all but the hosts", () => {
    expect(readConfig(HOSTS, PAGE)).toEqual({
      domain: "localhost",
      roomHost: "conference.localhost",
      focus: "focus.localhost",
      focusUser: null,
      webSocketUrl: "wss://localhost:8443/xmpp-websocket",
      isPeerToPeerEnabled: true,
      stunServers: [],
      backToPeerMs: 5000,
      canRestartIce: false,
      isSctpPreferred: true,
      captureHeight: 720,
      startMutedAfter: { microphone: Number.POSITIVE_INFINITY, camera: Number.POSITIVE_INFINITY },
    });
  });

  it("says more where the server does", () => {
    const config = readConfig(
      {
        ...HOSTS,
        websocket: "wss://elsewhere.example/ws",
        focusUserJid: "focus@auth.localhost",
        resolution: 360,
        bridgeChannel: { preferSctp: false },
        enableIceRestart: true,
        startAudioMuted: 9,
        startVideoMuted: -1,
        p2p: { enabled: false, stunServers: [{ urls: "stun:s.example:3478" }, 7], backToP2PDelay: 1 },
      },
      PAGE,
    );
    expect(config).toMatchObject({
      webSocketUrl: "wss://elsewhere.example/ws",
      focusUser: "focus@auth.localhost",
      isPeerToPeerEnabled: false,
      stunServers: [{ urls: "stun:s.example:3478" }],
      backToPeerMs: 1000,
      isSctpPreferred: false,
      canRestartIce: true,
      captureHeight: 360,
      startMutedAfter: { microphone: 9, camera: Number.POSITIVE_INFINITY },
    });
  });

  it("follows the page's own address, and its hash", () => {
    const page = { protocol: "http:", host: "127.0.0.1:8080", hash: "#config.resolution=180&x=1" };
    expect(readConfig({ ...HOSTS, websocket: "/ws" }, page)).toMatchObject({
      webSocketUrl: "ws://127.0.0.1:8080/ws",
      captureHeight: 180,
    });
  });

  it("is refused without hosts", () => {
    for (const raw of [undefined, null, 7, {}, { hosts: {} }, { hosts: { domain: "x" } }]) {
      expect(readConfig(raw, PAGE)).toBeNull();
    }
  });

  it("gives room names the spelling of Jitsi's clients", () => {
    const config = readConfig(HOSTS, PAGE);
    if (config === null) throw new Error("is complete");
    expect(roomJid(config, "TeaTime")).toBe("teatime@conference.localhost");
    expect(roomJid(config, "Grüße 5")).toBe("gr%c3%bc%c3%9fe%205@conference.localhost");
  });
});

describe("conference requests", () => {
  it("name room and device", () => {
    const request = conferenceRequest("focus.localhost", "tea@conference.localhost", "MID");
    expect(attribute(request, "to")).toBe("focus.localhost");
    const conference = child(request, "conference", NS.focus);
    expect(attribute(conference, "room")).toBe("tea@conference.localhost");
    expect(attribute(conference, "machine-uid")).toBe("MID");
  });

  it("are answered with ready or not", () => {
    const reply = (ready: string) =>
      element("iq", {}, element("conference", { ready, focusjid: "focus@auth.localhost" }));
    expect(readConferenceReply(reply("true"))).toEqual({ isReady: true, focusUser: "focus@auth.localhost" });
    expect(readConferenceReply(reply("false")).isReady).toBe(false);
    expect(readConferenceReply(element("iq"))).toEqual({ isReady: false, focusUser: null });
  });
});

describe("discovery", () => {
  it("answers with the node that was asked for, and hashes the same features", () => {
    const answer = discoAnswer(element("query", { xmlns: NS.discoInfo, node: "n#v" }));
    expect(attribute(answer, "node")).toBe("n#v");
    const features = children(answer, "feature").map((feature) => attribute(feature, "var") ?? "");
    expect(features).toContain("http://jitsi.org/json-encoded-sources");
    expect(capsString()).toBe(`client/web//Tertulia<${[...features].sort().join("<")}<`);
  });

  it("reads STUN and TURN servers", () => {
    const service = (attributes: Record<string, string>) => element("service", attributes);
    const result = element(
      "iq",
      {},
      element(
        "services",
        { xmlns: NS.extdisco },
        service({ type: "stun", host: "s.example", port: "3478" }),
        service({ type: "turns", host: "t.example", port: "443", transport: "tcp", username: "u", password: "p" }),
        service({ type: "turn", host: "no-credentials.example" }),
        service({ type: "smtp", host: "x" }),
      ),
    );
    expect(readIceServers(result)).toEqual([
      { urls: "stun:s.example:3478" },
      { urls: "turns:t.example:443?transport=tcp", username: "u", credential: "p" },
    ]);
  });
});

describe("waiting before the next attempt", () => {
  it("starts below a second and stays within seconds", () => {
    expect(retryDelayMs(0, 1)).toBeLessThanOrEqual(1000);
    expect(retryDelayMs(0, 0)).toBeGreaterThan(100);
    for (let attempt = 0; attempt < 200; attempt += 1) expect(retryDelayMs(attempt, 1)).toBeLessThanOrEqual(5000);
  });
});

describe("XML", () => {
  it("is escaped", () => {
    const of = element("a", { b: 'x"<>&', c: undefined }, "1 < 2 & 3", element("d"));
    expect(serialize(of)).toBe('<a b="x&quot;&lt;&gt;&amp;">1 &lt; 2 &amp; 3<d/></a>');
  });
});
