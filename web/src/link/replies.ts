/** How requests of others are answered. Pure. */

import type { JingleAnswer } from "./media_paths";
import { NS } from "./namespaces";
import { attribute, element } from "./xml";
import type { XmlElement } from "./xml";

export function result(iq: XmlElement, payload: XmlElement | null = null): XmlElement {
  return element("iq", addressed(iq, "result"), payload);
}

/** Null for what must not be answered with an error. */
export function refusal(iq: XmlElement, type: string, ...conditions: readonly XmlElement[]): XmlElement | null {
  const kind = attribute(iq, "type");
  if (kind !== "get" && kind !== "set") return null;
  return element("iq", addressed(iq, "error"), element("error", { type }, conditions));
}

export function jingleReply(iq: XmlElement, answer: JingleAnswer): XmlElement | null {
  switch (answer) {
    case "result":
      return result(iq);
    case "bad-request":
      return refusal(iq, "modify", element("bad-request", { xmlns: NS.stanzas }));
    case "unknown-session":
      return refusal(
        iq,
        "cancel",
        element("item-not-found", { xmlns: NS.stanzas }),
        element("unknown-session", { xmlns: NS.jingleErrors }),
      );
  }
}

function addressed(iq: XmlElement, type: string) {
  return { xmlns: NS.client, type, to: attribute(iq, "from") ?? undefined, id: attribute(iq, "id") ?? undefined };
}
