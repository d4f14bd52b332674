import { describe, expect, it } from "vitest";

import chromiumAnswer from "./fixtures/chromium-bridge-answer.sdp?raw";
import chromiumAnswerAgain from "./fixtures/chromium-bridge-answer-again.sdp?raw";
import chromiumOffer from "./fixtures/chromium-peer-offer.sdp?raw";
import firefoxAnswer from "./fixtures/firefox-bridge-answer.sdp?raw";
import firefoxAnswerAgain from "./fixtures/firefox-bridge-answer-again.sdp?raw";
import firefoxOffer from "./fixtures/firefox-peer-offer.sdp?raw";
import { readJingle, writeJingle } from "./jingle";
import type { RtpDescription, Transport } from "./jingle";
import {
  addSimulcast,
  readCandidateLine,
  readSdp,
  signalledStreams,
  withCodecs,
  withoutMid,
  writeCandidate,
  writeSdp,
} from "./jingle_sdp";
import { ownStreams } from "./media_connection";
import { BridgeSlots } from "./slots";
import { child, element } from "./xml";

/** Real descriptions: Chromium 156 and Firefox ESR 153, answering the offer of a bridge and offering to a peer. */
const SAMPLES: Readonly<Record<string, string>> = {
  "chromium-bridge-answer": chromiumAnswer,
  "chromium-bridge-answer-again": chromiumAnswerAgain,
  "chromium-peer-offer": chromiumOffer,
  "firefox-bridge-answer": firefoxAnswer,
  "firefox-bridge-answer-again": firefoxAnswerAgain,
  "firefox-peer-offer": firefoxOffer,
};

const sample = (name: string): string => SAMPLES[name] ?? "";

const TRANSPORT: Transport = {
  ufrag: "abcd",
  pwd: "abcdefghijklmnopqrstuvwx",
  fingerprints: [{ hash: "sha-256", setup: "actpass", value: "AB:CD" }],
  candidates: [
    {
      foundation: "1",
      component: 1,
      protocol: "udp",
      priority: 2_130_706_431,
      ip: "192.0.2.9",
      port: 10_000,
      type: "host",
      relatedAddress: null,
      relatedPort: null,
      tcpType: null,
    },
  ],
  webSocketUrl: null,
  sctpPort: 5000,
};

const AUDIO: RtpDescription = {
  payloadTypes: [
    {
      id: 111,
      name: "opus",
      clockRate: 48_000,
      channels: 2,
      parameters: [
        { name: "minptime", value: "10" },
        { name: "useinbandfec", value: "1" },
      ],
      feedback: [{ type: "transport-cc", subtype: null }],
    },
  ],
  headerExtensions: [{ id: 1, uri: "urn:ietf:params:rtp-hdrext:ssrc-audio-level" }],
  isExtmapAllowMixed: true,
};

const VIDEO: RtpDescription = {
  payloadTypes: [
    {
      id: 100,
      name: "VP8",
      clockRate: 90_000,
      channels: 1,
      parameters: [],
      feedback: [
        { type: "ccm", subtype: "fir" },
        { type: "nack", subtype: null },
        { type: "nack", subtype: "pli" },
      ],
    },
    {
      id: 96,
      name: "rtx",
      clockRate: 90_000,
      channels: 1,
      parameters: [{ name: "apt", value: "100" }],
      feedback: [],
    },
  ],
  headerExtensions: [{ id: 3, uri: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" }],
  isExtmapAllowMixed: true,
};

describe("reading a browser's description", () => {
  it("sees what Chromium sends to the bridge", () => {
    const media = readSdp(sample("chromium-bridge-answer"));
    expect(media.map((entry) => [entry.mid, entry.media, entry.direction])).toEqual([
      ["0", "audio", "sendonly"],
      ["1", "video", "sendonly"],
      ["2", "video", "inactive"],
      ["3", "application", "sendrecv"],
      ["4", "video", "recvonly"],
    ]);
    const [audio, video, screen, data] = media;
    expect(audio?.ssrcs).toHaveLength(1);
    expect(audio?.rtp.payloadTypes).toMatchObject([{ id: 111, name: "opus", clockRate: 48_000, channels: 2 }]);
    expect(audio?.rtp.payloadTypes[0]?.parameters).toContainEqual({ name: "useinbandfec", value: "1" });
    expect(audio?.transport).toMatchObject({ ufrag: "Stf5", fingerprints: [{ hash: "sha-256", setup: "active" }] });
    expect(video?.ssrcs).toHaveLength(2);
    expect(video?.groups).toEqual([{ semantics: "FID", ssrcs: video?.ssrcs }]);
    expect(video?.rtp.payloadTypes.map((type) => type.name)).toEqual(["VP8", "rtx"]);
    expect(video?.rtp.payloadTypes[0]?.feedback).toContainEqual({ type: "nack", subtype: "pli" });
    expect(screen?.ssrcs).toEqual([]);
    expect(data?.transport.sctpPort).toBe(5000);
  });

  it("sees Firefox's simulcast, which it names by rid, and its session-wide fingerprint", () => {
    const media = readSdp(sample("firefox-bridge-answer"));
    const video = media.find((entry) => entry.mid === "1");
    expect(video?.transport.fingerprints).toMatchObject([{ hash: "sha-256", setup: "active" }]);
    expect(video?.ssrcs).toHaveLength(6);
    const streams = video === undefined ? null : signalledStreams(video);
    expect(streams?.groups.map((group) => group.semantics)).toEqual(["SIM", "FID", "FID", "FID"]);
    expect(streams?.groups[0]?.ssrcs).toEqual(streams?.groups.slice(1).map((group) => group.ssrcs[0]));
    // The dependency descriptor is written with a direction there.
    expect(video?.rtp.headerExtensions.map((extension) => extension.id)).toEqual([3, 5, 11]);
  });

  it("takes no SSRC from m-lines on which Firefox only receives", () => {
    const media = readSdp(sample("firefox-bridge-answer"));
    expect(media.find((entry) => entry.mid === "4")?.ssrcs).toEqual([]);
    expect(media.find((entry) => entry.mid === "2")?.ssrcs).toEqual([]);
  });

  it("sees the screen once it is shared", () => {
    for (const browser of ["chromium", "firefox"]) {
      const screen = readSdp(sample(`${browser}-bridge-answer-again`)).find((entry) => entry.mid === "2");
      expect(screen?.direction).toBe("sendonly");
      expect(screen?.ssrcs).toHaveLength(2);
    }
  });

  it("leaves rubbish out", () => {
    expect(readSdp("")).toEqual([]);
    expect(readSdp("v=0\r\nm=audio\r\nm=video 9 X 100\r\n")).toEqual([]);
  });
});

describe("simulcast in Chromium", () => {
  it("adds a SIM group of three streams to one m-line and touches no other", () => {
    const before = sample("chromium-bridge-answer");
    const after = addSimulcast(before, "1", [2001, 2002, 3001, 3002]);
    const of = (sdp: string, mid: string) => readSdp(sdp).find((entry) => entry.mid === mid);
    const [primary, repair] = of(before, "1")?.ssrcs ?? [];
    expect(of(after, "1")?.groups).toEqual([
      { semantics: "SIM", ssrcs: [primary, 2001, 3001] },
      { semantics: "FID", ssrcs: [primary, repair] },
      { semantics: "FID", ssrcs: [2001, 2002] },
      { semantics: "FID", ssrcs: [3001, 3002] },
    ]);
    expect(of(after, "1")?.ssrcs).toEqual([primary, repair, 2001, 2002, 3001, 3002]);
    for (const mid of ["0", "2", "3", "4"]) expect(of(after, mid)).toEqual(of(before, mid));
    expect(after.match(/a=ssrc:2001 cname:/g)).toHaveLength(1);
    expect(after.endsWith("\r\n")).toBe(true);
  });

  it("works on the last m-line, too", () => {
    const sdp = sample("chromium-bridge-answer").split("m=video 9 UDP/TLS/RTP/SAVPF 100 96").slice(0, 2);
    const short = sdp.join("m=video 9 UDP/TLS/RTP/SAVPF 100 96");
    expect(readSdp(addSimulcast(short, "1", [1, 2, 3, 4])).at(-1)?.groups).toHaveLength(4);
  });

  it("changes nothing the second time, nor for Firefox, nor where nothing is sent", () => {
    const again = sample("chromium-bridge-answer-again");
    expect(addSimulcast(again, "1", [1, 2, 3, 4])).toBe(again);
    const firefox = sample("firefox-bridge-answer");
    expect(addSimulcast(firefox, "1", [1, 2, 3, 4])).toBe(firefox);
    const first = sample("chromium-bridge-answer");
    expect(addSimulcast(first, "2", [1, 2, 3, 4])).toBe(first);
    expect(addSimulcast(first, "9", [1, 2, 3, 4])).toBe(first);
  });
});

describe("writing the other side's description", () => {
  const slots = new BridgeSlots({ audio: AUDIO, video: VIDEO, isRidWanted: true, hasData: true });
  slots.add([
    {
      name: "9f8e7d6c-v0",
      owner: "9f8e7d6c",
      media: "video",
      isScreen: false,
      ssrcs: [1000, 1001],
      groups: [{ semantics: "FID", ssrcs: [1000, 1001] }],
    },
  ]);
  const sdp = writeSdp({ version: 7, transport: TRANSPORT, setup: "actpass", slots: slots.describe() });

  it("reads as it was written", () => {
    const media = readSdp(sdp);
    expect(media.map((entry) => [entry.mid, entry.media, entry.direction])).toEqual([
      ["0", "audio", "recvonly"],
      ["1", "video", "recvonly"],
      ["2", "video", "recvonly"],
      ["3", "application", "sendrecv"],
      ["4", "video", "sendonly"],
    ]);
    expect(media[0]?.rtp).toEqual(AUDIO);
    expect(media[1]?.rtp).toEqual(VIDEO);
    expect(media[4]).toMatchObject({ ssrcs: [1000, 1001], groups: [{ semantics: "FID", ssrcs: [1000, 1001] }] });
    expect(media[0]?.transport.candidates).toEqual(TRANSPORT.candidates);
    expect(media[0]?.transport.ufrag).toBe("abcd");
  });

  it("has one line per fact, in the order that browsers want", () => {
    expect(sdp.split("\r\n").slice(0, 7)).toEqual([
      "v=0",
      "o=- 1 7 IN IP4 0.0.0.0",
      "s=-",
      "t=0 0",
      "a=group:BUNDLE 0 1 2 3 4",
      "a=msid-semantic: WMS *",
      "a=ice-options:trickle",
    ]);
    expect(sdp).toContain("\r\na=rtpmap:111 opus/48000/2\r\n");
    expect(sdp).toContain("\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n");
    expect(sdp).toContain("\r\na=rtcp-fb:100 nack pli\r\n");
    expect(sdp).toContain("\r\na=msid:9f8e7d6c-v0 9f8e7d6c-v0-track\r\n");
    expect(sdp.match(/a=candidate:/g)).toHaveLength(1);
    expect(sdp.match(/a=simulcast:recv 1;2;3/g)).toHaveLength(1);
  });

  it("writes a parameter without a name as a bare value", () => {
    const red = {
      ...AUDIO,
      payloadTypes: [
        { id: 112, name: "red", clockRate: 48_000, channels: 2, parameters: [{ name: "", value: "111/111" }], feedback: [] },
      ],
    };
    const description = new BridgeSlots({ audio: red, video: VIDEO, isRidWanted: false, hasData: false }).describe();
    const written = writeSdp({ version: 1, transport: TRANSPORT, setup: "active", slots: description });
    expect(written).toContain("\r\na=fmtp:112 111/111\r\n");
    expect(written).not.toContain("simulcast");
    expect(written).not.toContain("m=application");
  });
});

describe("from one browser to the other, by Jingle", () => {
  for (const browser of ["chromium", "firefox"]) {
    it(`carries ${browser}'s offer`, () => {
      const [audio, video] = readSdp(sample(`${browser}-peer-offer`));
      if (audio === undefined || video === undefined) throw new Error("the sample has both");
      const contents = [audio, video].map((media, index) => ({
        name: String(index),
        senders: "both" as const,
        media: media.media,
        rtp: withoutMid(withCodecs(media.rtp, index === 0 ? ["opus"] : ["vp8", "vp9"])),
        transport: media.transport,
        ...ownStreams(media, "1a2b3c4d", index === 0 ? "microphone" : "camera"),
      }));
      const jingle = readJingle(
        writeJingle({ action: "session-initiate", sid: "s", initiator: "a", contents, bundle: ["0", "1"] }),
      );
      expect(jingle.contents.map((content) => content.name)).toEqual(["0", "1"]);
      expect(jingle.contents.map((content) => content.media)).toEqual(["audio", "video"]);
      expect(jingle.contents[0]?.rtp).toEqual(contents[0]?.rtp);
      expect(jingle.contents[1]?.rtp).toEqual(contents[1]?.rtp);
      expect(jingle.contents[0]?.transport).toMatchObject({
        ufrag: audio.transport.ufrag,
        pwd: audio.transport.pwd,
        fingerprints: audio.transport.fingerprints,
      });
      expect(jingle.sources.map((source) => source.ssrc)).toEqual([...audio.ssrcs, ...video.ssrcs]);
      expect(jingle.sources.map((source) => source.owner)).toEqual(["1a2b3c4d", "1a2b3c4d", "1a2b3c4d"]);
      expect(jingle.groups).toEqual(video.groups);
      const uris = jingle.contents.flatMap((content) => content.rtp?.headerExtensions ?? []).map((entry) => entry.uri);
      expect(uris.filter((uri) => uri.includes("sdes"))).toEqual([]);
      const names = jingle.contents[1]?.rtp?.payloadTypes.map((type) => type.name) ?? [];
      expect(names[0]).toBe("VP8");
      expect(new Set(names)).toEqual(new Set(["VP8", "VP9", "rtx"]));
    });
  }
});

describe("the choice of codecs", () => {
  it("is ours in number and order, with the repair streams that belong to it", () => {
    const type = (id: number, name: string, apt?: number) => ({
      id,
      name,
      clockRate: 90_000,
      channels: 1,
      parameters: apt === undefined ? [] : [{ name: "apt", value: String(apt) }],
      feedback: [],
    });
    const theirs = [type(41, "AV1"), type(42, "rtx", 41), type(101, "VP9"), type(97, "rtx", 101), type(100, "VP8")];
    const chosen = withCodecs({ ...VIDEO, payloadTypes: [...theirs, type(96, "rtx", 100)] }, ["vp8", "vp9"]);
    expect(chosen.payloadTypes.map((entry) => entry.id)).toEqual([100, 101, 97, 96]);
  });
});

describe("candidates", () => {
  const line =
    "candidate:842163049 1 udp 1677729535 198.51.100.7 46154 typ srflx raddr 192.0.2.4 rport 46154 generation 0 ufrag x";

  it("go there and back", () => {
    const candidate = readCandidateLine(line);
    expect(candidate).toMatchObject({ type: "srflx", relatedAddress: "192.0.2.4", relatedPort: 46_154, tcpType: null });
    if (candidate === null) throw new Error("was read");
    expect(readCandidateLine(writeCandidate(candidate))).toEqual(candidate);
  });

  it("say what TCP candidates are", () => {
    const tcp = "a=candidate:1 1 TCP 2105458943 192.0.2.2 9 typ host tcptype active";
    expect(readCandidateLine(tcp)).toMatchObject({ protocol: "tcp", tcpType: "active" });
  });

  it("are refused when they are something else", () => {
    expect(readCandidateLine("")).toBeNull();
    expect(readCandidateLine("candidate:1 1 udp")).toBeNull();
  });

  it("can't smuggle lines into a description", () => {
    const jingle = element(
      "jingle",
      { action: "session-initiate", sid: "s" },
      element(
        "content",
        { name: "audio" },
        element("description", { media: "audio" }),
        element(
          "transport",
          { ufrag: "u\r\na=evil", pwd: "p" },
          element("candidate", { ip: "192.0.2.1\r\na=evil", port: 1, priority: 1, foundation: "1 x" }),
        ),
      ),
    );
    const transport = readJingle(jingle).contents[0]?.transport;
    expect(transport?.ufrag).toBe("ua=evil");
    expect(transport?.candidates[0]?.ip).toBe("192.0.2.1a=evil");
    expect(transport?.candidates[0]?.foundation).toBe("1x");
    expect(child(jingle, "content")).not.toBeNull();
  });
});
