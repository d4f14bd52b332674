/** For tests: a meeting that is told things one after another. */

import type { LinkEvent } from "../link/events";
import type { Occupant } from "../link/room";
import type { Command, MeetingEvent, Wish } from "./events";
import { initialModel } from "./model";
import type { Model } from "./model";
import { reduce } from "./reducer";
import type { MeetingState, NoticeBody } from "./state";

export const ME = "1a2b3c4d";
export const OTTO = "9f8e7d6c";
export const PIA = "0a0b0c0d";
/** Long enough after joining that comings and goings are news. */
export const LATER = 60_000;

/** A meeting that is told things at times, and remembers what it wished for. */
export class Story {
  model: Model = initialModel("tea");
  wishes: Wish[] = [];

  get state(): MeetingState {
    return this.model.state;
  }

  tell(event: MeetingEvent, at = 0): this {
    const step = reduce(this.model, event, at);
    this.model = step.model;
    this.wishes = [...step.wishes];
    return this;
  }

  command(command: Command, at = 0): this {
    return this.tell({ kind: "command", command }, at);
  }

  link(event: LinkEvent, at = 0): this {
    return this.tell({ kind: "link", event }, at);
  }

  participant(id: string) {
    const found = this.state.participants.find((participant) => participant.id === id);
    if (found === undefined) throw new Error(`${id} is not there`);
    return found;
  }

  get notices(): string[] {
    return this.state.notices.map((notice) => notice.body.kind);
  }

  get lastNotice(): NoticeBody | undefined {
    return this.state.notices.at(-1)?.body;
  }
}

export function occupant(nick: string, changed: Partial<Occupant> = {}): LinkEvent {
  const sources = [
    { name: `${nick}-v0`, isMuted: false, isScreen: false },
    { name: `${nick}-a0`, isMuted: true, isScreen: false },
  ];
  const base: Occupant = {
    nick,
    jid: null,
    name: `name of ${nick}`,
    isModerator: false,
    affiliation: "none",
    handAt: null,
    sources,
    isBot: false,
  };
  return { kind: "occupant", occupant: { ...base, ...changed } };
}

export const joined = (...occupants: string[]): LinkEvent => ({ kind: "joined", id: ME, isModerator: false, occupants });
export const join: Command = { kind: "join", name: "Ann", devices: null };

/** Inside, with Otto. */
export function inside(): Story {
  return new Story()
    .command(join)
    .link({ kind: "connected" })
    .link(occupant(OTTO))
    .link(joined(OTTO), 1000);
}
