/**
 * The Jingle session with the focus, and the media connection to the bridge behind it.
 *
 * The focus offers once; later changes come as source-add and source-remove, which we write into the offer that we keep
 * and answer again for ourselves.
 */

import { BridgeChannel } from "./bridge_channel";
import { writeReceiverVideoConstraints, writeSourceVideoType } from "./channel_messages";
import type { BridgeMessage, VideoConstraints } from "./channel_messages";
import { planCamera, planScreen } from "./encodings";
import type { ContentOut, Jingle, JingleOut, RtpDescription, Transport } from "./jingle";
import { addSimulcast, readSdp, withCodecs, withoutMid, writeSdp } from "./jingle_sdp";
import type { LocalMedia } from "./jingle_sdp";
import { Flow, LOOK_MS } from "./flow";
import { captureHeight, isFirefox, MediaConnection, ownStreams, randomSsrc, sourceName } from "./media_connection";
import type { OwnSource, OwnTracks } from "./media_connection";
import { BridgeSlots, CAMERA_MID, DATA_MID, MICROPHONE_MID, SCREEN_MID } from "./slots";
import { remoteSources } from "./sources";

export interface BridgeSessionOptions {
  readonly offer: Jingle;
  /** Our nick: the endpoint's id. */
  readonly id: string;
  readonly tracks: OwnTracks;
  readonly constraints: VideoConstraints;
  readonly isSctpPreferred: boolean;
  readonly canRestartIce: boolean;
  readonly iceServers: readonly RTCIceServer[];
  readonly listener: BridgeSessionListener;
}

export interface BridgeSessionListener {
  /** Sends to the focus; rejects when it refuses. */
  send(jingle: JingleOut): Promise<void>;
  tracksChanged(): void;
  received(message: BridgeMessage): void;
  /** Nothing comes from the bridge any more; perhaps our address is another. */
  interrupted(): void;
  /** The bridge can't be reached, or refused us. The session is of no use any more. */
  failed(reason: string): void;
  sourceRefused(source: OwnSource, error: unknown): void;
}

/** Null when the offer lacks what a session needs. */
export function createBridgeSession(options: BridgeSessionOptions): BridgeSession | null {
  const audio = options.offer.contents.find((content) => content.media === "audio");
  const video = options.offer.contents.find((content) => content.media === "video");
  if (audio?.rtp == null || video?.rtp == null || audio.transport === null) return null;
  // Browsers send the first codec of the offer: VP8, which everybody knows and they encode cheaply.
  const ours = withoutMid(withCodecs(video.rtp, VIDEO_CODECS));
  return new BridgeSession(options, withoutMid(audio.rtp), ours, audio.transport);
}

export class BridgeSession extends MediaConnection {
  readonly sid: string;
  readonly #options: BridgeSessionOptions;
  #transport: Transport;
  readonly #slots: BridgeSlots;
  readonly #channel: BridgeChannel;
  readonly #usesData: boolean;
  readonly #simulcastSsrcs = [randomSsrc(), randomSsrc(), randomSsrc(), randomSsrc()] as const;
  /** What receivers want of each of our sources, by source name. */
  readonly #wanted = new Map<string, number>();
  #tracks: OwnTracks;
  #constraints: VideoConstraints;
  #isPaused = false;
  #isScreenSignalled = false;
  #failTimer: ReturnType<typeof setTimeout> | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  readonly #flow = new Flow();
  #newest = 0;
  readonly #flowTimer: ReturnType<typeof setInterval>;

  constructor(options: BridgeSessionOptions, audio: RtpDescription, video: RtpDescription, transport: Transport) {
    super(options.iceServers);
    this.sid = options.offer.sid;
    this.#options = options;
    this.#transport = transport;
    this.#tracks = options.tracks;
    this.#constraints = options.constraints;
    const hasData = options.offer.contents.some((content) => content.media === "application");
    this.#usesData = hasData && options.isSctpPreferred;
    this.#slots = new BridgeSlots({ audio, video, isRidWanted: isFirefox(), hasData });
    this.#slots.add(remoteSources(options.offer.sources, options.offer.groups));
    this.#channel = new BridgeChannel(transport.webSocketUrl, {
      opened: () => this.#introduce(),
      received: (message) => this.#received(message),
    });
    this.connection.oniceconnectionstatechange = () => this.#iceChanged();
    this.connection.onconnectionstatechange = () => {
      if (this.connection.connectionState === "failed") this.#fail("connection failed");
    };
    this.#flowTimer = setInterval(() => this.#lookAtFlow(), LOOK_MS);
  }

  get bridgeSessionId(): string | null {
    return this.#options.offer.bridgeSession?.id ?? null;
  }

  get sourceNames(): readonly string[] {
    return this.#slots.sources.map((source) => source.name);
  }

  protected midOf(source: string): string | null {
    return this.#slots.midOf(source);
  }

  /** Answers the offer. */
  start(): void {
    if (this.#usesData) this.#channel.openData(this.connection);
    else this.#channel.openSocket();
    this.enqueue("answering the offer", async () => {
      await this.#negotiate();
      await this.#options.listener.send(this.#accept());
      this.#options.listener.tracksChanged();
    }).catch((error: unknown) => {
      if (!this.isClosed) this.#fail(String(error));
    });
    if (this.#tracks.screen !== null) this.#signalScreen();
  }

  addSources(jingle: Jingle): void {
    this.#change("adding sources", () => this.#slots.add(remoteSources(jingle.sources, jingle.groups)));
  }

  removeSources(jingle: Jingle): void {
    const gone = new Set(jingle.sources.map((source) => source.ssrc));
    this.#change("removing sources", () => this.#slots.removeSsrcs(gone));
  }

  /** Somebody left; the focus does not say so with a source-remove. */
  removeOwner(owner: string): void {
    if (!this.#slots.sources.some((source) => source.owner === owner)) return;
    this.#change("removing a participant", () => this.#slots.removeOwner(owner));
  }

  setTracks(tracks: OwnTracks): void {
    const before = this.#tracks;
    this.#tracks = tracks;
    void this.enqueue("changing tracks", () => this.#applyTracks()).catch(ignore);
    if (tracks.screen !== null && !this.#isScreenSignalled) this.#signalScreen();
    if ((tracks.camera === null) !== (before.camera === null)) this.#sayVideoType("camera");
    if ((tracks.screen === null) !== (before.screen === null)) this.#sayVideoType("screen");
  }

  /** While media goes directly to a peer, nothing is sent to the bridge. */
  setPaused(isPaused: boolean): void {
    if (this.#isPaused === isPaused) return;
    this.#isPaused = isPaused;
    void this.enqueue("pausing or resuming", () => this.#applyTracks()).catch(ignore);
  }

  setConstraints(constraints: VideoConstraints): void {
    this.#constraints = constraints;
    this.#channel.send(writeReceiverVideoConstraints(constraints));
  }

  /** Our address may be another: asks the focus for new ICE credentials, so that a new path is looked for. */
  renewPath(): void {
    const id = this.bridgeSessionId;
    const now = performance.now();
    if (!this.#options.canRestartIce || id === null || now - this.#renewedAt < RENEW_MIN_MS) return;
    this.#renewedAt = now;
    const bridgeSession = { id, isRestart: false, isIceRestart: true };
    // Refused or lost, the old path may still come back; if it does not, there will be a new session.
    void this.#options.listener.send({ action: "session-info", sid: this.sid, bridgeSession }).catch(ignore);
  }

  /** The bridge's new ICE credentials; we answer with ours. Encryption and streams stay as they are. */
  changeTransport(jingle: Jingle): void {
    const fresh = jingle.contents.find((content) => content.transport?.iceGeneration !== undefined)?.transport ?? null;
    if (fresh === null || fresh.ufrag === null || fresh.pwd === null) return;
    const { ufrag, pwd, candidates, iceGeneration } = fresh;
    void this.enqueue("renewing the path", async () => {
      this.#transport = { ...this.#transport, ufrag, pwd, candidates };
      await this.#negotiate();
      const own = this.#localMedia()[0]?.transport;
      if (own === undefined) return;
      const transport = { ...NO_TRANSPORT, ufrag: own.ufrag, pwd: own.pwd, iceGeneration };
      const content: ContentOut = { name: "audio", senders: "both", media: "audio", rtp: null, transport, sources: [], groups: [] };
      await this.#options.listener.send({ action: "transport-info", sid: this.sid, contents: [content] });
    }).catch(ignore);
  }

  override close(): void {
    clearTimeout(this.#failTimer);
    clearInterval(this.#flowTimer);
    this.#channel.close();
    super.close();
  }

  #change(what: string, change: () => void): void {
    void this.enqueue(what, async () => {
      change();
      await this.#negotiate();
      this.#options.listener.tracksChanged();
    }).catch(ignore);
  }

  /** Takes our stored offer, as it is now, and answers it. */
  async #negotiate(): Promise<void> {
    this.version += 1;
    const sdp = writeSdp({
      version: this.version,
      transport: this.#transport,
      setup: "actpass",
      slots: this.#slots.describe(),
    });
    await this.connection.setRemoteDescription({ type: "offer", sdp });
    for (const mid of [MICROPHONE_MID, CAMERA_MID]) this.#sendOn(mid);
    if (this.#isScreenSignalled) this.#sendOn(SCREEN_MID);
    if (this.version === 1) await this.#replaceTracks();
    const answer = await this.connection.createAnswer();
    const local = addSimulcast(answer.sdp ?? "", CAMERA_MID, this.#simulcastSsrcs);
    await this.connection.setLocalDescription({ type: "answer", sdp: local });
    await this.#applyPlans();
  }

  #sendOn(mid: string): void {
    const transceiver = this.transceiver(mid);
    // `recvonly` was offered: this means that we send.
    if (transceiver !== null && transceiver.direction !== "sendonly") transceiver.direction = "sendonly";
  }

  async #applyTracks(): Promise<void> {
    await this.#replaceTracks();
    await this.#applyPlans();
  }

  async #replaceTracks(): Promise<void> {
    for (const [source, mid] of OWN_MIDS) {
      const sender = this.transceiver(mid)?.sender;
      // An inactive encoding would do, but Firefox goes on sending sound with it.
      const track = this.#isPaused ? null : this.#tracks[source];
      if (sender !== undefined && sender.track !== track) await sender.replaceTrack(track);
    }
  }

  async #applyPlans(): Promise<void> {
    const camera = this.transceiver(CAMERA_MID)?.sender;
    if (camera !== undefined) {
      const count = camera.getParameters().encodings?.length ?? 0;
      const plan = planCamera(count, captureHeight(this.#tracks.camera), this.#wantedOf("camera"));
      await this.applyEncodings(camera, plan);
    }
    const screen = this.transceiver(SCREEN_MID)?.sender;
    if (screen !== undefined && this.#isScreenSignalled) {
      const count = screen.getParameters().encodings?.length ?? 0;
      await this.applyEncodings(screen, planScreen(count, this.#wantedOf("screen")));
    }
  }

  #wantedOf(source: OwnSource): number {
    return this.#wanted.get(sourceName(this.#options.id, source)) ?? -1;
  }

  #accept(): JingleOut {
    const local = this.#localMedia();
    const of = (mid: string): LocalMedia | undefined => local.find((media) => media.mid === mid);
    const contents: ContentOut[] = [];
    for (const [name, mid, source] of ACCEPTED) {
      const media = of(mid);
      if (media === undefined) continue;
      const streams = source === null ? { sources: [], groups: [] } : ownStreams(media, this.#options.id, source);
      contents.push({
        name,
        senders: "both",
        media: media.media,
        rtp: source === null ? null : media.rtp,
        // Our candidates are of no use: the bridge learns our addresses from our checks.
        transport: { ...media.transport, candidates: [] },
        ...streams,
      });
    }
    return { action: "session-accept", sid: this.sid, contents, bundle: contents.map((content) => content.name) };
  }

  #localMedia(): LocalMedia[] {
    return readSdp(this.connection.localDescription?.sdp ?? "");
  }

  /** The first time that a screen is shared, the others must be told of a new source. It stays after sharing ends. */
  #signalScreen(): void {
    this.#isScreenSignalled = true;
    void this.enqueue("signalling the screen", async () => {
      await this.#negotiate();
      const media = this.#localMedia().find((entry) => entry.mid === SCREEN_MID);
      const streams = ownStreams(media, this.#options.id, "screen");
      const content: ContentOut = { name: "video", senders: "both", media: "video", rtp: EMPTY_RTP, transport: null, ...streams };
      try {
        await this.#options.listener.send({ action: "source-add", sid: this.sid, contents: [content] });
        this.#sayVideoType("screen");
      } catch (error) {
        this.#isScreenSignalled = false;
        this.#options.listener.sourceRefused("screen", error);
      }
    }).catch(ignore);
  }

  #introduce(): void {
    this.#sayVideoType("camera");
    if (this.#isScreenSignalled) this.#sayVideoType("screen");
    this.#channel.send(writeReceiverVideoConstraints(this.#constraints));
  }

  #sayVideoType(source: "camera" | "screen"): void {
    const isOn = this.#tracks[source] !== null;
    const type = !isOn ? "none" : source === "camera" ? "camera" : "desktop";
    this.#channel.send(writeSourceVideoType(sourceName(this.#options.id, source), type));
  }

  #received(message: BridgeMessage): void {
    if (message.kind === "sender-constraint") {
      this.#wanted.set(message.source, message.maxHeight);
      void this.enqueue("applying a constraint", () => this.#applyPlans()).catch(ignore);
    }
    this.#options.listener.received(message);
  }

  #iceChanged(): void {
    clearTimeout(this.#failTimer);
    const state = this.connection.iceConnectionState;
    if (state === "failed") this.#fail("ice failed");
    else if (state === "disconnected") {
      this.#options.listener.interrupted();
      this.#failTimer = setTimeout(() => this.#fail("ice disconnected"), DISCONNECTED_MS);
    }
  }

  #lookAtFlow(): void {
    if (this.#isPaused) return;
    this.#newest = this.newestSince(this.#newest);
    if (this.#flow.look(performance.now(), this.#newest)) this.#options.listener.interrupted();
  }

  #fail(reason: string): void {
    if (this.isClosed) return;
    clearTimeout(this.#failTimer);
    this.#options.listener.failed(reason);
  }
}

const OWN_MIDS: readonly (readonly [OwnSource, string])[] = [
  ["microphone", MICROPHONE_MID],
  ["camera", CAMERA_MID],
  ["screen", SCREEN_MID],
];

/** Contents of session-accept: name, m-line, our source on it. */
const ACCEPTED: readonly (readonly [string, string, OwnSource | null])[] = [
  ["audio", MICROPHONE_MID, "microphone"],
  ["video", CAMERA_MID, "camera"],
  ["data", DATA_MID, null],
];

/** In the order in which they are sent; all are shown. */
const VIDEO_CODECS = ["vp8", "vp9", "h264", "av1"];
const EMPTY_RTP: RtpDescription = { payloadTypes: [], headerExtensions: [], isExtmapAllowMixed: false };

const NO_TRANSPORT: Transport = {
  ufrag: null,
  pwd: null,
  fingerprints: [],
  candidates: [],
  webSocketUrl: null,
  sctpPort: null,
};

/** The focus allows one restart of ICE in so long a time. */
const RENEW_MIN_MS = 5000;

/** Browsers take up to half a minute from "disconnected" to "failed"; a person does not wait that long. */
const DISCONNECTED_MS = 10_000;

function ignore(): void {
  // Reported by the queue.
}
