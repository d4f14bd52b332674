/** When two people connect directly, and which of them makes the offer. Pure. */

import type { Occupant } from "./room";

export type PeerRule =
  /** Media takes the bridge. */
  | { readonly kind: "bridge" }
  /** We offer to the only other participant. */
  | { readonly kind: "offer"; readonly peer: string }
  /** The only other participant offers to us. */
  | { readonly kind: "wait"; readonly peer: string };

/** Exactly one other, and the smaller nick offers: the rule of Jitsi's client, so that both sides agree. */
export function peerRule(id: string, occupants: ReadonlyMap<string, Occupant>, isEnabled: boolean): PeerRule {
  const [other, ...more] = occupants.values();
  if (!isEnabled || other === undefined || more.length > 0 || other.isBot) return { kind: "bridge" };
  return { kind: id < other.nick ? "offer" : "wait", peer: other.nick };
}
