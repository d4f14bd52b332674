/**
 * The meeting as the view sees it: one state, a way to hear of changes, and commands.
 *
 * Commands return at once; what they lead to is seen in the state. None of them throws.
 */

import type { VisibleTile } from "./events";
import type { DeviceChoice, MeetingState, Order, ParticipantId, SourceName } from "./state";

export type { VisibleTile } from "./events";

export interface Meeting {
  /** The current value; a new object after each change. */
  readonly state: MeetingState;

  /** Calls `listener` after each change (not for the value at hand). The result ends it. */
  subscribe(listener: (state: MeetingState) => void): () => void;

  // Before joining

  /** Asks for devices, for the preview. May be called again; what is on stays on. */
  prepare(wanted: { readonly microphone: boolean; readonly camera: boolean }): void;

  /** Enters the room with what is switched on in `state.self`. Also from "left" and "failed". */
  join(name: string, devices?: DeviceChoice): void;
  /** What the room asks for in the stages "asking" and "waiting". */
  answer(given: { readonly name?: string; readonly password?: string }): void;
  leave(): void;
  /** The name that others see; also during the meeting. */
  rename(name: string): void;

  // Own media; these also work on the prejoin page

  toggleMicrophone(): void;
  toggleCamera(): void;
  startScreenShare(): void;
  stopScreenShare(): void;
  /** Takes other devices; those that are off stay off. */
  selectDevices(choice: DeviceChoice): void;

  // The meeting's order

  raiseHand(isUp: boolean): void;
  /** To a breakout room (its JID), or null: to the main room. */
  goTo(room: string | null): void;
  /** For moderators; others' orders are not passed on. */
  order(order: Order): void;
  /** For moderators: everybody comes back from the breakout rooms. */
  recall(): void;

  // Chat and notices

  sendChat(text: string): void;
  /** Sends a message again whose delivery failed. */
  retryChat(id: string): void;
  dismissNotice(id: number): void;

  // What the view shows, so that nothing else is sent to us

  /**
   * Video that is on the page now, with the height of its tile in device pixels. Everything else is switched off at
   * the bridge. Cheap to call with the same value; call it after each layout.
   */
  setVisibleTiles(tiles: readonly VisibleTile[]): void;
  /** Sources that the view shows large; they get bandwidth first. Empty: none. */
  setOnStage(sources: readonly SourceName[]): void;

  // What is not in the state

  /** The track behind a source, of the user too (then also before joining, with `source` "camera", "screen", "microphone"). */
  track(participant: ParticipantId | "self", source: SourceName | "microphone" | "camera" | "screen"): MediaStreamTrack | null;
  /** How loud someone is now, 0 to 1. Poll it at most ten times a second, for what is visible. */
  audioLevel(participant: ParticipantId | "self"): number;

  /** The page goes away: says goodbye to the room at once. Called by itself on `pagehide`. */
  close(): void;
}
