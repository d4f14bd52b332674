import { describe, expect, it } from "vitest";

import { readJingle, writeJingle } from "./jingle";
import { NS } from "./namespaces";
import { remoteSources } from "./sources";
import { attribute, child, children, element, serialize } from "./xml";
import type { XmlElement } from "./xml";

const COMPACT = JSON.stringify({
  sources: {
    "9f8e7d6c": [
      [
        { s: 1, n: "9f8e7d6c-v0", m: "v x" },
        { s: 2, n: "9f8e7d6c-v0", m: "v x" },
        { s: "4", n: "9f8e7d6c-v1", m: "d x", v: "d" },
      ],
      [["f", 1, 2]],
      [{ s: 3, n: "9f8e7d6c-a0", m: "a y" }],
    ],
    jvb: [[{ s: 200, n: "jvb-v0", m: "mixedmslabel mixedlabelvideo0" }], [], [{ s: 100, n: "jvb-a0" }]],
  },
});

function transport(): XmlElement {
  return element(
    "transport",
    { xmlns: NS.iceUdp, ufrag: "u", pwd: "p" },
    element("rtcp-mux"),
    element("web-socket", { xmlns: NS.websocket, url: "wss://h.example/colibri-ws/s/c/e?pwd=x" }),
    element("fingerprint", { xmlns: NS.dtls, hash: "sha-256", setup: "actpass", required: "false" }, "AA:BB"),
    element("candidate", {
      id: "c1",
      foundation: 1,
      component: 1,
      protocol: "udp",
      priority: 2_130_706_431,
      ip: "192.0.2.9",
      port: 10_000,
      type: "host",
      generation: 0,
      network: 0,
    }),
  );
}

/** What the focus sends. */
function offer(): XmlElement {
  const opus = element(
    "payload-type",
    { id: 111, name: "opus", clockrate: 48_000, channels: 2 },
    element("parameter", { name: "minptime", value: 10 }),
    element("rtcp-fb", { xmlns: NS.rtcpFeedback, type: "transport-cc" }),
  );
  const audio = element("description", { xmlns: NS.rtp, media: "audio", maxptime: 60 }, opus, element("rtcp-mux"));
  const video = element(
    "description",
    { xmlns: NS.rtp, media: "video" },
    element("payload-type", { id: 100, name: "VP8", clockrate: 90_000 }),
    element("rtp-hdrext", { xmlns: NS.rtpHeaderExtension, id: 3, uri: "urn:x" }),
    element("extmap-allow-mixed", { xmlns: NS.rtpHeaderExtension }),
    element(
      "source",
      { xmlns: NS.sourceAttributes, ssrc: 7, name: "0a0b0c0d-v0" },
      element("ssrc-info", { xmlns: NS.jitmeet, owner: "room@conference.example/0a0b0c0d" }),
      element("parameter", { name: "msid", value: "s t" }),
    ),
  );
  const data = element("transport", transport().attributes, element("sctpmap", { xmlns: NS.sctp, number: 5000 }));
  return element(
    "jingle",
    { xmlns: NS.jingle, action: "session-initiate", sid: "abc", initiator: "focus@auth.example/focus" },
    element("content", { creator: "initiator", name: "audio", senders: "both" }, audio, transport()),
    element("content", { creator: "initiator", name: "video", senders: "both" }, video, transport()),
    element("content", { creator: "initiator", name: "data" }, data),
    element("bridge-session", { xmlns: NS.focus, id: "BS1" }),
    element("json-message", { xmlns: NS.jitmeet }, COMPACT),
  );
}

describe("session-initiate", () => {
  const jingle = readJingle(offer());

  it("has its contents, transport and session", () => {
    expect(jingle.contents.map((content) => content.media)).toEqual(["audio", "video", "application"]);
    expect(jingle.contents[0]?.rtp?.payloadTypes[0]).toMatchObject({ id: 111, name: "opus", channels: 2 });
    expect(jingle.contents[1]?.rtp?.isExtmapAllowMixed).toBe(true);
    expect(jingle.contents[0]?.transport).toMatchObject({
      ufrag: "u",
      webSocketUrl: "wss://h.example/colibri-ws/s/c/e?pwd=x",
      fingerprints: [{ hash: "sha-256", setup: "actpass", value: "AA:BB" }],
      candidates: [{ ip: "192.0.2.9", port: 10_000, type: "host" }],
    });
    expect(jingle.contents[2]?.transport?.sctpPort).toBe(5000);
    expect(jingle.bridgeSession).toEqual({ id: "BS1", isRestart: false });
  });

  it("has sources from elements and from compact JSON", () => {
    expect(jingle.sources.map((source) => source.ssrc)).toEqual([7, 1, 2, 4, 3, 200, 100]);
    expect(jingle.sources[0]).toMatchObject({ owner: "0a0b0c0d", name: "0a0b0c0d-v0", media: "video" });
  });

  it("gives one remote source per name, without the bridge's own", () => {
    expect(remoteSources(jingle.sources, jingle.groups)).toEqual([
      { name: "0a0b0c0d-v0", owner: "0a0b0c0d", media: "video", isScreen: false, ssrcs: [7], groups: [] },
      {
        name: "9f8e7d6c-v0",
        owner: "9f8e7d6c",
        media: "video",
        isScreen: false,
        ssrcs: [1, 2],
        groups: [{ semantics: "FID", ssrcs: [1, 2] }],
      },
      { name: "9f8e7d6c-v1", owner: "9f8e7d6c", media: "video", isScreen: true, ssrcs: [4], groups: [] },
      { name: "9f8e7d6c-a0", owner: "9f8e7d6c", media: "audio", isScreen: false, ssrcs: [3], groups: [] },
    ]);
  });
});

describe("remote sources", () => {
  it("lose the upper simulcast streams that nobody sends us", () => {
    const source = (ssrc: number) => ({
      ssrc,
      media: "video" as const,
      name: "a-v0",
      owner: "a",
      msid: null,
      isScreen: false,
    });
    const groups = [
      { semantics: "SIM" as const, ssrcs: [1, 3, 5] },
      { semantics: "FID" as const, ssrcs: [1, 2] },
      { semantics: "FID" as const, ssrcs: [3, 4] },
      { semantics: "FID" as const, ssrcs: [5, 6] },
    ];
    const [only] = remoteSources([1, 2, 3, 4, 5, 6].map(source), groups);
    expect(only?.ssrcs).toEqual([1, 2]);
    expect(only?.groups).toEqual([{ semantics: "FID", ssrcs: [1, 2] }]);
  });

  it("ignore groups over unknown SSRCs, repeated SSRCs and sources without owner", () => {
    const source = { ssrc: 1, media: "audio" as const, name: "a-a0", owner: "a", msid: null, isScreen: false };
    const nobody = { ...source, ssrc: 9, name: null, owner: null };
    const [only, ...more] = remoteSources([source, source, nobody], [{ semantics: "FID", ssrcs: [1, 99] }]);
    expect(only).toMatchObject({ ssrcs: [1], groups: [] });
    expect(more).toEqual([]);
  });
});

describe("malformed Jingle", () => {
  it("is read as far as it goes", () => {
    const jingle = readJingle(
      element(
        "jingle",
        {},
        element(
          "content",
          { name: "video" },
          element(
            "description",
            { media: "video" },
            element("payload-type", { id: "abc", name: "VP8" }),
            element("payload-type", { id: 100, name: "VP8\r\na=x" }),
            element("source", { ssrc: "4294967296" }),
            element("ssrc-group", { semantics: "XX" }),
          ),
          element("transport", {}, element("candidate", { ip: "192.0.2.1" })),
        ),
        element("json-message", {}, "{not json"),
        element("json-message", {}, '{"sources":{"a":[[{"s":-1},{"s":1.5},null,"x"],[["f",1]],7]}}'),
      ),
    );
    expect(jingle.contents[0]?.rtp?.payloadTypes).toEqual([]);
    expect(jingle.sources).toEqual([]);
    expect(jingle.groups).toEqual([]);
    expect(jingle.contents[0]?.transport?.candidates).toEqual([]);
  });
});

describe("writing", () => {
  it("puts each namespace on its element", () => {
    const written = writeJingle({
      action: "session-terminate",
      sid: "s",
      initiator: "room@conference.example/focus",
      reason: { condition: "connectivity-error", text: "ice failed" },
      bridgeSession: { id: "BS1", isRestart: true },
    });
    expect(serialize(written)).toBe(
      '<jingle xmlns="urn:xmpp:jingle:1" action="session-terminate" sid="s" initiator="room@conference.example/focus">' +
        "<reason><connectivity-error/><text>ice failed</text></reason>" +
        '<bridge-session xmlns="http://jitsi.org/protocol/focus" id="BS1" restart="true"/></jingle>',
    );
  });

  it("asks for new ICE credentials, and answers them by their generation", () => {
    const bridgeSession = { id: "BS1", isRestart: false, isIceRestart: true };
    expect(serialize(writeJingle({ action: "session-info", sid: "s", bridgeSession }))).toBe(
      '<jingle xmlns="urn:xmpp:jingle:1" action="session-info" sid="s">' +
        '<bridge-session xmlns="http://jitsi.org/protocol/focus" id="BS1" ice-restart="true"/></jingle>',
    );
    const offered = element("transport", { xmlns: NS.iceUdp, ufrag: "u", pwd: "p", "ice-generation": 2 });
    const read = readJingle(element("jingle", {}, element("content", { name: "audio" }, offered))).contents[0]?.transport;
    expect(read).toMatchObject({ ufrag: "u", pwd: "p", iceGeneration: 2 });
    const content = { name: "audio", senders: "both", media: "audio", rtp: null, sources: [], groups: [] } as const;
    const written = writeJingle({ action: "transport-info", sid: "s", contents: [{ ...content, transport: read ?? null }] });
    const answered = child(child(written, "content"), "transport");
    expect(attribute(answered, "ice-generation")).toBe("2");
    expect(readJingle(element("jingle", {}, element("content", { name: "audio" }, transport()))).contents[0]?.transport).toMatchObject({
      iceGeneration: undefined,
    });
  });

  it("describes sources, groups and the data channel as Jitsi's client does", () => {
    const source = { ssrc: 5, media: "video" as const, name: "a-v0", owner: "a", msid: "s t", isScreen: false };
    const written = writeJingle({
      action: "session-accept",
      sid: "s",
      contents: [
        {
          name: "video",
          senders: "both",
          media: "video",
          rtp: { payloadTypes: [], headerExtensions: [], isExtmapAllowMixed: true },
          transport: null,
          sources: [source, { ...source, ssrc: 6 }],
          groups: [{ semantics: "FID", ssrcs: [5, 6] }],
        },
        {
          name: "data",
          senders: "both",
          media: "application",
          rtp: null,
          transport: { ufrag: "u", pwd: "p", fingerprints: [], candidates: [], webSocketUrl: null, sctpPort: 5000 },
          sources: [],
          groups: [],
        },
      ],
      bundle: ["video", "data"],
    });
    const [video, data] = children(written, "content");
    const description = child(video ?? null, "description");
    expect(children(description, "source", NS.sourceAttributes).map((entry) => attribute(entry, "videoType"))).toEqual([
      "camera",
      "camera",
    ]);
    expect(children(child(description, "ssrc-group"), "source").map((entry) => attribute(entry, "ssrc"))).toEqual(["5", "6"]);
    expect(child(data ?? null, "description")).toBeNull();
    expect(attribute(data ?? null, "senders")).toBeNull();
    expect(child(child(data ?? null, "transport"), "sctpmap", NS.sctp)).not.toBeNull();
    expect(children(child(written, "group"), "content").map((entry) => attribute(entry, "name"))).toEqual(["video", "data"]);
  });
});
