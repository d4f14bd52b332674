import { describe, expect, it } from "vitest";

import { peerRule } from "./peer_rule";
import type { Occupant } from "./room";

function occupants(...nicks: string[]): Map<string, Occupant> {
  return new Map(
    nicks.map((nick): [string, Occupant] => [
      nick,
      {
        nick,
        jid: null,
        name: "",
        isModerator: false,
        affiliation: "none",
        handAt: null,
        sources: [],
        isBot: nick === "bot",
      },
    ]),
  );
}

describe("a direct connection", () => {
  it("is offered by the smaller nick to the only other", () => {
    expect(peerRule("1a", occupants("9f"), true)).toEqual({ kind: "offer", peer: "9f" });
    expect(peerRule("9f", occupants("1a"), true)).toEqual({ kind: "wait", peer: "1a" });
  });

  it("is none for one, for three, with a machine, or where it is switched off", () => {
    expect(peerRule("1a", occupants(), true).kind).toBe("bridge");
    expect(peerRule("1a", occupants("9f", "0b"), true).kind).toBe("bridge");
    expect(peerRule("1a", occupants("bot"), true).kind).toBe("bridge");
    expect(peerRule("1a", occupants("9f"), false).kind).toBe("bridge");
  });
});
