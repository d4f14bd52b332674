import { describe, expect, it } from "vitest";

import { planCamera, planScreen, streamCount } from "./encodings";

const heights = (capture: number, wanted: number, count = 3) =>
  planCamera(count, capture, wanted)
    .filter((encoding) => encoding.isActive)
    .map((encoding) => capture / encoding.scaleDownBy);

describe("what the camera's encodings send", () => {
  it("are three sizes of a large picture, as many as anybody wants", () => {
    expect(heights(720, -1)).toEqual([180, 360, 720]);
    expect(heights(720, 720)).toEqual([180, 360, 720]);
    expect(heights(720, 360)).toEqual([180, 360]);
    expect(heights(720, 180)).toEqual([180]);
    expect(heights(720, 90)).toEqual([180]);
    expect(heights(720, 0)).toEqual([]);
  });

  it("are fewer of a small one, and never shrink it below itself", () => {
    expect(heights(360, -1)).toEqual([180, 360]);
    expect(heights(180, -1)).toEqual([180]);
    expect(heights(180, 180)).toEqual([180]);
    expect([streamCount(180), streamCount(360), streamCount(480), streamCount(720)]).toEqual([1, 2, 2, 3]);
  });

  it("take odd cameras as they come", () => {
    expect(heights(736, 360)).toEqual([184, 368]);
  });

  it("are one where the browser has only one", () => {
    expect(heights(720, -1, 1)).toEqual([720]);
    expect(planCamera(0, 720, -1)).toEqual([]);
  });
});

describe("what a shared screen sends", () => {
  it("is everything or nothing", () => {
    expect(planScreen(1, 180)).toMatchObject([{ isActive: true, scaleDownBy: 1 }]);
    expect(planScreen(1, 0)).toMatchObject([{ isActive: false }]);
  });
});
