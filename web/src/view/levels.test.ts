import { expect, test } from "vitest";
import { litBars } from "./levels";

test("a meter lights more bars for more sound, and never more than it has", () => {
  expect(litBars(0, 8)).toBe(0);
  expect(litBars(0.0001, 8)).toBe(0);
  expect(litBars(0.03, 8)).toBeGreaterThan(2);
  expect(litBars(1, 8)).toBe(8);
});
