/** The request that brings the focus into the room before we enter it. Pure. */

import { NS } from "./namespaces";
import { attribute, child, element } from "./xml";
import type { XmlElement } from "./xml";

export function conferenceRequest(focus: string, room: string, machineUid: string): XmlElement {
  return element(
    "iq",
    { xmlns: NS.client, type: "set", to: focus },
    element(
      "conference",
      { xmlns: NS.focus, room, "machine-uid": machineUid },
      element("property", { name: "rtcstatsEnabled", value: "false" }),
      element("property", { name: "visitors-version", value: "1" }),
    ),
  );
}

export interface ConferenceReply {
  /** False: ask again later. */
  readonly isReady: boolean;
  /** Bare JID; whoever has it in the room is the focus. */
  readonly focusUser: string | null;
}

export function readConferenceReply(result: XmlElement): ConferenceReply {
  const conference = child(result, "conference");
  return {
    isReady: attribute(conference, "ready") === "true",
    focusUser: attribute(conference, "focusjid"),
  };
}
