/** Words for a device that could not be had. */

import type { BrowserKind, DeviceKind, Explanation, Text } from "../i18n/messages";
import type { Problem, Self } from "../meeting/state";
import { t } from "./language";

export interface DeviceProblem {
  readonly kind: DeviceKind;
  readonly problem: Problem;
}

/** One problem at a time; the same one of both devices is one. */
export function deviceProblem(self: Self): DeviceProblem | null {
  const camera = self.camera.kind === "failed" ? self.camera.problem : null;
  const microphone = self.microphone.kind === "failed" ? self.microphone.problem : null;
  if (camera !== null && microphone !== null && camera.code === microphone.code) return { kind: "both", problem: camera };
  if (camera !== null) return { kind: "camera", problem: camera };
  if (microphone !== null) return { kind: "microphone", problem: microphone };
  return null;
}

export function explain({ kind, problem }: DeviceProblem): Explanation {
  const words = t().devices;
  switch (problem.code) {
    case "permission-denied":
      return { title: words.denied(kind), text: words.joinAnyway };
    case "device-in-use":
      return words.inUse(kind);
    case "device-missing":
      return words.missing(kind);
    case "insecure-page":
      return words.insecure;
    default:
      return words.failed(kind);
  }
}

export function stepsFor({ problem }: DeviceProblem): readonly Text[] {
  return problem.code === "permission-denied" ? t().devices.deniedSteps(browserKind(navigator.userAgent)) : [];
}

export function browserKind(userAgent: string): BrowserKind {
  // Every browser on iOS is Safari inside, but has its permissions elsewhere.
  if (/iPhone|iPad|Android/.test(userAgent)) return "other";
  if (/Firefox\//.test(userAgent)) return "firefox";
  if (/Chrome\//.test(userAgent)) return "chrome";
  if (/Safari\//.test(userAgent)) return "safari";
  return "other";
}
