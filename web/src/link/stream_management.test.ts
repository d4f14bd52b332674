import { describe, expect, it } from "vitest";

import { StreamManagement } from "./stream_management";
import { element } from "./xml";

const message = (id: number) => element("message", { id });

describe("stream management", () => {
  it("counts only stanzas, and only from <enabled/> on", () => {
    const management = new StreamManagement();
    management.countReceived(message(0));
    expect(management.countSent(message(0))).toBe(false);
    management.enabled("T");
    management.countReceived(message(1));
    management.countReceived(element("r"));
    management.countReceived(element("presence"));
    expect(management.received).toBe(2);
    expect(management.unacknowledged).toEqual([]);
  });

  it("asks for an acknowledgement after each five stanzas", () => {
    const management = new StreamManagement();
    management.enabled("T");
    const asked = Array.from({ length: 11 }, (_, index) => management.countSent(message(index)));
    expect(asked.map((isAsked, index) => (isAsked ? index : -1)).filter((index) => index >= 0)).toEqual([4, 9]);
  });

  it("forgets what was acknowledged and keeps the rest in order", () => {
    const management = new StreamManagement();
    management.enabled("T");
    for (let id = 1; id <= 4; id += 1) management.countSent(message(id));
    expect(management.acknowledge(3)).toBe(true);
    expect(management.unacknowledged).toEqual([message(4)]);
    expect(management.acknowledge(3)).toBe(true);
    expect(management.acknowledge(4)).toBe(true);
    expect(management.unacknowledged).toEqual([]);
  });

  it("does not believe in more than was sent, nor in going back", () => {
    const management = new StreamManagement();
    management.enabled("T");
    management.countSent(message(1));
    management.countSent(message(2));
    expect(management.acknowledge(3)).toBe(false);
    expect(management.acknowledge(2)).toBe(true);
    expect(management.acknowledge(1)).toBe(false);
    expect(management.acknowledge(-1)).toBe(false);
  });

  it("starts anew without a token where resumption is refused", () => {
    const management = new StreamManagement();
    management.enabled("T");
    management.countSent(message(1));
    management.countReceived(message(2));
    expect(management.reset()).toEqual([message(1)]);
    expect(management.token).toBeNull();
    expect(management.received).toBe(0);
    management.enabled(null);
    management.countReceived(message(3));
    expect(management.received).toBe(0);
  });
});
