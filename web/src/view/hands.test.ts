import { expect, test } from "vitest";
import { initialModel } from "../meeting/model";
import type { Participant } from "../meeting/state";
import { handQueue } from "./hands";

const person = (id: string, handAt: number | null): Participant => ({
  id,
  name: id,
  isModerator: false,
  handAt,
  joinedAt: 0,
  sources: [],
  link: "active",
  isOnGrid: true,
});

test("hands are counted in the order in which they were raised", () => {
  const { self } = initialModel("tea").state;
  const participants = [person("a", 30), person("b", null), person("c", 10)];
  const queue = handQueue({ participants, self: { ...self, handAt: 20 } });
  expect([...queue]).toEqual([
    ["c", 1],
    ["self", 2],
    ["a", 3],
  ]);
  expect(handQueue({ participants: [person("b", null)], self }).size).toBe(0);
});
