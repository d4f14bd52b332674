/**
 * The two ways that media can take, and the change between them: through the bridge, or directly to the only other
 * participant.
 *
 * The session with the bridge stays up all the time. A change of path starts the new one first, waits until everything
 * that should arrive on it arrives, and only then shows it and ends the old one, so that nobody sees a gap.
 */

import { createBridgeSession } from "./bridge_session";
import type { BridgeSession } from "./bridge_session";
import type { BridgeMessage, VideoConstraints } from "./channel_messages";
import type { LinkConfig } from "./config";
import { RequestError } from "./connection";
import { randomHex } from "./device_id";
import type { LinkEvent, MediaPath } from "./events";
import type { Jingle, JingleOut } from "./jingle";
import type { MediaConnection, OwnSource, OwnTracks, SourceStatistics } from "./media_connection";
import { peerRule } from "./peer_rule";
import type { PeerRule } from "./peer_rule";
import { PeerSession } from "./peer_session";
import type { Occupant } from "./room";

export interface MediaPathsOptions {
  readonly config: LinkConfig;
  /** Our nick. */
  readonly id: string;
  readonly roomJid: string;
  readonly tracks: OwnTracks;
  readonly constraints: VideoConstraints;
  readonly iceServers: () => readonly RTCIceServer[];
  /** Sends to an occupant (`focus` or a nick); rejects with a `RequestError`. */
  readonly send: (to: string, jingle: JingleOut) => Promise<void>;
  readonly listener: (event: LinkEvent) => void;
  /** Media stopped; perhaps our address is another, and the line to the server is dead as well. */
  readonly interrupted: () => void;
  /** The focus will not have us any more: only a new entrance into the room helps. */
  readonly lost: () => void;
}

/** How an incoming Jingle request is answered. */
export type JingleAnswer = "result" | "bad-request" | "unknown-session";

export interface SourceReport extends SourceStatistics {
  readonly via: "p2p" | "bridge";
}

export class MediaPaths {
  readonly #options: MediaPathsOptions;
  #tracks: OwnTracks;
  #constraints: VideoConstraints;
  #bridge: BridgeSession | null = null;
  #peer: PeerSession | null = null;
  /** The direct connection that is being given up, and still fed for a moment. */
  #leaving: PeerSession | null = null;
  /** Whose tracks are shown. */
  #shown: "bridge" | "peer" = "bridge";
  #occupants: ReadonlyMap<string, Occupant> = new Map();
  /** No direct connection before this time; `Infinity` until somebody comes or goes. */
  #peerNotBefore = 0;
  #peerTimer: ReturnType<typeof setTimeout> | undefined;
  #pathTimer: ReturnType<typeof setTimeout> | undefined;
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  /** Counts changes of path, so that a change that was overtaken stops waiting. */
  #change = 0;
  #restarts = 0;
  #isClosed = false;
  #path: MediaPath = "none";

  constructor(options: MediaPathsOptions) {
    this.#options = options;
    this.#tracks = options.tracks;
    this.#constraints = options.constraints;
  }

  setTracks(tracks: OwnTracks): void {
    this.#tracks = tracks;
    this.#bridge?.setTracks(tracks);
    this.#peer?.setTracks(tracks);
  }

  setConstraints(constraints: VideoConstraints): void {
    this.#constraints = constraints;
    this.#bridge?.setConstraints(constraints);
  }

  /** Our address may be another. */
  networkChanged(): void {
    this.#bridge?.renewPath();
  }

  /** Somebody came, went or changed. `left` is who went. */
  occupantsChanged(occupants: ReadonlyMap<string, Occupant>, left: string | null): void {
    const countBefore = this.#occupants.size;
    this.#occupants = new Map(occupants);
    if (left !== null) {
      this.#bridge?.removeOwner(left);
      if (this.#peer?.peer === left) this.#endPeer(null);
    }
    if (occupants.size !== countBefore) {
      this.#peerNotBefore = left === null ? 0 : Date.now() + this.#options.config.backToPeerMs;
    }
    this.#considerPeer();
  }

  /** A Jingle request from the focus. */
  receiveFromFocus(jingle: Jingle): JingleAnswer {
    if (jingle.action === "session-initiate") {
      this.#startBridge(jingle);
      return "result";
    }
    const bridge = this.#bridge;
    if (bridge === null || bridge.sid !== jingle.sid) return "unknown-session";
    switch (jingle.action) {
      case "source-add":
        bridge.addSources(jingle);
        return "result";
      case "source-remove":
        bridge.removeSources(jingle);
        return "result";
      case "session-terminate":
        this.#endBridge();
        return "result";
      case "transport-info":
        bridge.changeTransport(jingle);
        return "result";
      default:
        return "bad-request";
    }
  }

  /** A Jingle request from another occupant. */
  receiveFromPeer(from: string, jingle: Jingle): JingleAnswer {
    if (jingle.action === "session-initiate") {
      if (this.#isPeerWelcome(from, jingle)) this.#startPeer(from, jingle);
      else void this.#terminate(from, jingle.sid, `${this.#options.roomJid}/${from}`, "decline", "").catch(ignore);
      return "result";
    }
    const peer = this.#peer;
    if (peer === null || peer.sid !== jingle.sid || peer.peer !== from) return "unknown-session";
    switch (jingle.action) {
      case "session-accept":
        peer.accepted(jingle);
        return "result";
      case "transport-info":
        peer.addCandidates(jingle);
        return "result";
      case "source-add":
        peer.addSources(jingle);
        return "result";
      case "source-remove":
        peer.removeSources(jingle);
        return "result";
      case "session-terminate":
        // A refusal or a failure stands until somebody comes or goes; "success" only ends what others ended.
        if (jingle.reason?.condition === "success") this.#peerNotBefore = Date.now() + this.#options.config.backToPeerMs;
        else this.#peerNotBefore = Number.POSITIVE_INFINITY;
        this.#endPeer(null);
        this.#considerPeer();
        return "result";
      case "content-modify":
      case "session-info":
        return "result";
      default:
        return "bad-request";
    }
  }

  track(source: string): MediaStreamTrack | null {
    return this.#shownConnection(source)?.track(source) ?? null;
  }

  audioLevel(source: string): number {
    return this.#shownConnection(source)?.audioLevel(source) ?? 0;
  }

  async statistics(source: string): Promise<SourceReport | null> {
    const connection = this.#shownConnection(source);
    const statistics = (await connection?.statistics(source)) ?? null;
    return statistics === null ? null : { ...statistics, via: connection === this.#peer ? "p2p" : "bridge" };
  }

  close(): void {
    this.#isClosed = true;
    this.#change += 1;
    clearTimeout(this.#peerTimer);
    clearTimeout(this.#pathTimer);
    clearTimeout(this.#restartTimer);
    this.#peer?.close();
    this.#bridge?.close();
    this.#peer = null;
    this.#bridge = null;
    this.#publish();
  }

  // The bridge

  #startBridge(offer: Jingle): void {
    const { config, id, listener } = this.#options;
    this.#bridge?.close();
    clearTimeout(this.#restartTimer);
    const bridge = createBridgeSession({
      offer,
      id,
      tracks: this.#tracks,
      constraints: this.#constraints,
      isSctpPreferred: config.isSctpPreferred,
      canRestartIce: config.canRestartIce,
      iceServers: this.#options.iceServers().filter((server) => !isStun(server)),
      listener: {
        send: (jingle) => this.#options.send("focus", jingle),
        tracksChanged: () => this.#publish(),
        received: (message) => this.#receivedFromBridge(message),
        interrupted: () => this.#options.interrupted(),
        failed: (reason) => this.#bridgeFailed(bridge, reason),
        sourceRefused: (source, error) => this.#sourceRefused(source, error),
      },
    });
    this.#bridge = bridge;
    listener({ kind: "forwarded", sources: null });
    if (bridge === null) {
      void this.#terminate("focus", offer.sid, offer.initiator, "unsupported-applications", "").catch(ignore);
      return;
    }
    if (this.#shown === "peer") bridge.setPaused(true);
    bridge.start();
    this.#publish();
  }

  #endBridge(): void {
    this.#bridge?.close();
    this.#bridge = null;
    this.#options.listener({ kind: "forwarded", sources: null });
    this.#publish();
  }

  /** Asks the focus for a new session; the old one is useless. */
  #bridgeFailed(bridge: BridgeSession | null, reason: string): void {
    if (bridge === null || bridge !== this.#bridge || this.#isClosed) return;
    const { sid, bridgeSessionId } = bridge;
    this.#endBridge();
    this.#restarts += 1;
    const delay = RESTART_MIN_MS + Math.random() * RESTART_SPREAD_MS;
    this.#restartTimer = setTimeout(() => {
      this.#options
        .send("focus", {
          action: "session-terminate",
          sid,
          reason: { condition: "connectivity-error", text: reason },
          ...(bridgeSessionId === null ? {} : { bridgeSession: { id: bridgeSessionId, isRestart: true } }),
        })
        .then(
          () => this.#expectBridge(),
          (error: unknown) => this.#restartRefused(error),
        );
    }, delay);
  }

  /** After a restart the focus offers anew; if it does not, only a new entrance helps. */
  #expectBridge(): void {
    clearTimeout(this.#restartTimer);
    this.#restartTimer = setTimeout(() => {
      if (this.#bridge === null && this.#occupants.size > 0 && !this.#isClosed) this.#options.lost();
    }, EXPECT_BRIDGE_MS);
  }

  #restartRefused(error: unknown): void {
    if (this.#isClosed || this.#bridge !== null) return;
    const condition = error instanceof RequestError ? error.condition : "";
    // The session went with the old line; the new one brings its own offer.
    if (condition === "session-lost") return;
    this.#restartTimer = setTimeout(() => {
      if (this.#bridge === null && !this.#isClosed) this.#options.lost();
    }, REENTER_MS);
  }

  #receivedFromBridge(message: BridgeMessage): void {
    const { listener } = this.#options;
    switch (message.kind) {
      case "dominant-speaker":
        listener({ kind: "dominant-speaker", id: message.endpoint });
        return;
      case "forwarded-sources":
        listener({ kind: "forwarded", sources: message.sources });
        return;
      case "connectivity":
        listener({ kind: "connectivity", id: message.endpoint, isActive: message.isActive });
        return;
      case "hello":
      case "sender-constraint":
        return;
    }
  }

  #sourceRefused(source: OwnSource, error: unknown): void {
    const condition = error instanceof RequestError ? error.condition : "undefined-condition";
    this.#options.listener({ kind: "source-refused", source, condition, detail: String(error) });
  }

  // The peer

  #considerPeer(): void {
    clearTimeout(this.#peerTimer);
    if (this.#isClosed) return;
    const rule = this.#rule();
    if (rule.kind === "bridge") {
      if (this.#peer !== null) this.#leavePeer("success");
      return;
    }
    if (this.#peer !== null || rule.kind === "wait") return;
    const wait = this.#peerNotBefore - Date.now();
    if (wait <= 0) this.#startPeer(rule.peer, null);
    else if (Number.isFinite(wait)) this.#peerTimer = setTimeout(() => this.#considerPeer(), wait);
  }

  #rule(): PeerRule {
    return peerRule(this.#options.id, this.#occupants, this.#options.config.isPeerToPeerEnabled);
  }

  #isPeerWelcome(from: string, jingle: Jingle): boolean {
    const rule = this.#rule();
    if (rule.kind === "bridge" || rule.peer !== from) return false;
    // Two offers at once: the smaller nick's counts, as with Jitsi's client.
    if (this.#peer !== null && this.#peer.isInitiator && this.#options.id < from) return false;
    const first = jingle.contents[0]?.name;
    return first === "0" || first === "1";
  }

  #startPeer(nick: string, offer: Jingle | null): void {
    this.#endPeer(null);
    const { id, roomJid } = this.#options;
    const self = `${roomJid}/${id}`;
    const peer = new PeerSession({
      sid: offer?.sid ?? randomHex(8),
      id,
      peer: nick,
      offer,
      initiator: offer?.initiator ?? (offer === null ? self : `${roomJid}/${nick}`),
      self,
      tracks: this.#tracks,
      iceServers: [...this.#options.config.stunServers, ...this.#options.iceServers()],
      listener: {
        send: (jingle) => this.#options.send(nick, jingle),
        tracksChanged: () => this.#publish(),
        connected: () => this.#showPeer(peer),
        interrupted: (isInterrupted) => {
          if (peer === this.#peer && this.#shown === "peer") {
            this.#options.listener({ kind: "connectivity", id: nick, isActive: !isInterrupted });
          }
        },
        failed: (reason) => this.#peerFailed(peer, reason),
      },
    });
    this.#peer = peer;
    if (!peer.start()) this.#peerFailed(peer, "unusable offer");
  }

  #peerFailed(peer: PeerSession, reason: string): void {
    if (peer !== this.#peer) return;
    this.#peerNotBefore = Number.POSITIVE_INFINITY;
    void this.#terminate(peer.peer, peer.sid, null, "connectivity-error", reason).catch(ignore);
    this.#endPeer(null);
    this.#options.listener({ kind: "connectivity", id: peer.peer, isActive: true });
  }

  /** Leaves the direct path for the bridge, without a gap. */
  #leavePeer(condition: string): void {
    const peer = this.#peer;
    if (peer === null || peer === this.#leaving) return;
    this.#leaving = peer;
    this.#bridge?.setPaused(false);
    if (this.#shown === "bridge") {
      this.#endPeer(condition);
      return;
    }
    void this.#changeTo("bridge", this.#bridge, peer.sourceNames).then((isDone) => {
      if (!isDone) return;
      // The other side may need a moment longer for the same change.
      this.#pathTimer = setTimeout(() => {
        if (this.#peer !== peer) return;
        this.#endPeer(condition);
        // The third may have left again meanwhile.
        this.#considerPeer();
      }, LINGER_MS);
    });
  }

  #showPeer(peer: PeerSession): void {
    if (peer !== this.#peer || this.#rule().kind === "bridge") return;
    void this.#changeTo("peer", peer, peer.sourceNames).then((isDone) => {
      if (!isDone) return;
      this.#pathTimer = setTimeout(() => {
        if (this.#shown === "peer") this.#bridge?.setPaused(true);
      }, LINGER_MS);
    });
  }

  /** Ends the direct connection at once; with a reason, the other side is told. */
  #endPeer(condition: string | null): void {
    const peer = this.#peer;
    if (peer === null) return;
    this.#change += 1;
    clearTimeout(this.#pathTimer);
    this.#peer = null;
    this.#leaving = null;
    this.#shown = "bridge";
    this.#bridge?.setPaused(false);
    peer.close();
    if (condition !== null) void this.#terminate(peer.peer, peer.sid, null, condition, "").catch(ignore);
    this.#publish();
  }

  /** Waits until `next` delivers, then shows it. False when something else came in between. */
  async #changeTo(shown: "bridge" | "peer", next: MediaConnection | null, sources: readonly string[]): Promise<boolean> {
    const change = ++this.#change;
    clearTimeout(this.#pathTimer);
    const deadline = Date.now() + CHANGE_MS;
    const expected = sources.filter((source) => this.#isExpected(source));
    const before = new Map<string, number>();
    for (const source of expected) before.set(source, await progressOf(next, source));
    while (next !== null && expected.length > 0 && Date.now() < deadline) {
      await sleep(CHANGE_STEP_MS);
      if (change !== this.#change) return false;
      let areAllThere = true;
      for (const source of expected) {
        if ((await progressOf(next, source)) <= (before.get(source) ?? 0)) areAllThere = false;
      }
      if (areAllThere) break;
    }
    if (change !== this.#change) return false;
    this.#shown = shown;
    this.#publish();
    return true;
  }

  #isExpected(source: string): boolean {
    for (const occupant of this.#occupants.values()) {
      const info = occupant.sources.find((entry) => entry.name === source);
      if (info !== undefined) return !info.isMuted;
    }
    return false;
  }

  #terminate(to: string, sid: string, initiator: string | null, condition: string, text: string): Promise<void> {
    return this.#options.send(to, {
      action: "session-terminate",
      sid,
      initiator: initiator ?? undefined,
      reason: { condition, text },
    });
  }

  #shownConnection(source: string): MediaConnection | null {
    const peer = this.#peer;
    if (this.#shown === "peer" && peer !== null && peer.sourceNames.includes(source)) return peer;
    return this.#bridge;
  }

  /** Tells which tracks there are now. */
  #publish(): void {
    const keys = new Map<string, string>();
    const names = new Set([...(this.#bridge?.sourceNames ?? []), ...(this.#peer?.sourceNames ?? [])]);
    for (const name of names) {
      const key = this.#shownConnection(name)?.trackKey(name) ?? null;
      if (key !== null) keys.set(name, key);
    }
    this.#options.listener({ kind: "tracks", keys });
    const path: MediaPath = this.#shown === "peer" ? "peer" : this.#bridge === null ? "none" : "bridge";
    if (path === this.#path) return;
    this.#path = path;
    this.#options.listener({ kind: "path", path });
  }
}

/** How far a source has come on a connection: frames for pictures, packets for sound. */
async function progressOf(connection: MediaConnection | null, source: string): Promise<number> {
  const statistics = (await connection?.statistics(source)) ?? null;
  if (statistics === null) return 0;
  return /-a\d+$/.test(source) ? statistics.packetsReceived : statistics.framesDecoded;
}

function isStun(server: RTCIceServer): boolean {
  const urls = typeof server.urls === "string" ? [server.urls] : server.urls;
  return urls.every((url) => url.startsWith("stun:"));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function ignore(): void {
  // A dead session can't be ended twice; nobody has to know.
}

/** The longest wait for the new path's first picture. */
const CHANGE_MS = 3000;
const CHANGE_STEP_MS = 100;
/** How long the old path is still fed for a slower other side. */
const LINGER_MS = 3000;
/** The focus allows a restart every five seconds; a failed one took longer than that to notice. */
const RESTART_MIN_MS = 300;
const RESTART_SPREAD_MS = 1200;
const EXPECT_BRIDGE_MS = 15_000;
const REENTER_MS = 15_000;
