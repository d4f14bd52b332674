/** What the link tells the meeting. */

import type { CaptureState, DeviceList } from "./capture";
import type { OwnSource } from "./media_connection";
import type { Order } from "./orders";
import type { Occupant, RoomMessage, StanzaProblem } from "./room";
import type { ServiceMessage } from "./services";

export type MediaPath = "none" | "peer" | "bridge";

export type LinkEvent =
  // The line
  | { readonly kind: "connecting" }
  | { readonly kind: "connected" }
  | { readonly kind: "line-lost"; readonly attempt: number; readonly nextAttemptAt: number; readonly isOffline: boolean }
  | { readonly kind: "login-refused"; readonly detail: string }
  /** A new session: the room and all media are set up again, by themselves. */
  | { readonly kind: "session-lost" }
  // The room
  | { readonly kind: "joined"; readonly id: string; readonly isModerator: boolean; readonly occupants: readonly string[] }
  /** Nothing more is tried; the line stays up, so that `enter` can be called with what was missing. */
  | { readonly kind: "join-refused"; readonly error: StanzaProblem }
  /** In the lobby, a moderator has said no. */
  | { readonly kind: "denied" }
  /** We leave this room for another one of the meeting; `joined` follows. */
  | { readonly kind: "moving"; readonly room: string; readonly isMain: boolean; readonly cause: "wish" | "sent" | "room-gone" }
  | { readonly kind: "role"; readonly isModerator: boolean }
  | { readonly kind: "occupant"; readonly occupant: Occupant }
  | { readonly kind: "occupant-left"; readonly id: string }
  | { readonly kind: "removed"; readonly by: string | null; readonly reason: string }
  | { readonly kind: "ended"; readonly reason: string }
  | { readonly kind: "subject"; readonly subject: string }
  | { readonly kind: "chat"; readonly message: RoomMessage }
  | { readonly kind: "chat-refused"; readonly id: string; readonly error: StanzaProblem }
  /** What the room is like: after joining, and when a moderator changed it. */
  | { readonly kind: "room-info"; readonly hasPassword: boolean; readonly hasLobby: boolean }
  | { readonly kind: "services"; readonly hasLobby: boolean; readonly hasRooms: boolean; readonly hasModeration: boolean }
  | { readonly kind: "service"; readonly message: ServiceMessage }
  /** Everybody who waits in the lobby, for moderators. */
  | { readonly kind: "door"; readonly waiting: readonly { readonly id: string; readonly name: string }[] }
  | { readonly kind: "order-refused"; readonly order: Order["kind"]; readonly detail: string }
  | { readonly kind: "muted-by"; readonly source: OwnSource; readonly by: string | null }
  // Media
  /** Keys of all tracks that can be had now, by source name. */
  | { readonly kind: "tracks"; readonly keys: ReadonlyMap<string, string> }
  | { readonly kind: "path"; readonly path: MediaPath }
  /** Null: everything that was asked for. */
  | { readonly kind: "forwarded"; readonly sources: readonly string[] | null }
  | { readonly kind: "dominant-speaker"; readonly id: string | null }
  | { readonly kind: "connectivity"; readonly id: string; readonly isActive: boolean }
  | { readonly kind: "bridge-missing"; readonly isMissing: boolean }
  | { readonly kind: "source-refused"; readonly source: OwnSource; readonly condition: string; readonly detail: string }
  // Devices
  | { readonly kind: "capture"; readonly source: OwnSource; readonly state: CaptureState }
  | { readonly kind: "capture-ended"; readonly source: OwnSource }
  | { readonly kind: "devices"; readonly devices: DeviceList };
