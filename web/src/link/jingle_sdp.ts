/**
 * Jingle ↔ SDP, as pure functions.
 *
 * A browser's own descriptions are read with `readSdp`. The other side's description is never received as SDP: it is
 * written by `writeSdp` from what Jingle told us and from a list of slots (m-lines) that we decide on. So m-lines and
 * their mids are a private matter between this page and its browser, and the mid header extension is never negotiated:
 * streams are told apart by their SSRCs.
 */

import type { Candidate, HeaderExtension, Media, Parameter, PayloadType, RtpDescription, Transport } from "./jingle";
import type { RemoteSource, SourceGroup } from "./sources";

export type Direction = "sendrecv" | "sendonly" | "recvonly" | "inactive";

/** One m-line of the other side's description. */
export interface Slot {
  readonly mid: string;
  readonly media: Media;
  /** As the other side would say it: `sendonly` means that we receive. */
  readonly direction: Direction;
  /** Null for the data channel. */
  readonly rtp: RtpDescription | null;
  /** What the other side sends here. */
  readonly source: RemoteSource | null;
  /** The other side takes three simulcast streams here (the `rid` form, which Firefox needs to send them). */
  readonly isSimulcastReceived: boolean;
}

export interface RemoteDescription {
  /** Counts up with each change. */
  readonly version: number;
  readonly transport: Transport;
  /** `actpass` in an offer; `active` or `passive` once it is settled. */
  readonly setup: string;
  readonly slots: readonly Slot[];
}

/** Names of the three simulcast streams, low to high. */
export const RIDS = ["1", "2", "3"] as const;

export function writeSdp(description: RemoteDescription): string {
  const { transport, slots } = description;
  const lines = [
    "v=0",
    `o=- 1 ${description.version} IN IP4 0.0.0.0`,
    "s=-",
    "t=0 0",
    `a=group:BUNDLE ${slots.map((slot) => slot.mid).join(" ")}`,
    "a=msid-semantic: WMS *",
    "a=ice-options:trickle",
  ];
  if (slots.some((slot) => slot.rtp?.isExtmapAllowMixed === true)) lines.push("a=extmap-allow-mixed");
  slots.forEach((slot, index) => {
    // All m-lines share one transport, so that the first one's candidates do for all.
    lines.push(...slotLines(slot, transport, description.setup, index === 0));
  });
  return lines.join("\r\n") + "\r\n";
}

function slotLines(slot: Slot, transport: Transport, setup: string, hasCandidates: boolean): string[] {
  const lines: string[] = [];
  if (slot.rtp === null) {
    lines.push("m=application 9 UDP/DTLS/SCTP webrtc-datachannel");
  } else {
    lines.push(`m=${slot.media} 9 UDP/TLS/RTP/SAVPF ${slot.rtp.payloadTypes.map((type) => type.id).join(" ")}`);
  }
  lines.push("c=IN IP4 0.0.0.0");
  if (slot.rtp !== null) lines.push("a=rtcp:9 IN IP4 0.0.0.0");
  if (transport.ufrag !== null) lines.push(`a=ice-ufrag:${transport.ufrag}`);
  if (transport.pwd !== null) lines.push(`a=ice-pwd:${transport.pwd}`);
  for (const fingerprint of transport.fingerprints) lines.push(`a=fingerprint:${fingerprint.hash} ${fingerprint.value}`);
  lines.push(`a=setup:${setup}`, `a=mid:${slot.mid}`);
  if (hasCandidates) {
    for (const candidate of transport.candidates) lines.push(`a=${writeCandidate(candidate)}`);
  }
  if (slot.rtp === null) return [...lines, `a=sctp-port:${transport.sctpPort ?? 5000}`];

  lines.push(`a=${slot.direction}`, "a=rtcp-mux");
  for (const type of slot.rtp.payloadTypes) lines.push(...payloadTypeLines(type, slot.media));
  for (const extension of slot.rtp.headerExtensions) lines.push(`a=extmap:${extension.id} ${extension.uri}`);
  if (slot.isSimulcastReceived) {
    lines.push(...RIDS.map((rid) => `a=rid:${rid} recv`), `a=simulcast:recv ${RIDS.join(";")}`);
  }
  const source = slot.source;
  if (source !== null) {
    lines.push(`a=msid:${source.name} ${source.name}-track`);
    for (const group of source.groups) lines.push(`a=ssrc-group:${group.semantics} ${group.ssrcs.join(" ")}`);
    for (const ssrc of source.ssrcs) lines.push(`a=ssrc:${ssrc} cname:${source.owner}`);
  }
  return lines;
}

function payloadTypeLines(type: PayloadType, media: Media): string[] {
  const channels = media === "audio" && type.channels > 1 ? `/${type.channels}` : "";
  const lines = [`a=rtpmap:${type.id} ${type.name}/${type.clockRate}${channels}`];
  for (const feedback of type.feedback) {
    lines.push(`a=rtcp-fb:${type.id} ${feedback.type}${feedback.subtype === null ? "" : ` ${feedback.subtype}`}`);
  }
  const parameters = type.parameters
    .map((parameter) => (parameter.name === "" ? parameter.value : `${parameter.name}=${parameter.value}`))
    .join(";");
  if (parameters !== "") lines.push(`a=fmtp:${type.id} ${parameters}`);
  return lines;
}

/** One m-line of the browser's own description. */
export interface LocalMedia {
  readonly mid: string;
  readonly media: Media;
  readonly direction: Direction;
  readonly isRejected: boolean;
  readonly rtp: RtpDescription;
  readonly transport: Transport;
  /** What the browser sends here; empty when it doesn't (Firefox names SSRCs for m-lines that only receive, too). */
  readonly ssrcs: readonly number[];
  readonly groups: readonly SourceGroup[];
}

export function readSdp(sdp: string): LocalMedia[] {
  const lines = sdp.split(/\r?\n/);
  const starts = lines.flatMap((line, index) => (line.startsWith("m=") ? [index] : []));
  const session = new Attributes(lines.slice(0, starts[0] ?? lines.length));
  const result: LocalMedia[] = [];
  starts.forEach((start, position) => {
    const media = readMedia(lines.slice(start, starts[position + 1] ?? lines.length), session);
    if (media !== null) result.push(media);
  });
  return result;
}

function readMedia(lines: readonly string[], session: Attributes): LocalMedia | null {
  const match = /^m=(audio|video|application) (\d+) \S+ ?(.*)$/.exec(lines[0] ?? "");
  const own = new Attributes(lines.slice(1));
  const mid = own.first("mid");
  if (match === null || mid === null) return null;
  const media: Media = match[1] === "audio" ? "audio" : match[1] === "video" ? "video" : "application";
  const direction = DIRECTIONS.find((name) => own.has(name)) ?? DIRECTIONS.find((name) => session.has(name));
  const isSending = direction === "sendonly" || direction === "sendrecv";
  return {
    mid,
    media,
    direction: direction ?? "sendrecv",
    isRejected: match[2] === "0",
    rtp: {
      payloadTypes: media === "application" ? [] : readPayloadTypes((match[3] ?? "").split(" "), own),
      headerExtensions: own.all("extmap").flatMap(readHeaderExtension),
      isExtmapAllowMixed: own.has("extmap-allow-mixed") || session.has("extmap-allow-mixed"),
    },
    transport: {
      ufrag: own.first("ice-ufrag") ?? session.first("ice-ufrag"),
      pwd: own.first("ice-pwd") ?? session.first("ice-pwd"),
      fingerprints: readFingerprints(own, session),
      candidates: own.all("candidate").flatMap((value) => readCandidateLine(`candidate:${value}`) ?? []),
      webSocketUrl: null,
      sctpPort: media === "application" ? Number(own.first("sctp-port") ?? "5000") : null,
    },
    ssrcs: isSending ? readSsrcs(own) : [],
    groups: isSending ? readGroups(own) : [],
  };
}

function readPayloadTypes(ids: readonly string[], of: Attributes): PayloadType[] {
  const maps = new Map(of.all("rtpmap").map(splitAtSpace));
  const formats = new Map(of.all("fmtp").map(splitAtSpace));
  const feedback = of.all("rtcp-fb").map(splitAtSpace);
  return ids.flatMap((id) => {
    const [name, clockRate, channels] = (maps.get(id) ?? "").split("/");
    if (name === undefined || name === "" || clockRate === undefined) return [];
    return [
      {
        id: Number(id),
        name,
        clockRate: Number(clockRate),
        channels: Number(channels ?? "1"),
        parameters: readParameters(formats.get(id) ?? ""),
        feedback: feedback
          .filter(([of]) => of === id)
          .map(([, value]) => {
            const [type, subtype] = splitAtSpace(value);
            return { type, subtype: subtype === "" ? null : subtype };
          }),
      },
    ];
  });
}

function readParameters(format: string): Parameter[] {
  return format
    .split(";")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? { name: "", value: part } : { name: part.slice(0, at), value: part.slice(at + 1) };
    });
}

function readHeaderExtension(value: string): HeaderExtension[] {
  const match = /^(\d+)(?:\/\w+)? (\S+)/.exec(value);
  return match?.[1] === undefined || match[2] === undefined ? [] : [{ id: Number(match[1]), uri: match[2] }];
}

function readFingerprints(own: Attributes, session: Attributes): Transport["fingerprints"] {
  const values = own.has("fingerprint") ? own.all("fingerprint") : session.all("fingerprint");
  const setup = own.first("setup") ?? session.first("setup") ?? "actpass";
  return values.map((line) => {
    const [hash, value] = splitAtSpace(line);
    return { hash, setup, value };
  });
}

function readSsrcs(of: Attributes): number[] {
  return [...new Set(of.all("ssrc").map((value) => Number(splitAtSpace(value)[0])))];
}

function readGroups(of: Attributes): SourceGroup[] {
  return of.all("ssrc-group").flatMap((line) => {
    const [semantics, ...ssrcs] = line.split(" ");
    if (semantics !== "FID" && semantics !== "SIM") return [];
    return [{ semantics, ssrcs: ssrcs.filter((ssrc) => ssrc !== "").map(Number) }];
  });
}

/** SSRCs and groups of an m-line as Jingle wants them: with a SIM group also where the browser (Firefox) leaves it out. */
export function signalledStreams(of: LocalMedia): { ssrcs: readonly number[]; groups: readonly SourceGroup[] } {
  const pairs = of.groups.filter((group) => group.semantics === "FID");
  const hasSimulcast = of.groups.some((group) => group.semantics === "SIM");
  const primaries = pairs.flatMap((group) => group.ssrcs[0] ?? []);
  if (hasSimulcast || primaries.length < 2) return { ssrcs: of.ssrcs, groups: of.groups };
  return { ssrcs: of.ssrcs, groups: [{ semantics: "SIM", ssrcs: primaries }, ...of.groups] };
}

/**
 * Makes Chromium send simulcast on one m-line of its own description: three SSRCs in a SIM group, each with its own
 * retransmission stream. Returns the SDP as it was if there is nothing to do: the m-line doesn't send, has the group
 * already, or names its streams by `rid` (Firefox).
 *
 * `more` are four fresh SSRCs: medium, its repair, high, its repair.
 */
export function addSimulcast(sdp: string, mid: string, more: readonly [number, number, number, number]): string {
  const media = readSdp(sdp).find((entry) => entry.mid === mid);
  const pair = media?.groups.find((group) => group.semantics === "FID");
  const [primary, repair] = pair?.ssrcs ?? [];
  if (media === undefined || primary === undefined || repair === undefined || media.groups.length !== 1) return sdp;

  const lines = sdp.split("\r\n");
  const start = lines.indexOf(`a=mid:${mid}`);
  const next = lines.findIndex((line, index) => index > start && line.startsWith("m="));
  const end = next < 0 ? lines.length - (lines.at(-1) === "" ? 1 : 0) : next;
  const cname = lines.slice(start, end).find((line) => line.startsWith(`a=ssrc:${primary} cname:`));
  const kept = lines.slice(start, end).filter((line) => !line.startsWith("a=ssrc:") && !line.startsWith("a=ssrc-group:"));
  const name = cname?.slice(cname.indexOf("cname:")) ?? "cname:-";
  const pairs = [
    [primary, repair],
    [more[0], more[1]],
    [more[2], more[3]],
  ];
  const added = [
    `a=ssrc-group:SIM ${pairs.map(([first]) => first).join(" ")}`,
    ...pairs.map((ssrcs) => `a=ssrc-group:FID ${ssrcs.join(" ")}`),
    ...pairs.flat().map((ssrc) => `a=ssrc:${ssrc} ${name}`),
  ];
  return [...lines.slice(0, start), ...kept, ...added, ...lines.slice(end)].join("\r\n");
}

/** Without the header extensions that would tell streams apart by m-line, which we never negotiate. */
export function withoutMid(rtp: RtpDescription): RtpDescription {
  return { ...rtp, headerExtensions: rtp.headerExtensions.filter((extension) => !MID_EXTENSIONS.has(extension.uri)) };
}

/** Only these codecs (lower case), in this order, then the retransmission types that belong to them. */
export function withCodecs(rtp: RtpDescription, codecs: readonly string[]): RtpDescription {
  const chosen = codecs.flatMap((codec) => rtp.payloadTypes.filter((type) => type.name.toLowerCase() === codec));
  const ids = new Set(chosen.map((type) => String(type.id)));
  const repair = rtp.payloadTypes.filter((type) => {
    const target = type.parameters.find((parameter) => parameter.name === "apt");
    return type.name.toLowerCase() === "rtx" && target !== undefined && ids.has(target.value);
  });
  return { ...rtp, payloadTypes: [...chosen, ...repair] };
}

/** Reads `candidate:…`, with or without `a=`; null for what Jingle can't say. */
export function readCandidateLine(line: string): Candidate | null {
  const fields = line.replace(/^a=/, "").replace(/^candidate:/, "").trim().split(/\s+/);
  const [foundation, component, protocol, priority, ip, port, typ, type, ...rest] = fields;
  if (foundation === undefined || protocol === undefined || ip === undefined || type === undefined || typ !== "typ") {
    return null;
  }
  const extra = new Map<string, string>();
  for (let index = 0; index + 1 < rest.length; index += 2) extra.set(rest[index] ?? "", rest[index + 1] ?? "");
  const relatedPort = extra.get("rport");
  return {
    foundation,
    component: Number(component),
    protocol: protocol.toLowerCase(),
    priority: Number(priority),
    ip,
    port: Number(port),
    type,
    relatedAddress: extra.get("raddr") ?? null,
    relatedPort: relatedPort === undefined ? null : Number(relatedPort),
    tcpType: extra.get("tcptype") ?? null,
  };
}

/** `candidate:…` without `a=`, as the browser's `addIceCandidate` takes it. */
export function writeCandidate(of: Candidate): string {
  const related = of.relatedAddress === null ? "" : ` raddr ${of.relatedAddress} rport ${of.relatedPort ?? 9}`;
  const tcp = of.tcpType === null ? "" : ` tcptype ${of.tcpType}`;
  // COMPAT(jitsi): `ssltcp` is TCP with a disguise that Firefox does not know.
  const protocol = of.protocol === "ssltcp" ? "tcp" : of.protocol;
  const head = `candidate:${of.foundation} ${of.component} ${protocol} ${of.priority} ${of.ip} ${of.port}`;
  return `${head} typ ${of.type}${related}${tcp} generation 0`;
}

const DIRECTIONS: readonly Direction[] = ["sendrecv", "sendonly", "recvonly", "inactive"];

const MID_EXTENSIONS = new Set([
  "urn:ietf:params:rtp-hdrext:sdes:mid",
  "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
  "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
]);

/** The `a=` lines of a section, by name. */
class Attributes {
  readonly #values = new Map<string, string[]>();

  constructor(lines: readonly string[]) {
    for (const line of lines) {
      if (!line.startsWith("a=")) continue;
      const at = line.indexOf(":");
      const name = at < 0 ? line.slice(2) : line.slice(2, at);
      const value = at < 0 ? "" : line.slice(at + 1).trim();
      this.#values.set(name, [...this.all(name), value]);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  first(name: string): string | null {
    return this.#values.get(name)?.[0] ?? null;
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }
}

function splitAtSpace(value: string): [string, string] {
  const at = value.indexOf(" ");
  return at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
}
