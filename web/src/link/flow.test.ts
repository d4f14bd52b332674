import { describe, expect, it } from "vitest";

import { Flow, LOOK_MS } from "./flow";

/** Moments at which a stop is noticed, of packets that arrive at these times. */
function stops(packets: readonly number[], until: number): number[] {
  const flow = new Flow();
  const noticed: number[] = [];
  for (let now = 0; now <= until; now += LOOK_MS) {
    const newest = packets.filter((at) => at <= now).at(-1) ?? 0;
    if (flow.look(now, newest)) noticed.push(now);
  }
  return noticed;
}

const every = (step: number, from: number, to: number): number[] =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);

describe("a flow that stops", () => {
  it("is noticed after half a second, once", () => {
    expect(stops(every(20, 20, 3000), 20_000)).toEqual([3500]);
  });

  it("is noticed again after it was steady again", () => {
    expect(stops([...every(20, 20, 3000), ...every(20, 6000, 9000)], 20_000)).toEqual([3500, 9500]);
  });

  it("is none while it goes on with gaps, and none that had not begun", () => {
    expect(stops([...every(20, 20, 3000), ...every(20, 3400, 5000)], 5200)).toEqual([]);
    expect(stops(every(400, 20, 20_000), 30_000)).toEqual([]);
    expect(stops(every(20, 20, 600), 20_000)).toEqual([]);
    expect(stops([], 5000)).toEqual([]);
  });
});
