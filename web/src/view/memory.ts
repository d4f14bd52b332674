/**
 * What this browser remembers between visits. A browser that forbids storage only forgets: nothing here fails.
 */

import type { DeviceChoice } from "../meeting/state";

export interface Visit {
  /** The path, so that a tenant's room leads back to the tenant. */
  readonly path: string;
  readonly name: string;
  readonly at: number;
}

const PREFIX = "tertulia.";
const VISITS_MAX = 5;

function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    // Storage is forbidden or full.
  }
}

function readJson(key: string): unknown {
  try {
    return JSON.parse(read(key) ?? "null") as unknown;
  } catch {
    return null;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
const stringOrNull = (value: unknown): string | null => (typeof value === "string" ? value : null);

export const memory = {
  name: (): string => read("name") ?? "",
  setName: (name: string): void => write("name", name === "" ? null : name),

  language: (): string | null => read("language"),
  setLanguage: (language: string): void => write("language", language),

  theme: (): "light" | "dark" | null => {
    const theme = read("theme");
    return theme === "light" || theme === "dark" ? theme : null;
  },
  setTheme: (theme: "light" | "dark"): void => write("theme", theme),

  devices: (): DeviceChoice => {
    const stored = readJson("devices");
    const choice = isRecord(stored) ? stored : {};
    return {
      microphone: stringOrNull(choice["microphone"]),
      camera: stringOrNull(choice["camera"]),
      speaker: stringOrNull(choice["speaker"]),
    };
  },
  setDevices: (choice: DeviceChoice): void => write("devices", JSON.stringify(choice)),

  visits: (): Visit[] => {
    const stored = readJson("rooms");
    if (!Array.isArray(stored)) return [];
    return stored.flatMap((visit: unknown): Visit[] => {
      if (!isRecord(visit)) return [];
      const { path, name, at } = visit;
      return typeof path === "string" && path.startsWith("/") && typeof name === "string" && typeof at === "number"
        ? [{ path, name, at }]
        : [];
    });
  },
  addVisit: (visit: Visit): void => {
    const others = memory.visits().filter((known) => known.path.toLowerCase() !== visit.path.toLowerCase());
    write("rooms", JSON.stringify([visit, ...others].slice(0, VISITS_MAX)));
  },
  forgetVisit: (path: string): void => {
    write("rooms", JSON.stringify(memory.visits().filter((known) => known.path !== path)));
  },
};
