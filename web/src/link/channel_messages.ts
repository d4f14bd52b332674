/** Messages of the bridge channel: JSON objects told apart by `colibriClass`. Pure. */

import { isRecord, numberOf, parseJson, stringOf, stringsOf } from "./json";

export type BridgeMessage =
  | { readonly kind: "hello" }
  | { readonly kind: "dominant-speaker"; readonly endpoint: string | null }
  /** The whole list of video sources that the bridge sends us now. */
  | { readonly kind: "forwarded-sources"; readonly sources: readonly string[] }
  /** What others want of one of our sources: 0 nothing, -1 everything. */
  | { readonly kind: "sender-constraint"; readonly source: string; readonly maxHeight: number }
  | { readonly kind: "connectivity"; readonly endpoint: string; readonly isActive: boolean };

/** Null for what is malformed or not for us. */
export function readBridgeMessage(json: string): BridgeMessage | null {
  const message = parseJson(json);
  if (!isRecord(message)) return null;
  switch (message["colibriClass"]) {
    case "ServerHello":
      return { kind: "hello" };
    case "DominantSpeakerEndpointChangeEvent":
      return {
        kind: "dominant-speaker",
        endpoint: message["silence"] === true ? null : stringOf(message["dominantSpeakerEndpoint"]),
      };
    case "ForwardedSources":
      return { kind: "forwarded-sources", sources: stringsOf(message["forwardedSources"]) };
    case "SenderSourceConstraints": {
      const source = stringOf(message["sourceName"]);
      const maxHeight = numberOf(message["maxHeight"]);
      return source === null || maxHeight === null ? null : { kind: "sender-constraint", source, maxHeight };
    }
    case "EndpointConnectivityStatusChangeEvent": {
      const endpoint = stringOf(message["endpoint"]);
      const active = message["active"];
      // COMPAT(jitsi-videobridge): the value is a string; a boolean is what one would expect.
      return endpoint === null ? null : { kind: "connectivity", endpoint, isActive: active === "true" || active === true };
    }
    default:
      return null;
  }
}

/** What we want to receive. Sources that are not named are not sent. */
export interface VideoConstraints {
  /** Height in lines, by source name. */
  readonly heights: ReadonlyMap<string, number>;
  /** These get bandwidth first. */
  readonly onStage: readonly string[];
}

export function writeReceiverVideoConstraints(constraints: VideoConstraints): string {
  const entries = [...constraints.heights].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({
    colibriClass: "ReceiverVideoConstraints",
    lastN: -1,
    selectedSources: [],
    onStageSources: constraints.onStage,
    defaultConstraints: { maxHeight: 0 },
    constraints: Object.fromEntries(entries.map(([source, maxHeight]) => [source, { maxHeight }])),
  });
}

export function writeSourceVideoType(source: string, videoType: "camera" | "desktop" | "none"): string {
  return JSON.stringify({ colibriClass: "SourceVideoTypeMessage", sourceName: source, videoType });
}
