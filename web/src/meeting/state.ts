/**
 * What is true about the meeting at this moment, as one value.
 *
 * The view draws this value and nothing else; the reducer (`reducer.ts`) is the only place that makes a new one.
 * Every part is read-only and is replaced, never changed, so `===` tells whether something is as it was.
 * Media tracks, sound levels and statistics are not in here: they change too often or can't be copied.
 * They are read through `Meeting` (`meeting.ts`).
 */

import type { Order } from "../link/orders";
import type { MeetingRoom } from "../link/services";

export type { Order } from "../link/orders";
export type { MeetingRoom, RoomMember } from "../link/services";

/** The occupant's nick, which is also the endpoint's id: eight hexadecimal digits with Jitsi's clients. */
export type ParticipantId = string;

/** `<participant>-a0`, `<participant>-v0`, `<participant>-v1`. */
export type SourceName = string;

export interface MeetingState {
  readonly room: string;
  readonly stage: Stage;
  readonly connection: Connection;
  /** In the order of joining; never contains the user (see `self`). Those with `isOnGrid` false have no tile. */
  readonly participants: readonly Participant[];
  readonly self: Self;
  readonly devices: Devices;
  /** Who has the floor; may be the user. */
  readonly dominantSpeaker: ParticipantId | null;
  readonly chat: readonly ChatMessage[];
  /** What the user should be told once; the view removes them with `dismissNotice`. */
  readonly notices: readonly Notice[];
  /** How media travels now. */
  readonly path: MediaPath;
  /** The room's subject, empty when there is none. */
  readonly subject: string;
  readonly door: Door;
  /** In which room of the meeting the user is. */
  readonly place: Place;
  /** The main room and its breakout rooms; empty until the server has told them. */
  readonly rooms: readonly MeetingRoom[];
  /** Which of the user's sources a moderator has to permit. */
  readonly permissions: Readonly<Record<SourceKind, Permission>>;
  /** What this server can do. */
  readonly services: Services;
}

/** Which page the user is on. */
export type Stage =
  | { readonly kind: "outside" }
  | { readonly kind: "joining" }
  /** The room wants to know something first. `isWrong`: the last answer was not right; `isBusy`: one is being tried. */
  | { readonly kind: "asking"; readonly question: "password" | "name"; readonly isWrong: boolean; readonly isBusy: boolean }
  /** In the lobby. A password, where the room has one, leads past it: `isWrong` and `isBusy` are about that. */
  | {
      readonly kind: "waiting";
      readonly since: number;
      /** Nobody who leads the meeting is there yet. */
      readonly isForHost: boolean;
      readonly isWrong: boolean;
      readonly isBusy: boolean;
    }
  | { readonly kind: "inside"; readonly since: number }
  /** The user left, was removed, or the meeting ended. `join` may be called again. */
  | { readonly kind: "left"; readonly reason: LeaveReason }
  /** Joining failed, or the meeting can't go on. `join` may be called again. */
  | { readonly kind: "failed"; readonly problem: Problem };

export type LeaveReason =
  | { readonly kind: "self" }
  | { readonly kind: "removed"; readonly by: string | null; readonly reason: string }
  /** Who waited in the lobby was not let in. */
  | { readonly kind: "denied" }
  | { readonly kind: "ended"; readonly reason: string };

/** How the room is guarded, and who stands outside. */
export interface Door {
  readonly hasPassword: boolean;
  readonly hasLobby: boolean;
  /** Who waits in the lobby; only moderators are told. */
  readonly waiting: readonly Visitor[];
}

export interface Visitor {
  readonly id: string;
  /** Foreign text; may be empty. */
  readonly name: string;
}

export interface Place {
  /** JID of a breakout room; null in the main room. */
  readonly room: string | null;
  readonly name: string;
  /** False on the way there. */
  readonly isReached: boolean;
}

/** `holders`: who has permission, as far as moderators are told. */
export interface Permission {
  readonly isNeeded: boolean;
  readonly isGiven: boolean;
  readonly holders: readonly ParticipantId[];
}

export interface Services {
  readonly hasLobby: boolean;
  readonly hasRooms: boolean;
  readonly hasModeration: boolean;
}

/** The line to the server. Media may go on while it is down. */
export type Connection =
  | { readonly kind: "none" }
  | { readonly kind: "connecting" }
  | { readonly kind: "connected" }
  | {
      readonly kind: "reconnecting";
      /** When the line broke, in milliseconds since 1970. */
      readonly since: number;
      /** When the next attempt starts (same clock), or null while one is under way. Count down to it. */
      readonly nextAttemptAt: number | null;
      readonly attempt: number;
      /** True while the browser itself says that there is no network. */
      readonly isOffline: boolean;
    };

export type MediaPath = "none" | "peer" | "bridge";

export interface Participant {
  readonly id: ParticipantId;
  /** What they call themselves; may be empty. Foreign text: show it as text only. */
  readonly name: string;
  readonly isModerator: boolean;
  /** Since when they raise their hand, in milliseconds since 1970 (0: unknown); null: they don't. */
  readonly handAt: number | null;
  readonly joinedAt: number;
  /** Sorted: microphone, camera, screen. */
  readonly sources: readonly Source[];
  readonly link: ParticipantLink;
  /** False once they have been unreachable for too long. They come back by themselves. */
  readonly isOnGrid: boolean;
}

/** "interrupted": their media or connection stopped a moment ago; grey the picture. */
export type ParticipantLink = "active" | "interrupted";

export type SourceKind = "microphone" | "camera" | "screen";

export interface Source {
  readonly name: SourceName;
  readonly kind: SourceKind;
  readonly isMuted: boolean;
  /**
   * Changes whenever `Meeting.track(participant, source)` would give another track, and is null when it would give
   * none. Attach anew when it changes.
   */
  readonly trackKey: string | null;
  /** False when the bridge does not send it now (not asked for, or not enough bandwidth). Always true for sound. */
  readonly isForwarded: boolean;
}

export interface Self {
  /** Null until the server has named us. It may change when we join again. */
  readonly id: ParticipantId | null;
  readonly name: string;
  readonly isModerator: boolean;
  /** As in `Participant`. */
  readonly handAt: number | null;
  readonly microphone: Capture;
  readonly camera: Capture;
  readonly screen: Capture;
}

/** One of the user's own sources. It exists from the prejoin page on. `trackKey` as in `Source`. */
export type Capture =
  | { readonly kind: "off" }
  | { readonly kind: "starting" }
  | { readonly kind: "on"; readonly trackKey: string }
  /** It was wanted and could not be had. Toggling it tries again. */
  | { readonly kind: "failed"; readonly problem: Problem };

export interface Devices {
  readonly microphones: readonly Device[];
  readonly cameras: readonly Device[];
  readonly speakers: readonly Device[];
  readonly chosen: DeviceChoice;
  /** The browser can share a screen at all (phones can't). */
  readonly canShareScreen: boolean;
}

export interface Device {
  readonly id: string;
  /** Empty until the user has allowed access once. */
  readonly label: string;
}

/** Ids of devices; null is the browser's default. */
export interface DeviceChoice {
  readonly microphone: string | null;
  readonly camera: string | null;
  readonly speaker: string | null;
}

export interface ChatMessage {
  readonly id: string;
  readonly from: ParticipantId;
  /** The name at the time of writing. Foreign text. */
  readonly name: string;
  readonly isOwn: boolean;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly delivery: "sending" | "sent" | "failed";
}

export interface Notice {
  /** Counts up; the key for a list. */
  readonly id: number;
  readonly at: number;
  readonly body: NoticeBody;
}

export type NoticeBody =
  | { readonly kind: "joined"; readonly participant: ParticipantId; readonly name: string }
  | { readonly kind: "left"; readonly participant: ParticipantId; readonly name: string }
  /** The line came back, or a new meeting connection was made after the server had restarted. */
  | { readonly kind: "reconnected" }
  | { readonly kind: "muted-by"; readonly source: SourceKind; readonly by: string | null }
  /** A device was unplugged, or a browser ended its capture. */
  | { readonly kind: "device-lost"; readonly source: SourceKind }
  /** The room could not be told of our source: others don't receive it. */
  | { readonly kind: "source-refused"; readonly source: SourceKind; readonly problem: Problem }
  | { readonly kind: "chat-failed"; readonly problem: Problem }
  /** The server has no media bridge for us now. */
  | { readonly kind: "no-bridge" }
  | { readonly kind: "hand"; readonly participant: ParticipantId; readonly name: string }
  /** The user may moderate from now on, or no longer. */
  | { readonly kind: "role"; readonly isModerator: boolean }
  /** The room begins for newcomers without these. */
  | { readonly kind: "start-muted"; readonly microphone: boolean; readonly camera: boolean }
  /** A source now needs permission, or no longer. */
  | { readonly kind: "permission-rule"; readonly source: SourceKind; readonly isNeeded: boolean }
  /** The user's own permission was given or taken. */
  | { readonly kind: "permission"; readonly source: SourceKind; readonly isGiven: boolean }
  /** The user wanted to switch on what needs permission. */
  | { readonly kind: "permission-needed"; readonly source: SourceKind }
  /** A moderator would like to hear (or see) the user. */
  | { readonly kind: "asked"; readonly source: SourceKind; readonly by: string | null }
  /** The user is on the way to another room; null: back to the main room. */
  | { readonly kind: "moved"; readonly name: string | null; readonly cause: "wish" | "sent" | "room-gone" }
  | { readonly kind: "order-refused"; readonly order: Order["kind"]; readonly detail: string };

/** Something that went wrong, in a form that a page can explain. */
export interface Problem {
  /** Who has to do something. "nobody": it repairs itself, or can't be repaired. */
  readonly actor: "you" | "host" | "administrator" | "nobody";
  readonly code: ProblemCode;
  /** Technical words for the administrator: an error condition, a text of the server or of the browser. */
  readonly detail: string;
}

export type ProblemCode =
  // Devices
  | "insecure-page"
  | "permission-denied"
  | "device-in-use"
  | "device-missing"
  | "capture-failed"
  // The page and its server
  | "browser-unsupported"
  | "configuration-missing"
  | "unreachable"
  | "login-refused"
  | "protocol"
  // Entering the room
  | "room-refused"
  | "room-name-invalid"
  | "password-required"
  | "members-only"
  | "name-required"
  | "banned"
  | "room-full"
  | "nick-taken"
  | "not-live"
  // Media
  | "media-failed"
  | "limit-reached"
  | "rejected";
