/**
 * `window.__meeting`: what a test in a real browser, or a curious person, can read. It changes nothing.
 *
 * `__meeting.state` is the state of the meeting. `await __meeting.stats()` tells for each other participant what has
 * arrived so far, so that two readings show whether media flows:
 *
 * - `via`: `p2p` or `bridge`, or null while nothing is set up;
 * - `framesDecoded`: pictures of camera and screen together;
 * - `audioPackets`, `audioEnergy`: of the microphone.
 */

import type { SourceReport } from "../link/media_paths";
import type { MeetingState, ParticipantId, SourceName } from "./state";

export interface ParticipantReport {
  readonly id: ParticipantId;
  readonly name: string;
  readonly via: "p2p" | "bridge" | null;
  readonly framesDecoded: number;
  readonly audioPackets: number;
  readonly audioEnergy: number;
}

export interface MeetingDebug {
  readonly state: MeetingState;
  stats(): Promise<ParticipantReport[]>;
}

declare global {
  interface Window {
    __meeting?: MeetingDebug;
  }
}

export function exposeDebug(
  state: () => MeetingState,
  statistics: (source: SourceName) => Promise<SourceReport | null>,
): void {
  window.__meeting = {
    get state() {
      return state();
    },
    stats: () => Promise.all(state().participants.map((participant) => report(participant, statistics))),
  };
}

async function report(
  participant: MeetingState["participants"][number],
  statistics: (source: SourceName) => Promise<SourceReport | null>,
): Promise<ParticipantReport> {
  let via: ParticipantReport["via"] = null;
  let framesDecoded = 0;
  let audioPackets = 0;
  let audioEnergy = 0;
  for (const source of participant.sources) {
    const entry = await statistics(source.name);
    if (entry === null) continue;
    via = entry.via;
    framesDecoded += entry.framesDecoded;
    if (source.kind !== "microphone") continue;
    audioPackets += entry.packetsReceived;
    audioEnergy += entry.totalAudioEnergy;
  }
  return { id: participant.id, name: participant.name, via, framesDecoded, audioPackets, audioEnergy };
}
