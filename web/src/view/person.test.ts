import { expect, test } from "vitest";
import { hueOf, initialsOf } from "./person";

test("initials", () => {
  expect(initialsOf("Olena Kovalenko")).toBe("OK");
  expect(initialsOf("ana maría de la cruz")).toBe("AC");
  expect(initialsOf("Piotr")).toBe("P");
  expect(initialsOf("(Gast) Jonas")).toBe("GJ");
  expect(initialsOf("  ")).toBe("");
  expect(initialsOf("👩‍🏫 Mai")).toBe("M");
});

test("a name keeps its hue, and hues are 1 to 8", () => {
  for (const name of ["", "a", "Olena", "Ünal", "李"]) {
    expect(hueOf(name)).toBe(hueOf(name));
    expect(hueOf(name)).toBeGreaterThanOrEqual(1);
    expect(hueOf(name)).toBeLessThanOrEqual(8);
  }
});
