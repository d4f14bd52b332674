/** What the reducer works on, and its small tools. Pure. */

import type { VideoConstraints } from "../link/channel_messages";
import type { SourceInfo } from "../link/room";
import type { VisibleTile, Wish } from "./events";
import type {
  ChatMessage,
  MeetingState,
  NoticeBody,
  Participant,
  ParticipantId,
  Permission,
  Place,
  Self,
  SourceKind,
  SourceName,
} from "./state";

/** The state, and what it is made from. */
export interface Model {
  readonly state: MeetingState;
  /** What each participant's presence says about their sources. */
  readonly info: ReadonlyMap<ParticipantId, readonly SourceInfo[]>;
  readonly trackKeys: ReadonlyMap<SourceName, string>;
  readonly forwarded: ReadonlySet<SourceName> | null;
  /** Since when participants have been unreachable. */
  readonly interruptedSince: ReadonlyMap<ParticipantId, number>;
  readonly tiles: readonly VisibleTile[];
  readonly onStage: readonly SourceName[];
  readonly constraints: VideoConstraints;
  /** Until then, comings and goings are ours, not theirs. */
  readonly quietUntil: number;
  readonly nextNotice: number;
  /** The session was lost; the next `joined` ends that. */
  readonly isReturning: boolean;
  /** What was on when we went out, for who comes back in. */
  readonly hadOn: { readonly microphone: boolean; readonly camera: boolean };
}

export interface Step {
  readonly model: Model;
  readonly wishes: readonly Wish[];
}

export function initialModel(room: string): Model {
  return {
    state: {
      room,
      stage: { kind: "outside" },
      connection: { kind: "none" },
      participants: [],
      self: {
        id: null,
        name: "",
        isModerator: false,
        handAt: null,
        microphone: { kind: "off" },
        camera: { kind: "off" },
        screen: { kind: "off" },
      },
      devices: {
        microphones: [],
        cameras: [],
        speakers: [],
        chosen: { microphone: null, camera: null, speaker: null },
        canShareScreen: false,
      },
      dominantSpeaker: null,
      chat: [],
      notices: [],
      path: "none",
      subject: "",
      door: { hasPassword: false, hasLobby: false, waiting: [] },
      place: MAIN_ROOM,
      rooms: [],
      permissions: FREE,
      services: { hasLobby: false, hasRooms: false, hasModeration: false },
    },
    info: new Map(),
    trackKeys: new Map(),
    forwarded: null,
    interruptedSince: new Map(),
    tiles: [],
    onStage: [],
    constraints: { heights: new Map(), onStage: [] },
    quietUntil: 0,
    nextNotice: 1,
    isReturning: false,
    hadOn: { microphone: false, camera: false },
  };
}

/** Nothing is wished. */
export function only(model: Model): Step {
  return { model, wishes: [] };
}

/** The link has given up: devices go back, too. */
export function stopped(model: Model): Step {
  return { model, wishes: [{ kind: "leave" }] };
}

/** On the way in, wherever on it. */
export function isAtDoor(model: Model): boolean {
  const { kind } = model.state.stage;
  return kind === "joining" || kind === "asking" || kind === "waiting";
}

/** Inside, or on the way in: the link is at work. */
export function isInside(model: Model): boolean {
  const { kind } = model.state.stage;
  return kind === "inside" || isAtDoor(model);
}

/** Inside for a while, so that who comes and goes is news. */
export function isSettled(model: Model, at: number): boolean {
  return model.state.stage.kind === "inside" && !model.isReturning && at >= model.quietUntil;
}

export function withState(model: Model, changed: Partial<MeetingState>): Model {
  return { ...model, state: { ...model.state, ...changed } };
}

export function withSelf(model: Model, changed: Partial<Self>): Model {
  return withState(model, { self: { ...model.state.self, ...changed } });
}

export function withParticipant(model: Model, id: ParticipantId, changed: Partial<Participant>): Model {
  const participants = model.state.participants.map((participant) =>
    participant.id === id ? { ...participant, ...changed } : participant,
  );
  return withState(model, { participants });
}

export function withDelivery(model: Model, id: string, delivery: ChatMessage["delivery"]): Model {
  return withState(model, {
    chat: model.state.chat.map((message) => (message.id === id && message.isOwn ? { ...message, delivery } : message)),
  });
}

export function notice(model: Model, body: NoticeBody, at: number): Model {
  const { notices } = model.state;
  const entry = { id: model.nextNotice, at, body };
  const next = withState(model, { notices: [...notices.slice(-(NOTICES_MAX - 1)), entry] });
  return { ...next, nextNotice: model.nextNotice + 1 };
}

/** Null for who is not there or has no name. */
export function nameOf(model: Model, id: ParticipantId | null): string | null {
  if (id === null) return null;
  return model.state.participants.find((participant) => participant.id === id)?.name || null;
}

export const MAIN_ROOM: Place = { room: null, name: "", isReached: true };

const OPEN: Permission = { isNeeded: false, isGiven: false, holders: [] };
/** Nothing needs permission. */
export const FREE: Readonly<Record<SourceKind, Permission>> = { microphone: OPEN, camera: OPEN, screen: OPEN };

const NOTICES_MAX = 20;
