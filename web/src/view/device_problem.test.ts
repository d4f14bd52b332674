import { expect, test } from "vitest";
import type { Capture, Problem, Self } from "../meeting/state";
import { browserKind, deviceProblem } from "./device_problem";

const denied: Problem = { actor: "you", code: "permission-denied", detail: "" };
const missing: Problem = { actor: "you", code: "device-missing", detail: "" };
const off: Capture = { kind: "off" };
const self = (microphone: Capture, camera: Capture): Self => ({
  id: null,
  name: "",
  isModerator: false,
  handAt: null,
  microphone,
  camera,
  screen: off,
});
const failed = (problem: Problem): Capture => ({ kind: "failed", problem });

test("one problem at a time", () => {
  expect(deviceProblem(self(off, off))).toBeNull();
  expect(deviceProblem(self(failed(denied), failed(denied)))?.kind).toBe("both");
  expect(deviceProblem(self(failed(denied), failed(missing)))).toEqual({ kind: "camera", problem: missing });
  expect(deviceProblem(self(failed(missing), off))).toEqual({ kind: "microphone", problem: missing });
});

test("browsers by their own name", () => {
  expect(browserKind("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")).toBe("firefox");
  expect(browserKind("Mozilla/5.0 (X11) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36")).toBe("chrome");
  expect(browserKind("Mozilla/5.0 (Macintosh) AppleWebKit/605 (KHTML, like Gecko) Version/17 Safari/605")).toBe("safari");
  expect(browserKind("Mozilla/5.0 (iPhone) AppleWebKit/605 Version/17 Mobile Safari/604")).toBe("other");
});
