import { describe, expect, it } from "vitest";

import type { RtpDescription } from "./jingle";
import { BridgeSlots } from "./slots";
import type { RemoteSource } from "./sources";

const RTP: RtpDescription = { payloadTypes: [], headerExtensions: [], isExtmapAllowMixed: false };

function source(name: string, ssrc: number): RemoteSource {
  const media = name.includes("-a") ? "audio" : "video";
  return { name, owner: name.slice(0, name.indexOf("-")), media, isScreen: false, ssrcs: [ssrc], groups: [] };
}

function slots(): BridgeSlots {
  return new BridgeSlots({ audio: RTP, video: RTP, isRidWanted: false, hasData: true });
}

const remote = (of: BridgeSlots) =>
  of
    .describe()
    .slice(4)
    .map((slot) => [slot.mid, slot.media, slot.direction, slot.source?.name ?? null]);

describe("m-lines to the bridge", () => {
  it("give each remote source one of its own, behind ours", () => {
    const value = slots();
    value.add([source("a-a0", 1), source("a-v0", 2), source("b-v0", 3)]);
    expect(value.describe().slice(0, 4).map((slot) => [slot.mid, slot.media, slot.direction])).toEqual([
      ["0", "audio", "recvonly"],
      ["1", "video", "recvonly"],
      ["2", "video", "recvonly"],
      ["3", "application", "recvonly"],
    ]);
    expect(remote(value)).toEqual([
      ["4", "audio", "sendonly", "a-a0"],
      ["5", "video", "sendonly", "a-v0"],
      ["6", "video", "sendonly", "b-v0"],
    ]);
    expect(value.midOf("b-v0")).toBe("6");
    expect(value.midOf("c-v0")).toBeNull();
  });

  it("stay when a source goes, and take the next of the kind", () => {
    const value = slots();
    value.add([source("a-a0", 1), source("a-v0", 2)]);
    value.removeOwner("a");
    expect(remote(value)).toEqual([
      ["4", "audio", "inactive", null],
      ["5", "video", "inactive", null],
    ]);
    value.add([source("b-v0", 3)]);
    expect(value.midOf("b-v0")).toBe("5");
    expect(value.sources.map((entry) => entry.name)).toEqual(["b-v0"]);
  });

  it("give a source that comes back its old place", () => {
    const value = slots();
    value.add([source("a-v0", 1), source("b-v0", 2)]);
    value.removeSsrcs(new Set([1, 2]));
    value.add([source("b-v0", 2)]);
    expect(value.midOf("b-v0")).toBe("5");
  });

  it("take changed SSRCs of a known source in place", () => {
    const value = slots();
    value.add([source("a-v0", 1)]);
    value.add([source("a-v0", 9)]);
    expect(value.sources).toEqual([source("a-v0", 9)]);
    expect(remote(value)).toHaveLength(1);
  });
});
