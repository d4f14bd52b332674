import { describe, expect, it } from "vitest";

import { readBridgeMessage, writeReceiverVideoConstraints, writeSourceVideoType } from "./channel_messages";

const read = (message: object) => readBridgeMessage(JSON.stringify(message));

describe("the bridge's messages", () => {
  it("are told apart by colibriClass", () => {
    expect(read({ colibriClass: "ServerHello" })).toEqual({ kind: "hello" });
    expect(
      read({ colibriClass: "DominantSpeakerEndpointChangeEvent", dominantSpeakerEndpoint: "a", previousSpeakers: [] }),
    ).toEqual({ kind: "dominant-speaker", endpoint: "a" });
    expect(
      read({ colibriClass: "DominantSpeakerEndpointChangeEvent", dominantSpeakerEndpoint: "a", silence: true }),
    ).toEqual({ kind: "dominant-speaker", endpoint: null });
    expect(read({ colibriClass: "ForwardedSources", forwardedSources: ["a-v0", 3] })).toEqual({
      kind: "forwarded-sources",
      sources: ["a-v0"],
    });
    expect(read({ colibriClass: "SenderSourceConstraints", sourceName: "a-v0", maxHeight: 360 })).toEqual({
      kind: "sender-constraint",
      source: "a-v0",
      maxHeight: 360,
    });
  });

  it("say by a word whether somebody is reachable", () => {
    const message = { colibriClass: "EndpointConnectivityStatusChangeEvent", endpoint: "a" };
    expect(read({ ...message, active: "true" })).toMatchObject({ isActive: true });
    expect(read({ ...message, active: "false" })).toMatchObject({ isActive: false });
    expect(read({ ...message, active: true })).toMatchObject({ isActive: true });
  });

  it("are ignored when they are unknown or malformed", () => {
    for (const text of ["", "null", "[]", "{", '{"colibriClass":"New"}', '{"colibriClass":"SenderSourceConstraints"}']) {
      expect(readBridgeMessage(text)).toBeNull();
    }
  });
});

describe("our messages", () => {
  it("ask for nothing but what is named", () => {
    const heights = new Map([
      ["b-v0", 360],
      ["a-v1", 2160],
    ]);
    expect(JSON.parse(writeReceiverVideoConstraints({ heights, onStage: ["a-v1"] }))).toEqual({
      colibriClass: "ReceiverVideoConstraints",
      lastN: -1,
      selectedSources: [],
      onStageSources: ["a-v1"],
      defaultConstraints: { maxHeight: 0 },
      constraints: { "a-v1": { maxHeight: 2160 }, "b-v0": { maxHeight: 360 } },
    });
    expect(JSON.parse(writeSourceVideoType("a-v0", "none"))).toMatchObject({ sourceName: "a-v0", videoType: "none" });
  });
});
