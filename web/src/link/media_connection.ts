/**
 * What the connection to the bridge and the one to a peer have in common: an RTCPeerConnection whose changes are made
 * one after another, our own tracks on it, and what can be read from it.
 */

import type { LocalMedia } from "./jingle_sdp";
import { signalledStreams } from "./jingle_sdp";
import type { EncodingPlan } from "./encodings";
import type { Source, SourceGroup } from "./sources";

export type OwnSource = "microphone" | "camera" | "screen";

export const OWN_SOURCES: readonly OwnSource[] = ["microphone", "camera", "screen"];

export type OwnTracks = Readonly<Record<OwnSource, MediaStreamTrack | null>>;

/** Names of our sources: `1a2b3c4d-a0`. */
export function sourceName(id: string, source: OwnSource): string {
  return `${id}-${source === "microphone" ? "a0" : source === "camera" ? "v0" : "v1"}`;
}

export interface SourceStatistics {
  readonly packetsReceived: number;
  readonly framesDecoded: number;
  readonly totalAudioEnergy: number;
}

export abstract class MediaConnection {
  protected readonly connection: RTCPeerConnection;
  protected isClosed = false;
  protected version = 0;
  #queue: Promise<void> = Promise.resolve();
  readonly #number = nextNumber++;
  /** Who had news at the last look: mostly it has again. */
  #lively: RTCRtpReceiver | null = null;

  protected constructor(iceServers: readonly RTCIceServer[]) {
    this.connection = new RTCPeerConnection({ iceServers: [...iceServers], bundlePolicy: "max-bundle" });
  }

  get iceState(): RTCIceConnectionState {
    return this.connection.iceConnectionState;
  }

  get signalingState(): RTCSignalingState {
    return this.connection.signalingState;
  }

  /** The m-line on which a remote source arrives, or null. */
  protected abstract midOf(source: string): string | null;

  /** Names of the remote sources that are set up here. */
  abstract get sourceNames(): readonly string[];

  track(source: string): MediaStreamTrack | null {
    return this.#receiver(source)?.track ?? null;
  }

  /** Changes whenever `track` would give something else. */
  trackKey(source: string): string | null {
    const mid = this.midOf(source);
    return mid === null || this.#receiver(source) === null ? null : `${this.#number}/${mid}/${source}`;
  }

  audioLevel(source: string): number {
    return this.#receiver(source)?.getSynchronizationSources()[0]?.audioLevel ?? 0;
  }

  /** When the newest packet that is newer than `known` was played, in the browser's milliseconds; else `known`. */
  protected newestSince(known: number): number {
    const played = (receiver: RTCRtpReceiver): number => receiver.getSynchronizationSources()[0]?.timestamp ?? 0;
    const before = this.#lively === null ? 0 : played(this.#lively);
    if (before > known) return before;
    for (const receiver of this.connection.getReceivers()) {
      const at = played(receiver);
      if (at <= known) continue;
      this.#lively = receiver;
      return at;
    }
    return known;
  }

  async statistics(source: string): Promise<SourceStatistics | null> {
    const receiver = this.#receiver(source);
    if (receiver === null || this.isClosed) return null;
    const result = { packetsReceived: 0, framesDecoded: 0, totalAudioEnergy: 0 };
    (await receiver.getStats()).forEach((entry: RTCStats) => {
      if (entry.type !== "inbound-rtp") return;
      const inbound: Partial<RTCInboundRtpStreamStats> = entry;
      result.packetsReceived += inbound.packetsReceived ?? 0;
      result.framesDecoded += inbound.framesDecoded ?? 0;
      result.totalAudioEnergy += inbound.totalAudioEnergy ?? 0;
    });
    return result;
  }

  close(): void {
    this.isClosed = true;
    this.connection.close();
  }

  /** Runs changes one after another; none starts after closing. An error in one does not stop the others. */
  protected enqueue(what: string, task: () => Promise<void>): Promise<void> {
    const run = this.#queue.then(async () => {
      if (!this.isClosed) await task();
    });
    this.#queue = run.catch((error: unknown) => {
      if (!this.isClosed) console.warn(`media: ${what} failed`, error);
    });
    return run;
  }

  protected transceiver(mid: string): RTCRtpTransceiver | null {
    return this.connection.getTransceivers().find((transceiver) => transceiver.mid === mid) ?? null;
  }

  protected async applyEncodings(sender: RTCRtpSender, plan: readonly EncodingPlan[]): Promise<void> {
    const parameters = sender.getParameters();
    if (parameters.encodings === undefined || parameters.encodings.length === 0) return;
    parameters.encodings.forEach((encoding, index) => {
      const planned = plan[index];
      if (planned === undefined) return;
      encoding.active = planned.isActive;
      encoding.maxBitrate = planned.maxBitrate;
      encoding.scaleResolutionDownBy = planned.scaleDownBy;
    });
    await sender.setParameters(parameters);
  }

  #receiver(source: string): RTCRtpReceiver | null {
    const mid = this.midOf(source);
    return mid === null ? null : (this.transceiver(mid)?.receiver ?? null);
  }
}

let nextNumber = 1;

/** What our browser sends on one m-line, as Jingle says it. */
export function ownStreams(
  media: LocalMedia | undefined,
  id: string,
  source: OwnSource,
): { readonly sources: Source[]; readonly groups: SourceGroup[] } {
  if (media === undefined) return { sources: [], groups: [] };
  const { ssrcs, groups } = signalledStreams(media);
  const name = sourceName(id, source);
  return {
    sources: ssrcs.map((ssrc) => ({
      ssrc,
      media: source === "microphone" ? "audio" : "video",
      name,
      owner: id,
      // Stream and track need names that are unique in the conference and stay the same.
      msid: `${name} ${name}-track`,
      isScreen: source === "screen",
    })),
    groups: [...groups],
  };
}

/** The height that simulcast is counted from: the shorter side, so that a phone held upright is no giant. */
export function captureHeight(track: MediaStreamTrack | null): number {
  const { width, height } = track?.getSettings() ?? {};
  return Math.min(width ?? DEFAULT_HEIGHT, height ?? DEFAULT_HEIGHT);
}

const DEFAULT_HEIGHT = 720;

export function isFirefox(): boolean {
  return /\bFirefox\//.test(navigator.userAgent);
}

export function randomSsrc(): number {
  const value = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  return value === 0 ? randomSsrc() : value;
}
