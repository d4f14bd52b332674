/** What the reducer hears, and what it wishes to be done. */

import type { VideoConstraints } from "../link/channel_messages";
import type { LinkEvent } from "../link/events";
import type { DeviceChoice, Order, ParticipantId, SourceKind, SourceName } from "./state";

export interface VisibleTile {
  readonly participant: ParticipantId;
  readonly source: SourceName;
  readonly height: number;
}

export type Command =
  | { readonly kind: "prepare"; readonly microphone: boolean; readonly camera: boolean }
  | { readonly kind: "join"; readonly name: string; readonly devices: DeviceChoice | null }
  /** What the room has asked for. */
  | { readonly kind: "answer"; readonly name: string | null; readonly password: string | null }
  | { readonly kind: "leave" }
  | { readonly kind: "rename"; readonly name: string }
  | { readonly kind: "raise-hand"; readonly isUp: boolean }
  | { readonly kind: "order"; readonly order: Order }
  /** Everybody back into the main room. */
  | { readonly kind: "recall" }
  | { readonly kind: "go-to"; readonly room: string | null }
  | { readonly kind: "toggle"; readonly source: "microphone" | "camera" }
  | { readonly kind: "share-screen"; readonly isOn: boolean }
  | { readonly kind: "select-devices"; readonly choice: DeviceChoice }
  | { readonly kind: "send-chat"; readonly id: string; readonly text: string }
  | { readonly kind: "retry-chat"; readonly id: string }
  | { readonly kind: "dismiss-notice"; readonly id: number }
  | { readonly kind: "visible-tiles"; readonly tiles: readonly VisibleTile[] }
  | { readonly kind: "on-stage"; readonly sources: readonly SourceName[] };

export type MeetingEvent =
  | { readonly kind: "command"; readonly command: Command }
  | { readonly kind: "link"; readonly event: LinkEvent }
  /** A time that was wished for has come. */
  | { readonly kind: "woken"; readonly reason: WakeReason };

/** A participant whose media stopped has had its time. */
export interface WakeReason {
  readonly kind: "off-grid";
  readonly participant: ParticipantId;
  /** When they stopped; if they came back meanwhile, this no longer fits. */
  readonly since: number;
}

export type Wish =
  | { readonly kind: "enter"; readonly name: string; readonly password: string | null }
  | { readonly kind: "knock"; readonly lobby: string }
  | { readonly kind: "leave" }
  | { readonly kind: "rename"; readonly name: string }
  | { readonly kind: "hand"; readonly at: number | null }
  | { readonly kind: "order"; readonly order: Order }
  | { readonly kind: "go-to"; readonly room: string | null }
  | { readonly kind: "prepare-devices"; readonly microphone: boolean; readonly camera: boolean }
  | { readonly kind: "capture"; readonly source: SourceKind; readonly isOn: boolean }
  | { readonly kind: "select-devices"; readonly microphone: string | null; readonly camera: string | null }
  | { readonly kind: "stop-devices" }
  | { readonly kind: "send-chat"; readonly id: string; readonly text: string }
  | { readonly kind: "constrain"; readonly constraints: VideoConstraints }
  | { readonly kind: "wake"; readonly afterMs: number; readonly reason: WakeReason };
