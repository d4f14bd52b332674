import { expect, test } from "vitest";
import rust from "../../../crates/server/src/http/reserved.rs?raw";
import { faultOfName, RESERVED, readRoute, roomPath, tenantOf } from "./route";

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

test("the server reserves the same names", () => {
  const list = /const NAMES: &\[&str\] = &\[([^\]]*)\]/.exec(rust)?.[1] ?? "";
  const names = [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1]);
  expect(names).not.toEqual([]);
  expect([...RESERVED].sort()).toEqual(names.sort());
});

test("a tenant is the folder of a room", () => {
  expect(tenantOf("/")).toBeNull();
  expect(tenantOf("/tea")).toBeNull();
  expect(tenantOf("/school/tea")).toBe("school");
});
