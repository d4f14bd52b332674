/** Who speaks now, from sound levels: ten times a second, written only when somebody starts or stops. */

import { type Accessor, createSignal, onCleanup } from "solid-js";
import type { Meeting } from "../meeting/meeting";
import type { ParticipantId } from "../meeting/state";

type Speaker = ParticipantId | "self";

const EVERY_MS = 100;
/** Linear level, 0 to 1. Quiet speech is above, a fan below. */
const SPEECH = 0.02;
/** The ring stays over the pauses between words. */
const HOLD_MS = 600;

export function createSpeakers(meeting: Meeting, watched: Accessor<readonly Speaker[]>): Accessor<ReadonlySet<Speaker>> {
  const [speaking, setSpeaking] = createSignal<ReadonlySet<Speaker>>(new Set());
  const lastHeard = new Map<Speaker, number>();
  const timer = setInterval(() => {
    const now = performance.now();
    const people = watched();
    for (const person of people) if (meeting.audioLevel(person) >= SPEECH) lastHeard.set(person, now);
    const heard = people.filter((person) => now - (lastHeard.get(person) ?? -Infinity) < HOLD_MS);
    const before = speaking();
    if (heard.length !== before.size || heard.some((person) => !before.has(person))) setSpeaking(new Set(heard));
  }, EVERY_MS);
  onCleanup(() => clearInterval(timer));
  return speaking;
}

/** Lit bars of a meter with `bars` of them: hearing is logarithmic, from −54 dB to −6 dB. */
export function litBars(level: number, bars: number): number {
  if (level <= 0) return 0;
  const decibels = 20 * Math.log10(level);
  return Math.max(0, Math.min(bars, Math.round(((decibels + 54) / 48) * bars)));
}
