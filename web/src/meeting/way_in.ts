/** The way into the room: joining, what the room asks for first, the lobby, and out again. Pure. */

import type { StanzaProblem } from "../link/room";
import type { Command, Wish } from "./events";
import { initialModel, isAtDoor, isInside, only, stopped, withState } from "./model";
import type { Model, Step } from "./model";
import { problemOfEntering } from "./problems";
import type { LeaveReason, Problem, Self, Stage } from "./state";

export function join(model: Model, command: Extract<Command, { kind: "join" }>): Step {
  const { stage, devices } = model.state;
  if (isInside(model)) return only(model);
  const wishes: Wish[] = [];
  const choice = command.devices;
  if (choice !== null) {
    wishes.push({ kind: "select-devices", microphone: choice.microphone, camera: choice.camera });
  }
  wishes.push({ kind: "enter", name: command.name, password: null });
  if (stage.kind === "left" && (model.hadOn.microphone || model.hadOn.camera)) {
    wishes.push({ kind: "prepare-devices", ...model.hadOn });
  }
  const fresh = initialModel(model.state.room);
  const self: Self = { ...model.state.self, id: null, isModerator: false, handAt: null, name: command.name };
  return {
    model: {
      ...fresh,
      tiles: model.tiles,
      nextNotice: model.nextNotice,
      state: {
        ...fresh.state,
        self,
        devices: choice === null ? devices : { ...devices, chosen: choice },
        stage: { kind: "joining" },
        connection: { kind: "connecting" },
      },
    },
    wishes,
  };
}

/** The room has refused us: it asks for something, sends us to its lobby, or that is all. */
export function refused(model: Model, error: StanzaProblem, at: number): Step {
  const problem = problemOfEntering(error);
  const { stage } = model.state;
  const wasTried = (stage.kind === "asking" || stage.kind === "waiting") && stage.isBusy;
  if (problem.code === "password-required") {
    return only(atDoor(model, { kind: "asking", question: "password", isWrong: wasTried, isBusy: false }));
  }
  if (problem.code === "name-required") {
    return only(atDoor(model, { kind: "asking", question: "name", isWrong: false, isBusy: false }));
  }
  if (problem.code === "members-only" && error.lobby !== null) {
    const since = stage.kind === "waiting" ? stage.since : at;
    const isForHost = error.extras.includes("waiting-for-host");
    return {
      model: atDoor(model, { kind: "waiting", since, isForHost, isWrong: wasTried, isBusy: false }),
      wishes: [{ kind: "knock", lobby: error.lobby }],
    };
  }
  return stopped(fail(model, problem));
}

export function answer(model: Model, command: Extract<Command, { kind: "answer" }>): Step {
  const { stage, self } = model.state;
  if ((stage.kind !== "asking" && stage.kind !== "waiting") || stage.isBusy) return only(model);
  const name = command.name ?? self.name;
  return {
    model: withState(model, { stage: { ...stage, isBusy: true, isWrong: false }, self: { ...self, name } }),
    wishes: [{ kind: "enter", name, password: command.password }],
  };
}

/** Out of the meeting: by our wish, or because the room said so. */
export function end(model: Model, reason: LeaveReason, isOurWish: boolean): Step {
  if (!isInside(model)) {
    // Away from the page before joining, or after it: only devices are held.
    return { model, wishes: isOurWish ? [{ kind: "stop-devices" }] : [] };
  }
  const wishes: Wish[] = isOurWish ? [{ kind: "leave" }, { kind: "stop-devices" }] : [{ kind: "stop-devices" }];
  return { model: outside(model, { kind: "left", reason }), wishes };
}

export function fail(model: Model, problem: Problem): Model {
  return outside(model, { kind: "failed", problem });
}

/** In front of the room, with the line up. Who was inside (a room may get a password meanwhile) leaves all behind. */
function atDoor(model: Model, stage: Stage): Model {
  if (isAtDoor(model)) return withState(model, { stage });
  return withState(outside(model, stage), { connection: model.state.connection });
}

function outside(model: Model, stage: Stage): Model {
  const { microphone, camera } = model.state.self;
  return {
    ...model,
    hadOn: { microphone: microphone.kind === "on", camera: camera.kind === "on" },
    info: new Map(),
    trackKeys: new Map(),
    interruptedSince: new Map(),
    forwarded: null,
    isReturning: false,
    state: { ...model.state, stage, connection: { kind: "none" }, participants: [], dominantSpeaker: null, path: "none" },
  };
}
