/** Names for what went wrong: from error conditions and browser exceptions to a code and to whom it concerns. Pure. */

import type { StanzaProblem } from "../link/room";
import type { Problem, ProblemCode } from "./state";

/** Why the room, or the conference request before it, refused us. */
export function problemOfEntering(error: StanzaProblem): Problem {
  const detail = `${error.condition}${error.text === "" ? "" : `: ${error.text}`}`;
  const [code, actor] = codeOfEntering(error);
  return { actor, code, detail };
}

function codeOfEntering(error: StanzaProblem): readonly [ProblemCode, Problem["actor"]] {
  if (error.extras.includes("displayname-required")) return ["name-required", "you"];
  switch (error.condition) {
    case "not-authorized":
      return error.type === "auth" ? ["password-required", "you"] : ["login-refused", "host"];
    case "registration-required":
      return ["members-only", "host"];
    case "forbidden":
      return ["banned", "host"];
    case "service-unavailable":
      return ["room-full", "host"];
    case "conflict":
      return ["nick-taken", "nobody"];
    case "jid-malformed":
    case "bad-request":
      return ["room-name-invalid", "you"];
    case "resource-constraint":
    case "policy-violation":
      return ["limit-reached", "administrator"];
    case "not-allowed":
    case "not-acceptable":
      return ["room-refused", "host"];
    default:
      return ["protocol", "administrator"];
  }
}

/** Why a device can't be used; `error` is the name of a DOMException. */
export function problemOfCapture(error: string, detail: string): Problem {
  switch (error) {
    case "insecure":
      return { actor: "administrator", code: "insecure-page", detail };
    case "NotAllowedError":
    case "SecurityError":
      return { actor: "you", code: "permission-denied", detail };
    case "NotFoundError":
    case "OverconstrainedError":
      return { actor: "you", code: "device-missing", detail };
    case "NotReadableError":
    case "AbortError":
      return { actor: "you", code: "device-in-use", detail };
    default:
      return { actor: "nobody", code: "capture-failed", detail };
  }
}

/** Why others can't be told of one of our sources. */
export function problemOfSource(condition: string, detail: string): Problem {
  switch (condition) {
    case "resource-constraint":
      return { actor: "host", code: "limit-reached", detail };
    case "forbidden":
    case "not-allowed":
      return { actor: "host", code: "rejected", detail };
    default:
      return { actor: "administrator", code: "media-failed", detail };
  }
}

/** Why a message could not be delivered. */
export function problemOfChat(error: StanzaProblem): Problem {
  const detail = `${error.condition}${error.text === "" ? "" : `: ${error.text}`}`;
  const isForbidden = error.condition === "forbidden" || error.condition === "not-allowed";
  return isForbidden ? { actor: "host", code: "rejected", detail } : { actor: "nobody", code: "protocol", detail };
}
