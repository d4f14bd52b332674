/**
 * Sources as they are signalled: SSRCs with a name, an owner and their groups; and the compact JSON form.
 */

import { isRecord, parseJson } from "./json";

export interface Source {
  readonly ssrc: number;
  readonly media: "audio" | "video";
  /** `<owner>-a0`; null from very old clients. */
  readonly name: string | null;
  readonly owner: string | null;
  readonly msid: string | null;
  readonly isScreen: boolean;
}

export interface SourceGroup {
  /** FID: a stream and its retransmissions. SIM: simulcast, low to high. */
  readonly semantics: "FID" | "SIM";
  readonly ssrcs: readonly number[];
}

/** One thing that someone sends, with all SSRCs that belong to it. What a receiver makes an m-line for. */
export interface RemoteSource {
  readonly name: string;
  readonly owner: string;
  readonly media: "audio" | "video";
  readonly isScreen: boolean;
  readonly ssrcs: readonly number[];
  readonly groups: readonly SourceGroup[];
}

/** The bridge's own SSRCs; no person is behind them. */
export const BRIDGE_OWNER = "jvb";

/**
 * Puts SSRCs together that have the same name. Sources without an owner and the bridge's own are left out, so are groups
 * over unknown SSRCs. Simulcast that was not stripped is cut down to its first stream, since nobody sends us more.
 */
export function remoteSources(sources: readonly Source[], groups: readonly SourceGroup[]): RemoteSource[] {
  const byName = new Map<string, Source[]>();
  for (const source of sources) {
    if (source.owner === null || source.owner === BRIDGE_OWNER) continue;
    const name = source.name ?? `${source.owner}-${source.media === "audio" ? "a" : "v"}0`;
    const members = byName.get(name);
    if (members === undefined) byName.set(name, [source]);
    else if (!members.some((member) => member.ssrc === source.ssrc)) members.push(source);
  }
  const result: RemoteSource[] = [];
  for (const [name, members] of byName) {
    const first = members[0];
    if (first?.owner == null) continue;
    const known = new Set(members.map((member) => member.ssrc));
    const mine = groups.filter((group) => group.ssrcs.every((ssrc) => known.has(ssrc)));
    const simulcast = mine.find((group) => group.semantics === "SIM");
    const dropped = new Set(simulcast?.ssrcs.slice(1) ?? []);
    const pairs = mine.filter((group) => group.semantics === "FID" && !group.ssrcs.some((ssrc) => dropped.has(ssrc)));
    for (const group of mine) {
      const [primary, repair] = group.ssrcs;
      if (group.semantics === "FID" && primary !== undefined && repair !== undefined && dropped.has(primary)) {
        dropped.add(repair);
      }
    }
    result.push({
      name,
      owner: first.owner,
      media: first.media,
      isScreen: members.some((member) => member.isScreen),
      ssrcs: members.map((member) => member.ssrc).filter((ssrc) => !dropped.has(ssrc)),
      groups: pairs,
    });
  }
  return result;
}

export interface CompactSources {
  readonly sources: Source[];
  readonly groups: SourceGroup[];
}

/** Reads `{"sources":{OWNER:[[video],[video groups],[audio],[audio groups]]}}`; empty for any other JSON. */
export function readCompactSources(json: string): CompactSources {
  const result: CompactSources = { sources: [], groups: [] };
  const message = parseJson(json);
  const owners = isRecord(message) ? message["sources"] : null;
  if (!isRecord(owners)) return result;
  for (const [owner, lists] of Object.entries(owners)) {
    if (!Array.isArray(lists)) continue;
    const [video, videoGroups, audio, audioGroups]: unknown[] = lists;
    readList(video, "video", owner, result.sources);
    readGroups(videoGroups, result.groups);
    readList(audio, "audio", owner, result.sources);
    readGroups(audioGroups, result.groups);
  }
  return result;
}

function readList(list: unknown, media: "audio" | "video", owner: string, into: Source[]): void {
  if (!Array.isArray(list)) return;
  for (const entry of list as unknown[]) {
    if (!isRecord(entry)) continue;
    const ssrc = readSsrc(entry["s"]);
    if (ssrc === null) continue;
    const { n: name, m: msid, v: kind } = entry;
    into.push({
      ssrc,
      media,
      name: typeof name === "string" ? name : null,
      owner,
      msid: typeof msid === "string" ? msid : null,
      isScreen: kind === "d",
    });
  }
}

function readGroups(list: unknown, into: SourceGroup[]): void {
  if (!Array.isArray(list)) return;
  for (const entry of list as unknown[]) {
    if (!Array.isArray(entry)) continue;
    const [kind, ...rest]: unknown[] = entry;
    const ssrcs = rest.map(readSsrc).filter((ssrc) => ssrc !== null);
    if ((kind !== "f" && kind !== "s") || ssrcs.length < 2) continue;
    into.push({ semantics: kind === "f" ? "FID" : "SIM", ssrcs });
  }
}

function readSsrc(value: unknown): number | null {
  const number = typeof value === "string" ? Number(value) : value;
  return typeof number === "number" && Number.isInteger(number) && number > 0 && number <= 0xffff_ffff ? number : null;
}
