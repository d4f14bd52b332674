/** Puts reducer and link together: the `Meeting` that a page holds. */

import { readConfig } from "../link/config";
import { randomHex } from "../link/device_id";
import { Link } from "../link/link";
import { sourceName } from "../link/media_connection";
import { exposeDebug } from "./debug";
import type { MeetingEvent, Wish } from "./events";
import type { Meeting } from "./meeting";
import { initialModel } from "./model";
import type { Model } from "./model";
import { reduce } from "./reducer";
import type { MeetingState, ParticipantId, SourceName } from "./state";

/** `config` is what `config.js` has set; null when it can't be used, then the page can only say so. */
export function createMeeting(room: string, config: unknown): Meeting | null {
  const { protocol, host, hash } = window.location;
  const linkConfig = readConfig(config, { protocol, host, hash });
  if (linkConfig === null) return null;

  let model: Model = initialModel(room);
  const listeners = new Set<(state: MeetingState) => void>();
  const queue: MeetingEvent[] = [];
  let isReducing = false;

  /** Events that arise while one is being worked on wait for their turn. */
  const tell = (event: MeetingEvent): void => {
    queue.push(event);
    if (isReducing) return;
    isReducing = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const before = model.state;
      const step = reduce(model, next, Date.now());
      model = step.model;
      for (const wish of step.wishes) carryOut(wish);
      if (model.state !== before) for (const listener of listeners) listener(model.state);
    }
    isReducing = false;
  };

  const link = new Link({ config: linkConfig, roomName: room, listener: (event) => tell({ kind: "link", event }) });

  const carryOut = (wish: Wish): void => {
    switch (wish.kind) {
      case "enter":
        link.enter(wish.name, wish.password);
        return;
      case "knock":
        link.knock(wish.lobby);
        return;
      case "leave":
        link.leave();
        return;
      case "rename":
        link.rename(wish.name);
        return;
      case "hand":
        link.setHand(wish.at);
        return;
      case "order":
        link.order(wish.order);
        return;
      case "go-to":
        link.moveTo(wish.room);
        return;
      case "prepare-devices":
        link.prepareDevices(wish);
        return;
      case "capture":
        link.setCapture(wish.source, wish.isOn);
        return;
      case "select-devices":
        link.selectDevices(wish);
        return;
      case "stop-devices":
        link.stopDevices();
        return;
      case "send-chat":
        link.sendChat(wish.id, wish.text);
        return;
      case "constrain":
        link.setConstraints(wish.constraints);
        return;
      case "wake":
        setTimeout(() => tell({ kind: "woken", reason: wish.reason }), wish.afterMs);
        return;
    }
  };

  const isSelf = (id: ParticipantId): boolean => id === "self" || id === model.state.self.id;

  const meeting: Meeting = {
    get state() {
      return model.state;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    prepare: (wanted) => tell({ kind: "command", command: { kind: "prepare", ...wanted } }),
    join: (name, devices) => tell({ kind: "command", command: { kind: "join", name, devices: devices ?? null } }),
    answer: ({ name, password }) =>
      tell({ kind: "command", command: { kind: "answer", name: name ?? null, password: password ?? null } }),
    leave: () => tell({ kind: "command", command: { kind: "leave" } }),
    rename: (name) => tell({ kind: "command", command: { kind: "rename", name } }),
    raiseHand: (isUp) => tell({ kind: "command", command: { kind: "raise-hand", isUp } }),
    goTo: (room) => tell({ kind: "command", command: { kind: "go-to", room } }),
    order: (order) => tell({ kind: "command", command: { kind: "order", order } }),
    recall: () => tell({ kind: "command", command: { kind: "recall" } }),
    toggleMicrophone: () => tell({ kind: "command", command: { kind: "toggle", source: "microphone" } }),
    toggleCamera: () => tell({ kind: "command", command: { kind: "toggle", source: "camera" } }),
    startScreenShare: () => tell({ kind: "command", command: { kind: "share-screen", isOn: true } }),
    stopScreenShare: () => tell({ kind: "command", command: { kind: "share-screen", isOn: false } }),
    selectDevices: (choice) => tell({ kind: "command", command: { kind: "select-devices", choice } }),
    sendChat: (text) => tell({ kind: "command", command: { kind: "send-chat", id: randomHex(8), text } }),
    retryChat: (id) => tell({ kind: "command", command: { kind: "retry-chat", id } }),
    dismissNotice: (id) => tell({ kind: "command", command: { kind: "dismiss-notice", id } }),
    setVisibleTiles: (tiles) => tell({ kind: "command", command: { kind: "visible-tiles", tiles } }),
    setOnStage: (sources) => tell({ kind: "command", command: { kind: "on-stage", sources } }),
    track(participant, source) {
      if (!isSelf(participant)) return link.track(source);
      const own = ownSourceOf(model.state.self.id, source);
      return own === null ? null : link.ownTrack(own);
    },
    audioLevel: (participant) => (isSelf(participant) ? link.ownLevel() : link.audioLevel(`${participant}-a0`)),
    close: () => meeting.leave(),
  };

  window.addEventListener("pagehide", () => meeting.close());
  exposeDebug(() => model.state, (source) => link.statistics(source));
  return meeting;
}

function ownSourceOf(id: ParticipantId | null, source: SourceName): "microphone" | "camera" | "screen" | null {
  for (const own of ["microphone", "camera", "screen"] as const) {
    if (source === own || (id !== null && source === sourceName(id, own))) return own;
  }
  return null;
}
