/**
 * Jingle as typed values: reading and writing the `<jingle/>` element.
 *
 * Reading is tolerant, as other clients' oddities demand (no `description` in `data`, parameters without a name);
 * writing puts each namespace as a literal attribute. SDP is in `jingle_sdp.ts`.
 */

import { NS } from "./namespaces";
import { readCompactSources } from "./sources";
import type { Source, SourceGroup } from "./sources";
import { attribute, child, children, element, text } from "./xml";
import type { XmlElement } from "./xml";

export type JingleAction =
  | "session-initiate"
  | "session-accept"
  | "session-terminate"
  | "session-info"
  | "source-add"
  | "source-remove"
  | "transport-info"
  | "content-modify";

export interface Jingle {
  readonly action: string;
  readonly sid: string;
  readonly initiator: string | null;
  readonly responder?: string | undefined;
  readonly contents: readonly Content[];
  /** Every source that the element carries: in `description`s and as compact JSON. */
  readonly sources: readonly Source[];
  readonly groups: readonly SourceGroup[];
  readonly reason: Reason | null;
  readonly bridgeSession: BridgeSession | null;
}

export interface Content {
  readonly name: string;
  readonly senders: string;
  readonly media: Media | null;
  readonly rtp: RtpDescription | null;
  readonly transport: Transport | null;
}

export type Media = "audio" | "video" | "application";

export interface RtpDescription {
  readonly payloadTypes: readonly PayloadType[];
  readonly headerExtensions: readonly HeaderExtension[];
  readonly isExtmapAllowMixed: boolean;
}

export interface PayloadType {
  readonly id: number;
  readonly name: string;
  readonly clockRate: number;
  readonly channels: number;
  readonly parameters: readonly Parameter[];
  readonly feedback: readonly Feedback[];
}

export interface Parameter {
  /** Empty for a bare value, as in RED's `111/111`. */
  readonly name: string;
  readonly value: string;
}

export interface Feedback {
  readonly type: string;
  readonly subtype: string | null;
}

export interface HeaderExtension {
  readonly id: number;
  readonly uri: string;
}

export interface Transport {
  readonly ufrag: string | null;
  readonly pwd: string | null;
  readonly fingerprints: readonly Fingerprint[];
  readonly candidates: readonly Candidate[];
  readonly webSocketUrl: string | null;
  readonly sctpPort: number | null;
  /** Which restart of ICE this belongs to, counted by the focus from 1. */
  readonly iceGeneration?: number | undefined;
}

export interface Fingerprint {
  readonly hash: string;
  readonly setup: string;
  readonly value: string;
}

export interface Candidate {
  readonly foundation: string;
  readonly component: number;
  readonly protocol: string;
  readonly priority: number;
  readonly ip: string;
  readonly port: number;
  readonly type: string;
  readonly relatedAddress: string | null;
  readonly relatedPort: number | null;
  readonly tcpType: string | null;
}

export interface Reason {
  readonly condition: string;
  readonly text: string;
}

export interface BridgeSession {
  readonly id: string;
  /** A new session is wanted. */
  readonly isRestart: boolean;
  /** New ICE credentials are wanted, in the session as it is. */
  readonly isIceRestart?: boolean | undefined;
}

/** Reads a `<jingle/>` element; what is malformed in it is left out. */
export function readJingle(of: XmlElement): Jingle {
  const contents = children(of, "content").map(readContent);
  const sources: Source[] = [];
  const groups: SourceGroup[] = [];
  for (const content of children(of, "content")) {
    const description = child(content, "description");
    const media = attribute(description, "media") === "audio" ? "audio" : "video";
    for (const source of children(description, "source")) {
      const read = readSource(source, media);
      if (read !== null) sources.push(read);
    }
    for (const group of children(description, "ssrc-group")) {
      const read = readGroup(group);
      if (read !== null) groups.push(read);
    }
  }
  for (const json of children(of, "json-message")) {
    const compact = readCompactSources(text(json));
    sources.push(...compact.sources);
    groups.push(...compact.groups);
  }
  return {
    action: attribute(of, "action") ?? "",
    sid: attribute(of, "sid") ?? "",
    initiator: attribute(of, "initiator"),
    contents,
    sources,
    groups,
    reason: readReason(child(of, "reason")),
    bridgeSession: readBridgeSession(child(of, "bridge-session")),
  };
}

export interface JingleOut {
  readonly action: JingleAction;
  readonly sid: string;
  readonly initiator?: string | undefined;
  readonly responder?: string | undefined;
  readonly contents?: readonly ContentOut[];
  /** Names of contents in one BUNDLE group. */
  readonly bundle?: readonly string[];
  readonly reason?: Reason;
  readonly bridgeSession?: BridgeSession;
}

export interface ContentOut {
  readonly name: string;
  readonly senders: "both" | "initiator" | "responder" | "none";
  readonly creator?: "initiator" | "responder";
  readonly media: Media;
  readonly rtp: RtpDescription | null;
  readonly transport: Transport | null;
  readonly sources: readonly Source[];
  readonly groups: readonly SourceGroup[];
}

export function writeJingle(out: JingleOut): XmlElement {
  return element(
    "jingle",
    { xmlns: NS.jingle, action: out.action, sid: out.sid, initiator: out.initiator, responder: out.responder },
    out.bundle === undefined
      ? null
      : element(
          "group",
          { xmlns: NS.grouping, semantics: "BUNDLE" },
          out.bundle.map((name) => element("content", { name })),
        ),
    (out.contents ?? []).map(writeContent),
    out.reason === undefined
      ? null
      : element(
          "reason",
          {},
          element(out.reason.condition),
          out.reason.text === "" ? null : element("text", {}, out.reason.text),
        ),
    out.bridgeSession === undefined
      ? null
      : element("bridge-session", {
          xmlns: NS.focus,
          id: out.bridgeSession.id,
          restart: out.bridgeSession.isRestart ? "true" : undefined,
          "ice-restart": out.bridgeSession.isIceRestart === true ? "true" : undefined,
        }),
  );
}

function readContent(of: XmlElement): Content {
  const description = child(of, "description");
  const transport = child(of, "transport");
  const name = attribute(of, "name") ?? "";
  const media = attribute(description, "media") ?? name;
  const isData = media === "application" || media === "data" || child(transport, "sctpmap") !== null;
  const kind = isData ? "application" : media === "audio" || media === "video" ? media : null;
  return {
    name,
    senders: attribute(of, "senders") ?? "both",
    media: kind,
    rtp: description === null || isData ? null : readRtp(description),
    transport: transport === null ? null : readTransport(transport),
  };
}

function readRtp(of: XmlElement): RtpDescription {
  const payloadTypes: PayloadType[] = [];
  for (const type of children(of, "payload-type")) {
    const id = readInteger(attribute(type, "id"), 127);
    const name = attribute(type, "name");
    if (id === null || name === null || !TOKEN.test(name)) continue;
    payloadTypes.push({
      id,
      name,
      clockRate: readInteger(attribute(type, "clockrate")) ?? 90_000,
      channels: readInteger(attribute(type, "channels"), 255) ?? 1,
      parameters: children(type, "parameter").map((parameter) => ({
        name: oneLine(attribute(parameter, "name") ?? ""),
        value: oneLine(attribute(parameter, "value") ?? ""),
      })),
      feedback: children(type, "rtcp-fb").map((feedback) => ({
        type: oneLine(attribute(feedback, "type") ?? ""),
        subtype: attribute(feedback, "subtype") === null ? null : oneLine(attribute(feedback, "subtype") ?? ""),
      })),
    });
  }
  const headerExtensions: HeaderExtension[] = [];
  for (const extension of children(of, "rtp-hdrext")) {
    const id = readInteger(attribute(extension, "id"), 255);
    const uri = attribute(extension, "uri");
    if (id !== null && uri !== null) headerExtensions.push({ id, uri: oneLine(uri) });
  }
  return { payloadTypes, headerExtensions, isExtmapAllowMixed: child(of, "extmap-allow-mixed") !== null };
}

function readTransport(of: XmlElement): Transport {
  const map = child(of, "sctpmap");
  return {
    ufrag: attribute(of, "ufrag") === null ? null : oneLine(attribute(of, "ufrag") ?? ""),
    pwd: attribute(of, "pwd") === null ? null : oneLine(attribute(of, "pwd") ?? ""),
    fingerprints: children(of, "fingerprint").map((fingerprint) => ({
      hash: oneLine(attribute(fingerprint, "hash") ?? "sha-256"),
      setup: oneLine(attribute(fingerprint, "setup") ?? "actpass"),
      value: oneLine(text(fingerprint).trim()),
    })),
    candidates: children(of, "candidate").flatMap((candidate) => readCandidate(candidate) ?? []),
    webSocketUrl: attribute(child(of, "web-socket"), "url"),
    sctpPort: map === null ? null : (readInteger(attribute(map, "number"), 65_535) ?? 5000),
    iceGeneration: readInteger(attribute(of, "ice-generation")) ?? undefined,
  };
}

function readCandidate(of: XmlElement): Candidate | null {
  const ip = attribute(of, "ip");
  const port = readInteger(attribute(of, "port"), 65_535);
  const priority = readInteger(attribute(of, "priority"));
  if (ip === null || port === null || priority === null) return null;
  const related = attribute(of, "rel-addr");
  const tcpType = attribute(of, "tcptype");
  return {
    foundation: oneWord(attribute(of, "foundation") ?? "1"),
    component: readInteger(attribute(of, "component")) ?? 1,
    protocol: oneWord(attribute(of, "protocol") ?? "udp"),
    priority,
    ip: oneWord(ip),
    port,
    type: oneWord(attribute(of, "type") ?? "host"),
    relatedAddress: related === null ? null : oneWord(related),
    relatedPort: readInteger(attribute(of, "rel-port"), 65_535),
    tcpType: tcpType === null ? null : oneWord(tcpType),
  };
}

function readSource(of: XmlElement, media: "audio" | "video"): Source | null {
  const ssrc = readInteger(attribute(of, "ssrc"), 0xffff_ffff);
  if (ssrc === null) return null;
  const owner = attribute(child(of, "ssrc-info"), "owner");
  const name = attribute(of, "name");
  const parameters = children(of, "parameter");
  const msid = parameters.find((parameter) => attribute(parameter, "name") === "msid");
  return {
    ssrc,
    media,
    name,
    owner: owner === null ? ownerOfName(name) : owner.slice(owner.lastIndexOf("/") + 1),
    msid: msid === undefined ? null : attribute(msid, "value"),
    isScreen: attribute(of, "videoType") === "desktop",
  };
}

function ownerOfName(name: string | null): string | null {
  const match = name === null ? null : /^(.+)-[av]\d+$/.exec(name);
  return match?.[1] ?? null;
}

function readGroup(of: XmlElement): SourceGroup | null {
  const semantics = attribute(of, "semantics");
  const ssrcs = children(of, "source").flatMap((source) => readInteger(attribute(source, "ssrc"), 0xffff_ffff) ?? []);
  if ((semantics !== "FID" && semantics !== "SIM") || ssrcs.length < 2) return null;
  return { semantics, ssrcs };
}

function readReason(of: XmlElement | null): Reason | null {
  if (of === null) return null;
  const condition = children(of).find((node) => node.name !== "text");
  return { condition: condition?.name ?? "", text: text(child(of, "text")) };
}

function readBridgeSession(of: XmlElement | null): BridgeSession | null {
  const id = attribute(of, "id");
  return id === null ? null : { id, isRestart: attribute(of, "restart") === "true" };
}

function writeContent(content: ContentOut): XmlElement {
  const isData = content.media === "application";
  return element(
    "content",
    {
      creator: content.creator ?? "initiator",
      name: content.name,
      senders: isData ? undefined : content.senders,
    },
    isData && content.rtp === null ? null : writeDescription(content),
    content.transport === null ? null : writeTransport(content.transport),
  );
}

function writeDescription(content: ContentOut): XmlElement {
  const rtp = content.rtp;
  return element(
    "description",
    { xmlns: NS.rtp, media: content.media },
    (rtp?.payloadTypes ?? []).map((type) =>
      element(
        "payload-type",
        { id: type.id, name: type.name, clockrate: type.clockRate, channels: type.channels },
        type.parameters.map((parameter) => element("parameter", { name: parameter.name, value: parameter.value })),
        type.feedback.map((feedback) =>
          element("rtcp-fb", {
            xmlns: NS.rtcpFeedback,
            type: feedback.type,
            subtype: feedback.subtype ?? undefined,
          }),
        ),
      ),
    ),
    (rtp?.headerExtensions ?? []).map((extension) =>
      element("rtp-hdrext", { xmlns: NS.rtpHeaderExtension, id: extension.id, uri: extension.uri }),
    ),
    rtp?.isExtmapAllowMixed === true ? element("extmap-allow-mixed", { xmlns: NS.rtpHeaderExtension }) : null,
    rtp === null ? null : element("rtcp-mux"),
    content.sources.map((source) =>
      element(
        "source",
        {
          xmlns: NS.sourceAttributes,
          ssrc: source.ssrc,
          name: source.name ?? undefined,
          videoType: source.media === "audio" ? undefined : source.isScreen ? "desktop" : "camera",
        },
        source.msid === null ? null : element("parameter", { name: "msid", value: source.msid }),
      ),
    ),
    content.groups.map((group) =>
      element(
        "ssrc-group",
        { xmlns: NS.sourceAttributes, semantics: group.semantics },
        group.ssrcs.map((ssrc) => element("source", { ssrc })),
      ),
    ),
  );
}

function writeTransport(transport: Transport): XmlElement {
  return element(
    "transport",
    {
      xmlns: NS.iceUdp,
      ufrag: transport.ufrag ?? undefined,
      pwd: transport.pwd ?? undefined,
      "ice-generation": transport.iceGeneration,
    },
    transport.sctpPort === null
      ? null
      : element("sctpmap", {
          xmlns: NS.sctp,
          number: transport.sctpPort,
          protocol: "webrtc-datachannel",
          streams: 0,
        }),
    transport.fingerprints.map((fingerprint) =>
      element(
        "fingerprint",
        { xmlns: NS.dtls, hash: fingerprint.hash, setup: fingerprint.setup },
        fingerprint.value,
      ),
    ),
    transport.candidates.map((candidate, index) =>
      element("candidate", {
        id: `c${index}`,
        foundation: candidate.foundation,
        component: candidate.component,
        protocol: candidate.protocol,
        priority: candidate.priority,
        ip: candidate.ip,
        port: candidate.port,
        type: candidate.type,
        "rel-addr": candidate.relatedAddress ?? undefined,
        "rel-port": candidate.relatedPort ?? undefined,
        tcptype: candidate.tcpType ?? undefined,
        generation: 0,
        network: 0,
      }),
    ),
  );
}

/** RFC 4855: a codec's name has no characters that could end its line or field. */
const TOKEN = /^[A-Za-z0-9!#$&^_.+-]+$/;

function readInteger(value: string | null, max = Number.MAX_SAFE_INTEGER): number | null {
  if (value === null || !/^\d{1,16}$/.test(value)) return null;
  const number = Number(value);
  return number <= max ? number : null;
}

/** A peer's text must not be able to add lines to our SDP. */
function oneLine(value: string): string {
  return value.replace(/[\r\n]/g, "");
}

function oneWord(value: string): string {
  return value.replace(/\s/g, "");
}
