import { expect, test } from "vitest";
import { faultOfName, readRoute, roomPath } from "./route";

test("addresses", () => {
  expect(readRoute("/", "")).toEqual({ kind: "start" });
  expect(readRoute("/Elternabend%207b", "")).toEqual({
    kind: "room",
    name: "Elternabend 7b",
    tenant: null,
    prejoin: true,
  });
  expect(readRoute("/school/room", "?prejoin=0&lang=de")).toEqual({
    kind: "room",
    name: "room",
    tenant: "school",
    prejoin: false,
  });
  expect(readRoute("/a/b/c", "")).toEqual({ kind: "start" });
  expect(readRoute("/%E0%A4%A", "")).toMatchObject({ name: "%E0%A4%A" });
});

test("a typed name makes the round trip", () => {
  const name = "Elternabend 7b · Übung";
  expect(readRoute(roomPath(name), "")).toMatchObject({ name });
});

test("names that can't be rooms", () => {
  expect(faultOfName("a/b?c/d")).toEqual({ kind: "characters", found: "/ ?" });
  expect(faultOfName("Config.js")).toEqual({ kind: "reserved" });
  expect(faultOfName(".well-known")).toEqual({ kind: "reserved" });
  expect(faultOfName("Elternabend 7b")).toBeNull();
});
