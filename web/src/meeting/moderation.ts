/**
 * What moderators and their services do with a meeting: raised hands, permissions, the door, breakout rooms. Pure.
 */

import type { LinkEvent } from "../link/events";
import type { ServiceMessage } from "../link/services";
import type { Wish } from "./events";
import { FREE, MAIN_ROOM, nameOf, notice, only, withSelf, withState } from "./model";
import type { Model, Step } from "./model";
import type { MeetingRoom, MeetingState, Order, Permission, SourceKind } from "./state";

/** Whether the user may switch this on. */
export function mayUse(state: MeetingState, source: SourceKind): boolean {
  const permission = state.permissions[source];
  return !permission.isNeeded || permission.isGiven || state.self.isModerator;
}

/** Switches a source on or off, as far as it is the user's to decide. */
export function capture(model: Model, source: SourceKind, isOn: boolean, at: number): Step {
  if (isOn && !mayUse(model.state, source)) return only(notice(model, { kind: "permission-needed", source }, at));
  return { model, wishes: [{ kind: "capture", source, isOn }] };
}

export function raiseHand(model: Model, isUp: boolean, at: number): Step {
  if (model.state.stage.kind !== "inside" || isUp === (model.state.self.handAt !== null)) return only(model);
  const handAt = isUp ? at : null;
  return { model: withSelf(model, { handAt }), wishes: [{ kind: "hand", at: handAt }] };
}

export function order(model: Model, given: Order): Step {
  const isAllowed = model.state.stage.kind === "inside" && model.state.self.isModerator;
  return { model, wishes: isAllowed ? [{ kind: "order", order: given }] : [] };
}

/** Everybody who sits in a breakout room is sent to the main room. */
export function recall(model: Model): Step {
  const { rooms } = model.state;
  const main = rooms.find((room) => room.isMain);
  if (main === undefined) return only(model);
  const people = rooms.filter((room) => !room.isMain).flatMap((room) => room.people);
  const wishes = people.flatMap((person) => order(model, { kind: "send", person: person.jid, room: main.jid }).wishes);
  return { model, wishes };
}

export function goTo(model: Model, room: string | null): Step {
  const { stage, place } = model.state;
  if (stage.kind !== "inside" || room === place.room) return only(model);
  return { model, wishes: [{ kind: "go-to", room }] };
}

/** The other room knows nothing of this one: people, chat, hands and permissions stay behind. */
export function moving(model: Model, event: Extract<LinkEvent, { kind: "moving" }>, at: number): Model {
  const { state } = model;
  const name = nameOfRoom(state.rooms, event.room);
  const place = event.isMain ? { ...MAIN_ROOM, isReached: false } : { room: event.room, name, isReached: false };
  const next: Model = {
    ...model,
    info: new Map(),
    trackKeys: new Map(),
    interruptedSince: new Map(),
    forwarded: null,
    isReturning: false,
    // Until we are there; `joined` sets a time.
    quietUntil: Number.POSITIVE_INFINITY,
    state: {
      ...state,
      place,
      participants: [],
      dominantSpeaker: null,
      chat: [],
      path: "none",
      subject: "",
      door: { hasPassword: false, hasLobby: false, waiting: [] },
      permissions: FREE,
      self: { ...state.self, handAt: null },
    },
  };
  return notice(next, { kind: "moved", name: event.isMain ? null : name, cause: event.cause }, at);
}

export function serviceTold(model: Model, message: ServiceMessage, at: number): Step {
  switch (message.kind) {
    case "rooms":
      return only(withRooms(model, message.rooms));
    case "start-muted":
      return startMuted(model, message, at);
    case "moderation":
      return ruleChanged(model, message.source, message.isOn, message.by, at);
    case "permission":
      return permissionChanged(model, message.source, message.isGiven, message.by, at);
    case "permissions":
      return only(listed(model, message.source, message.ids));
    case "sent-to":
      return only(model);
  }
}

/** The main room first, the others as the server lists them. */
function withRooms(model: Model, told: readonly MeetingRoom[]): Model {
  const rooms = [...told.filter((room) => room.isMain), ...told.filter((room) => !room.isMain)];
  const { place } = model.state;
  const named = place.room === null ? place : { ...place, name: nameOfRoom(rooms, place.room) || place.name };
  return withState(model, { rooms, place: named });
}

function nameOfRoom(rooms: readonly MeetingRoom[], jid: string): string {
  return rooms.find((room) => room.jid === jid)?.name ?? "";
}

/** For who comes in, not for who comes back. */
function startMuted(model: Model, message: Extract<ServiceMessage, { kind: "start-muted" }>, at: number): Step {
  if (model.state.stage.kind === "inside") return only(model);
  const microphone = message.microphone && isUsed(model, "microphone");
  const camera = message.camera && isUsed(model, "camera");
  if (!microphone && !camera) return only(model);
  const sources = [...(microphone ? (["microphone"] as const) : []), ...(camera ? (["camera"] as const) : [])];
  return {
    model: notice(model, { kind: "start-muted", microphone, camera }, at),
    wishes: sources.map((source) => ({ kind: "capture", source, isOn: false })),
  };
}

function ruleChanged(model: Model, source: SourceKind, isNeeded: boolean, by: string | null, at: number): Step {
  const before = model.state.permissions[source];
  if (before.isNeeded === isNeeded) return only(model);
  // After a lost session the rule is told again, and who had permission is not told that they have it still.
  const isGiven = isNeeded && before.isGiven && at < model.quietUntil;
  const next = withPermission(model, source, { isNeeded, isGiven, holders: [] });
  const { self } = model.state;
  if (self.isModerator || by === self.id || isGiven) return only(next);
  return {
    model: notice(next, { kind: "permission-rule", source, isNeeded }, at),
    wishes: isNeeded ? switchedOff(model, source) : [],
  };
}

function permissionChanged(model: Model, source: SourceKind, isGiven: boolean, by: string | null, at: number): Step {
  if (!model.state.permissions[source].isNeeded) {
    return only(isGiven && by !== null ? notice(model, { kind: "asked", source, by: nameOf(model, by) }, at) : model);
  }
  const next = withPermission(model, source, { isGiven });
  if (model.state.self.isModerator || model.state.permissions[source].isGiven === isGiven) return only(next);
  return {
    model: notice(next, { kind: "permission", source, isGiven }, at),
    wishes: isGiven ? [] : switchedOff(model, source),
  };
}

/** With the session the rules are gone until the room tells them anew. */
export function withoutRules(model: Model): Model {
  const { microphone, camera, screen } = model.state.permissions;
  const lifted = (permission: Permission): Permission => ({ ...permission, isNeeded: false });
  const permissions = { microphone: lifted(microphone), camera: lifted(camera), screen: lifted(screen) };
  return withState(model, { permissions });
}

/** Moderators are on the list as well, and stay there when they moderate no more. */
function listed(model: Model, source: SourceKind, holders: readonly string[]): Model {
  const { id } = model.state.self;
  const isGiven = model.state.permissions[source].isGiven || (id !== null && holders.includes(id));
  return withPermission(model, source, { holders, isGiven });
}

function switchedOff(model: Model, source: SourceKind): Wish[] {
  return isUsed(model, source) ? [{ kind: "capture", source, isOn: false }] : [];
}

/** On, or about to be. */
function isUsed(model: Model, source: SourceKind): boolean {
  const { kind } = model.state.self[source];
  return kind === "on" || kind === "starting";
}

function withPermission(model: Model, source: SourceKind, changed: Partial<Permission>): Model {
  const { permissions } = model.state;
  return withState(model, { permissions: { ...permissions, [source]: { ...permissions[source], ...changed } } });
}
