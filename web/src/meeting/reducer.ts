/**
 * The meeting as one reducer: model × event → model and wishes.
 *
 * Pure: no page, no network, no clock (`at` comes with each event, in milliseconds since 1970). `createMeeting` carries
 * the wishes out.
 */

import type { CaptureState } from "../link/capture";
import type { LinkEvent } from "../link/events";
import type { Occupant, RoomMessage } from "../link/room";
import { areSame, constraintsFor } from "./constraints";
import type { Command, MeetingEvent, WakeReason, Wish } from "./events";
import {
  isInside,
  isSettled,
  nameOf,
  notice,
  only,
  stopped,
  withDelivery,
  withParticipant,
  withSelf,
  withState,
} from "./model";
import type { Model, Step } from "./model";
import { capture, goTo, moving, order, raiseHand, recall, serviceTold, withoutRules } from "./moderation";
import { problemOfCapture, problemOfChat, problemOfSource } from "./problems";
import type { Capture, ChatMessage, Connection, Participant, ParticipantId, Source, SourceKind, SourceName } from "./state";
import { answer, end, fail, join, refused } from "./way_in";

export function reduce(model: Model, event: MeetingEvent, at: number): Step {
  switch (event.kind) {
    case "command":
      return reduceCommand(model, event.command, at);
    case "link":
      return reduceLink(model, event.event, at);
    case "woken":
      return only(woken(model, event.reason));
  }
}

// Commands

function reduceCommand(model: Model, command: Command, at: number): Step {
  const { state } = model;
  switch (command.kind) {
    case "prepare":
      return { model, wishes: [{ kind: "prepare-devices", microphone: command.microphone, camera: command.camera }] };
    case "join":
      return join(model, command);
    case "answer":
      return answer(model, command);
    case "leave":
      return end(model, { kind: "self" }, true);
    case "rename":
      return {
        model: withSelf(model, { name: command.name }),
        wishes: isInside(model) ? [{ kind: "rename", name: command.name }] : [],
      };
    case "toggle": {
      const current = state.self[command.source].kind;
      return capture(model, command.source, current === "off" || current === "failed", at);
    }
    case "share-screen":
      return capture(model, "screen", command.isOn, at);
    case "raise-hand":
      return raiseHand(model, command.isUp, at);
    case "order":
      return order(model, command.order);
    case "recall":
      return recall(model);
    case "go-to":
      return goTo(model, command.room);
    case "select-devices": {
      const { choice } = command;
      const devices = { ...state.devices, chosen: choice };
      const wish: Wish = { kind: "select-devices", microphone: choice.microphone, camera: choice.camera };
      return { model: withState(model, { devices }), wishes: [wish] };
    }
    case "send-chat":
      return sendChat(model, command.id, command.text, at);
    case "retry-chat":
      return retryChat(model, command.id);
    case "dismiss-notice":
      return only(withState(model, { notices: state.notices.filter((notice) => notice.id !== command.id) }));
    case "visible-tiles":
      return constrain({ ...model, tiles: command.tiles });
    case "on-stage":
      return constrain({ ...model, onStage: command.sources });
  }
}

function sendChat(model: Model, id: string, text: string, at: number): Step {
  const { self, chat, stage } = model.state;
  if (stage.kind !== "inside" || self.id === null || text.trim() === "") return only(model);
  const message: ChatMessage = { id, from: self.id, name: self.name, isOwn: true, text, at, delivery: "sending" };
  return { model: withState(model, { chat: [...chat, message] }), wishes: [{ kind: "send-chat", id, text }] };
}

function retryChat(model: Model, id: string): Step {
  const message = model.state.chat.find((entry) => entry.id === id && entry.isOwn && entry.delivery === "failed");
  if (message === undefined) return only(model);
  return { model: withDelivery(model, id, "sending"), wishes: [{ kind: "send-chat", id, text: message.text }] };
}

function constrain(model: Model): Step {
  const screens = new Set(
    model.state.participants.flatMap((participant) =>
      participant.sources.filter((source) => source.kind === "screen").map((source) => source.name),
    ),
  );
  const constraints = constraintsFor(model.tiles, model.onStage, (source) => screens.has(source));
  if (areSame(constraints, model.constraints)) return only(model);
  return { model: { ...model, constraints }, wishes: [{ kind: "constrain", constraints }] };
}

// The link

function reduceLink(model: Model, event: LinkEvent, at: number): Step {
  switch (event.kind) {
    case "connecting":
      return only(connecting(model));
    case "connected":
      return only(withState(model, { connection: { kind: "connected" } }));
    case "line-lost":
      return only(lineLost(model, event, at));
    case "login-refused":
      return stopped(fail(model, { actor: "administrator", code: "login-refused", detail: event.detail }));
    case "session-lost":
      return only(sessionLost(model));
    case "joined":
      return joined(model, event, at);
    case "join-refused":
      return refused(model, event.error, at);
    case "denied":
      return end(model, { kind: "denied" }, false);
    case "moving":
      return only(moving(model, event, at));
    case "room-info":
      return only(
        withState(model, { door: { ...model.state.door, hasPassword: event.hasPassword, hasLobby: event.hasLobby } }),
      );
    case "services":
      return only(
        withState(model, {
          services: { hasLobby: event.hasLobby, hasRooms: event.hasRooms, hasModeration: event.hasModeration },
        }),
      );
    case "service":
      return serviceTold(model, event.message, at);
    case "door":
      return only(withState(model, { door: { ...model.state.door, waiting: event.waiting } }));
    case "order-refused":
      return only(notice(model, { kind: "order-refused", order: event.order, detail: event.detail }, at));
    case "role":
      return only(role(model, event.isModerator, at));
    case "occupant":
      return constrain(occupant(model, event.occupant, at));
    case "occupant-left":
      return only(occupantLeft(model, event.id, at));
    case "removed":
      return end(model, { kind: "removed", by: nameOf(model, event.by), reason: event.reason }, false);
    case "ended":
      return end(model, { kind: "ended", reason: event.reason }, false);
    case "subject":
      return only(withState(model, { subject: event.subject }));
    case "chat":
      return only(chat(model, event.message, at));
    case "chat-refused":
      return only(chatRefused(model, event, at));
    case "muted-by":
      return only(mutedBy(model, event, at));
    case "tracks":
      return only(withSources({ ...model, trackKeys: event.keys }));
    case "path":
      // The bridge hears nobody on a direct path, so nobody is its speaker.
      return only(withState(model, event.path === "peer" ? { path: "peer", dominantSpeaker: null } : { path: event.path }));
    case "forwarded":
      return only(withSources({ ...model, forwarded: event.sources === null ? null : new Set(event.sources) }));
    case "dominant-speaker":
      return only(withState(model, { dominantSpeaker: event.id }));
    case "connectivity":
      return connectivity(model, event.id, event.isActive, at);
    case "bridge-missing":
      return only(event.isMissing ? notice(model, { kind: "no-bridge" }, at) : model);
    case "source-refused": {
      const problem = problemOfSource(event.condition, event.detail);
      return only(notice(model, { kind: "source-refused", source: event.source, problem }, at));
    }
    case "capture":
      return only(withSelf(model, { [event.source]: captureOf(event.state) }));
    case "capture-ended":
      // Who ends a screen share in the browser's own bar knows it.
      return only(event.source === "screen" ? model : notice(model, { kind: "device-lost", source: event.source }, at));
    case "devices":
      return only(withState(model, { devices: { ...event.devices, chosen: model.state.devices.chosen } }));
  }
}

/** An attempt runs. While a broken line is being repaired, that is no news but the end of the countdown. */
function connecting(model: Model): Model {
  const { connection } = model.state;
  const next: Connection =
    connection.kind === "reconnecting" ? { ...connection, nextAttemptAt: null } : { kind: "connecting" };
  return withState(model, { connection: next });
}

function lineLost(model: Model, event: Extract<LinkEvent, { kind: "line-lost" }>, at: number): Model {
  const { connection } = model.state;
  const since = connection.kind === "reconnecting" ? connection.since : at;
  const { attempt, nextAttemptAt, isOffline } = event;
  return withState(model, { connection: { kind: "reconnecting", since, nextAttemptAt, attempt, isOffline } });
}

/** Everybody is greyed until the room has been entered again. */
function sessionLost(model: Model): Model {
  const participants = model.state.participants.map((participant) => ({ ...participant, link: "interrupted" as const }));
  return withState({ ...withoutRules(model), isReturning: true, interruptedSince: new Map() }, { participants });
}

function joined(model: Model, event: Extract<LinkEvent, { kind: "joined" }>, at: number): Step {
  const { state } = model;
  const present = new Set(event.occupants);
  const participants = state.participants
    .filter((participant) => present.has(participant.id))
    .map((participant) => ({ ...participant, link: "active" as const, isOnGrid: true }));
  const since = state.stage.kind === "inside" ? state.stage.since : at;
  let next = withState(
    { ...model, isReturning: false, interruptedSince: new Map(), quietUntil: at + QUIET_MS },
    {
      participants,
      stage: { kind: "inside", since },
      connection: { kind: "connected" },
      place: { ...state.place, isReached: true },
    },
  );
  next = withSelf(next, { id: event.id, isModerator: event.isModerator });
  if (!model.isReturning) return only(next);
  // What was on its way when the session was lost may never have arrived.
  const unsent = next.state.chat.filter((message) => message.delivery === "sending");
  return {
    model: notice(next, { kind: "reconnected" }, at),
    wishes: unsent.map((message) => ({ kind: "send-chat", id: message.id, text: message.text })),
  };
}

function role(model: Model, isModerator: boolean, at: number): Model {
  const next = withSelf(model, { isModerator });
  return isSettled(model, at) ? notice(next, { kind: "role", isModerator }, at) : next;
}

/** No news for who is silent already. */
function mutedBy(model: Model, event: Extract<LinkEvent, { kind: "muted-by" }>, at: number): Model {
  const { kind } = model.state.self[event.source];
  if (kind !== "on" && kind !== "starting") return model;
  return notice(model, { kind: "muted-by", source: event.source, by: nameOf(model, event.by) }, at);
}

function occupant(model: Model, of: Occupant, at: number): Model {
  const info = new Map(model.info).set(of.nick, of.sources);
  const known = model.state.participants.find((participant) => participant.id === of.nick);
  const participant: Participant =
    known === undefined
      ? {
          id: of.nick,
          name: of.name,
          isModerator: of.isModerator,
          handAt: of.handAt,
          joinedAt: at,
          sources: [],
          link: "active",
          isOnGrid: true,
        }
      : { ...known, name: of.name, isModerator: of.isModerator, handAt: of.handAt };
  const others = model.state.participants;
  const participants =
    known === undefined ? [...others, participant] : others.map((other) => (other === known ? participant : other));
  const next = withSources(withState({ ...model, info }, { participants }));
  if (!isSettled(model, at)) return next;
  if (known !== undefined) {
    const isNews = known.handAt === null && of.handAt !== null;
    return isNews ? notice(next, { kind: "hand", participant: of.nick, name: of.name }, at) : next;
  }
  return notice(next, { kind: "joined", participant: of.nick, name: of.name }, at);
}

function occupantLeft(model: Model, id: ParticipantId, at: number): Model {
  const { participants, dominantSpeaker } = model.state;
  const gone = participants.find((participant) => participant.id === id);
  if (gone === undefined) return model;
  const info = new Map(model.info);
  info.delete(id);
  const interruptedSince = new Map(model.interruptedSince);
  interruptedSince.delete(id);
  const next = withState(
    { ...model, info, interruptedSince },
    {
      participants: participants.filter((participant) => participant !== gone),
      dominantSpeaker: dominantSpeaker === id ? null : dominantSpeaker,
    },
  );
  return isSettled(model, at) ? notice(next, { kind: "left", participant: id, name: gone.name }, at) : next;
}

function connectivity(model: Model, id: ParticipantId, isActive: boolean, at: number): Step {
  const known = model.state.participants.find((participant) => participant.id === id);
  if (known === undefined) return only(model);
  const interruptedSince = new Map(model.interruptedSince);
  if (isActive) {
    interruptedSince.delete(id);
    return only(withParticipant({ ...model, interruptedSince }, id, { link: "active", isOnGrid: true }));
  }
  if (interruptedSince.has(id)) return only(model);
  interruptedSince.set(id, at);
  return {
    model: withParticipant({ ...model, interruptedSince }, id, { link: "interrupted" }),
    wishes: [{ kind: "wake", afterMs: OFF_GRID_MS, reason: { kind: "off-grid", participant: id, since: at } }],
  };
}

function woken(model: Model, reason: WakeReason): Model {
  if (model.interruptedSince.get(reason.participant) !== reason.since) return model;
  return withParticipant(model, reason.participant, { isOnGrid: false });
}

function chat(model: Model, message: RoomMessage, at: number): Model {
  const { self, chat: known } = model.state;
  const isOwn = message.nick === self.id;
  const sent = known.find((entry) => entry.id === message.id && entry.from === message.nick);
  if (sent !== undefined) return sent.delivery === "sent" ? model : withDelivery(model, message.id, "sent");
  const entry: ChatMessage = {
    id: message.id,
    from: message.nick,
    name: isOwn ? self.name : (nameOf(model, message.nick) ?? ""),
    isOwn,
    text: message.text,
    at: message.sentAt ?? at,
    delivery: "sent",
  };
  return withState(model, { chat: [...known, entry] });
}

function chatRefused(model: Model, event: Extract<LinkEvent, { kind: "chat-refused" }>, at: number): Model {
  if (!model.state.chat.some((message) => message.id === event.id && message.isOwn)) return model;
  const failed = withDelivery(model, event.id, "failed");
  return notice(failed, { kind: "chat-failed", problem: problemOfChat(event.error) }, at);
}

function captureOf(state: CaptureState): Capture {
  return state.kind === "failed" ? { kind: "failed", problem: problemOfCapture(state.error, state.detail) } : state;
}

/** Derives everybody's sources from presence, tracks and the bridge's list; keeps what did not change. */
function withSources(model: Model): Model {
  let isChanged = false;
  const participants = model.state.participants.map((participant) => {
    const sources = sourcesOf(model, participant.id);
    if (areSameSources(sources, participant.sources)) return participant;
    isChanged = true;
    return { ...participant, sources };
  });
  return isChanged ? withState(model, { participants }) : model;
}

function sourcesOf(model: Model, id: ParticipantId): Source[] {
  const info = model.info.get(id) ?? [];
  const sources = info.map((entry) => sourceOf(model, entry.name, entry.isMuted, entry.isScreen));
  for (const name of model.trackKeys.keys()) {
    const isTheirs = name.slice(0, name.lastIndexOf("-")) === id;
    // A client that says nothing about a source that it sends: take it as it comes.
    if (isTheirs && !info.some((entry) => entry.name === name)) sources.push(sourceOf(model, name, false, false));
  }
  return sources.sort((a, b) => ORDER[a.kind] - ORDER[b.kind] || (a.name < b.name ? -1 : 1));
}

function sourceOf(model: Model, name: SourceName, isMuted: boolean, isScreen: boolean): Source {
  const isSound = /-a\d+$/.test(name);
  const kind: SourceKind = isSound ? "microphone" : isScreen ? "screen" : "camera";
  const isForwarded = isSound || model.forwarded === null || model.forwarded.has(name);
  return { name, kind, isMuted, trackKey: model.trackKeys.get(name) ?? null, isForwarded };
}

function areSameSources(a: readonly Source[], b: readonly Source[]): boolean {
  return (
    a.length === b.length &&
    a.every((source, index) => {
      const other = b[index];
      return (
        other !== undefined &&
        source.name === other.name &&
        source.kind === other.kind &&
        source.isMuted === other.isMuted &&
        source.trackKey === other.trackKey &&
        source.isForwarded === other.isForwarded
      );
    })
  );
}

const ORDER: Readonly<Record<SourceKind, number>> = { microphone: 0, camera: 1, screen: 2 };

/** Unreachable for this long after the bridge has said so: no tile. */
const OFF_GRID_MS = 2000;
/** After we came (back), for this long others come back as well. */
const QUIET_MS = 10_000;
