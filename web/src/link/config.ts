/** What the server tells the page in `config.js`, read without trusting its shape. Pure. */

import { isRecord, numberOf, stringOf } from "./json";
import type { JsonRecord } from "./json";

export interface LinkConfig {
  /** XMPP domain. */
  readonly domain: string;
  /** Host of the rooms. */
  readonly roomHost: string;
  /** Address of conference requests. */
  readonly focus: string;
  /** Bare JID of the focus, if it is known beforehand. */
  readonly focusUser: string | null;
  readonly webSocketUrl: string;
  readonly isPeerToPeerEnabled: boolean;
  readonly stunServers: readonly RTCIceServer[];
  /** How long two people who remained wait before they connect directly. */
  readonly backToPeerMs: number;
  readonly isSctpPreferred: boolean;
  /** The server gives new ICE credentials within a session. */
  readonly canRestartIce: boolean;
  /** Lines of the camera's picture. */
  readonly captureHeight: number;
  /** With more people than that, newcomers begin muted; `Infinity`: never. */
  readonly startMutedAfter: { readonly microphone: number; readonly camera: number };
}

export interface PageAddress {
  readonly protocol: string;
  readonly host: string;
  /** With `#`. As with Jitsi, `#config.resolution=180` asks for a smaller camera picture. */
  readonly hash: string;
}

/** Null when the page's server has not said where it is. */
export function readConfig(raw: unknown, page: PageAddress): LinkConfig | null {
  if (!isRecord(raw)) return null;
  const hosts = recordOf(raw["hosts"]);
  const domain = stringOf(hosts["domain"]);
  const roomHost = stringOf(hosts["muc"]);
  if (domain === null || roomHost === null) return null;
  const p2p = recordOf(raw["p2p"]);
  const channel = recordOf(raw["bridgeChannel"]);
  const resolution = numberInHash(page.hash, "config.resolution") ?? numberOf(raw["resolution"]) ?? DEFAULT_HEIGHT;
  return {
    domain,
    roomHost: roomHost.toLowerCase(),
    focus: stringOf(hosts["focus"]) ?? `focus.${domain}`,
    focusUser: stringOf(raw["focusUserJid"]),
    webSocketUrl: absolute(stringOf(raw["websocket"]) ?? "/xmpp-websocket", page),
    isPeerToPeerEnabled: p2p["enabled"] !== false,
    stunServers: readStunServers(p2p["stunServers"]),
    backToPeerMs: 1000 * (numberOf(p2p["backToP2PDelay"]) ?? 5),
    isSctpPreferred: channel["preferSctp"] !== false,
    canRestartIce: raw["enableIceRestart"] === true,
    captureHeight: Math.min(Math.max(Math.round(resolution), MIN_HEIGHT), MAX_HEIGHT),
    startMutedAfter: { microphone: threshold(raw["startAudioMuted"]), camera: threshold(raw["startVideoMuted"]) },
  };
}

/** The room's JID for a name from the address, spelled as Jitsi's clients spell it, so that both meet in one room. */
export function roomJid(config: LinkConfig, name: string): string {
  return `${encodeURIComponent(name.normalize("NFKC").toLowerCase()).toLowerCase()}@${config.roomHost}`;
}

const DEFAULT_HEIGHT = 720;
const MIN_HEIGHT = 90;
const MAX_HEIGHT = 2160;

function recordOf(value: unknown): JsonRecord {
  return isRecord(value) ? value : {};
}

/** Jitsi's -1 and what is no number: never. */
function threshold(value: unknown): number {
  const count = numberOf(value);
  return count === null || count < 0 ? Number.POSITIVE_INFINITY : count;
}

function readStunServers(value: unknown): RTCIceServer[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown) => {
    const urls = isRecord(entry) ? stringOf(entry["urls"]) : null;
    return urls === null ? [] : [{ urls }];
  });
}

function absolute(url: string, page: PageAddress): string {
  if (/^wss?:/.test(url)) return url;
  const scheme = page.protocol === "http:" ? "ws:" : "wss:";
  if (url.startsWith("//")) return scheme + url;
  return `${scheme}//${page.host}${url.startsWith("/") ? url : `/${url}`}`;
}

function numberInHash(hash: string, name: string): number | null {
  const value = new URLSearchParams(hash.replace(/^#/, "")).get(name);
  return value !== null && /^\d{1,4}$/.test(value) ? Number(value) : null;
}
