import { createMeeting } from "./meeting/create";
import { startPage } from "./view/render";

declare global {
  /** Set by `config.js`, which the server makes from its configuration. */
  var config: unknown;
}

startPage((room) => createMeeting(room.name, globalThis.config));
