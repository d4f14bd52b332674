/**
 * Which m-line carries which remote source, in the connection to the bridge.
 *
 * Pure. The first m-lines are ours (microphone, camera, screen, data channel) and never move; the others carry one remote
 * source each. When a source goes, its m-line stays, inactive, and takes the next source of its kind: descriptions stay
 * as small as the meeting was large at its largest.
 */

import type { Slot } from "./jingle_sdp";
import type { RtpDescription } from "./jingle";
import type { RemoteSource } from "./sources";

export const MICROPHONE_MID = "0";
export const CAMERA_MID = "1";
export const SCREEN_MID = "2";
export const DATA_MID = "3";

interface RemoteSlot {
  readonly mid: string;
  readonly media: "audio" | "video";
  source: RemoteSource | null;
  lastName: string;
}

export interface SlotOptions {
  readonly audio: RtpDescription;
  readonly video: RtpDescription;
  /** Ask for simulcast by `rid` (Firefox). */
  readonly isRidWanted: boolean;
  readonly hasData: boolean;
}

export class BridgeSlots {
  readonly #options: SlotOptions;
  readonly #remote: RemoteSlot[] = [];

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** The m-line of a source, or null. */
  midOf(name: string): string | null {
    return this.#remote.find((slot) => slot.source?.name === name)?.mid ?? null;
  }

  get sources(): readonly RemoteSource[] {
    return this.#remote.flatMap((slot) => slot.source ?? []);
  }

  /** Adds or replaces sources by name. */
  add(sources: readonly RemoteSource[]): void {
    for (const source of sources) {
      const slot =
        this.#remote.find((slot) => slot.source?.name === source.name) ??
        // The same source again: Firefox shows nothing if its SSRCs wander to another m-line.
        this.#remote.find((slot) => slot.source === null && slot.lastName === source.name) ??
        this.#remote.find((slot) => slot.source === null && slot.media === source.media) ??
        this.#newSlot(source.media);
      slot.source = source;
      slot.lastName = source.name;
    }
  }

  /** Removes every source that has one of these SSRCs. */
  removeSsrcs(ssrcs: ReadonlySet<number>): void {
    this.#remove((source) => source.ssrcs.some((ssrc) => ssrcs.has(ssrc)));
  }

  removeOwner(owner: string): void {
    this.#remove((source) => source.owner === owner);
  }

  /** The m-lines as the bridge would describe them. */
  describe(): Slot[] {
    const { audio, video, isRidWanted, hasData } = this.#options;
    const own = { direction: "recvonly", source: null, isSimulcastReceived: false } as const;
    const slots: Slot[] = [
      { ...own, mid: MICROPHONE_MID, media: "audio", rtp: audio },
      { ...own, mid: CAMERA_MID, media: "video", rtp: video, isSimulcastReceived: isRidWanted },
      { ...own, mid: SCREEN_MID, media: "video", rtp: video },
    ];
    if (hasData) slots.push({ ...own, mid: DATA_MID, media: "application", rtp: null });
    for (const slot of this.#remote) {
      slots.push({
        mid: slot.mid,
        media: slot.media,
        direction: slot.source === null ? "inactive" : "sendonly",
        rtp: slot.media === "audio" ? audio : video,
        source: slot.source,
        isSimulcastReceived: false,
      });
    }
    return slots;
  }

  #remove(isGone: (source: RemoteSource) => boolean): void {
    for (const slot of this.#remote) {
      if (slot.source !== null && isGone(slot.source)) slot.source = null;
    }
  }

  #newSlot(media: "audio" | "video"): RemoteSlot {
    const slot: RemoteSlot = { mid: String(FIRST_REMOTE_MID + this.#remote.length), media, source: null, lastName: "" };
    this.#remote.push(slot);
    return slot;
  }
}

const FIRST_REMOTE_MID = 4;
