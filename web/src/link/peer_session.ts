/**
 * The Jingle session with the only other participant: media without the bridge.
 *
 * Both sides have the same three m-lines (microphone, camera, screen), whatever the other client's own look like. Who
 * initiated stays the offerer towards its own browser in every renegotiation; the other stays the answerer.
 */

import type { Content, ContentOut, Jingle, JingleOut, RtpDescription, Transport } from "./jingle";
import { readCandidateLine, readSdp, withCodecs, withoutMid, writeCandidate, writeSdp } from "./jingle_sdp";
import type { Direction, LocalMedia, Slot } from "./jingle_sdp";
import { MediaConnection, ownStreams } from "./media_connection";
import type { OwnSource, OwnTracks } from "./media_connection";
import { CAMERA_MID, MICROPHONE_MID, SCREEN_MID } from "./slots";
import { remoteSources } from "./sources";
import type { RemoteSource } from "./sources";

export interface PeerSessionOptions {
  readonly sid: string;
  /** Our nick. */
  readonly id: string;
  readonly peer: string;
  /** The peer's offer, or null when we make one. */
  readonly offer: Jingle | null;
  /** Occupant JID of the side that initiated. */
  readonly initiator: string;
  /** Our own occupant JID. */
  readonly self: string;
  readonly tracks: OwnTracks;
  readonly iceServers: readonly RTCIceServer[];
  readonly listener: PeerSessionListener;
}

export interface PeerSessionListener {
  send(jingle: JingleOut): Promise<void>;
  tracksChanged(): void;
  /** The path to the peer works. */
  connected(): void;
  /** It doesn't for the moment, or it does again. */
  interrupted(isInterrupted: boolean): void;
  failed(reason: string): void;
}

export class PeerSession extends MediaConnection {
  readonly sid: string;
  readonly peer: string;
  readonly isInitiator: boolean;
  readonly #options: PeerSessionOptions;
  #tracks: OwnTracks;
  /** What the peer told us; null until its answer has come. */
  #remote: { readonly audio: RtpDescription; readonly video: RtpDescription; readonly transport: Transport } | null = null;
  /** The peer's names for its contents, which our answer must repeat. */
  #contentNames: readonly [string, string] = [MICROPHONE_MID, CAMERA_MID];
  #sources = new Map<OwnSource, RemoteSource>();
  #isScreenSignalled = false;
  #candidates: RTCIceCandidate[] = [];
  #earlyCandidates: string[] = [];
  #isDescribed = false;
  #isConnected = false;
  #candidateTimer: ReturnType<typeof setTimeout> | undefined;
  #failTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: PeerSessionOptions) {
    super(options.iceServers);
    this.sid = options.sid;
    this.peer = options.peer;
    this.isInitiator = options.offer === null;
    this.#options = options;
    this.#tracks = options.tracks;
    this.connection.onicecandidate = (event) => {
      if (event.candidate !== null && event.candidate.candidate !== "") this.#foundCandidate(event.candidate);
    };
    this.connection.oniceconnectionstatechange = () => this.#iceChanged();
    this.#failTimer = setTimeout(() => this.#fail("no connection in time"), CONNECT_MS);
  }

  get sourceNames(): readonly string[] {
    return [...this.#sources.values()].map((source) => source.name);
  }

  protected midOf(source: string): string | null {
    for (const [slot, remote] of this.#sources) {
      if (remote.name === source) return MIDS[slot];
    }
    return null;
  }

  /** Offers, or answers the offer; false when the offer can't be answered. */
  start(): boolean {
    const offer = this.#options.offer;
    if (offer !== null && !this.#takeDescription(offer)) return false;
    const task = offer === null ? this.#offer() : this.#answer();
    task.catch((error: unknown) => {
      if (!this.isClosed) this.#fail(String(error));
    });
    if (this.#tracks.screen !== null) this.#signalScreen();
    return true;
  }

  /** The peer's answer to our offer. */
  accepted(jingle: Jingle): void {
    if (!this.isInitiator || this.#remote !== null) return;
    if (!this.#takeDescription(jingle)) {
      this.#fail("unusable answer");
      return;
    }
    void this.enqueue("taking the answer", async () => {
      await this.#applyRemote("answer");
      this.#options.listener.tracksChanged();
    }).catch((error: unknown) => this.#fail(String(error)));
  }

  addCandidates(jingle: Jingle): void {
    for (const candidate of jingle.contents.flatMap((content) => content.transport?.candidates ?? [])) {
      this.#earlyCandidates.push(writeCandidate(candidate));
    }
    if (this.#isDescribed) void this.enqueue("adding candidates", () => this.#addCandidates()).catch(ignore);
  }

  addSources(jingle: Jingle): void {
    this.#putSources(remoteSources(jingle.sources, jingle.groups));
    this.#renegotiate("adding sources");
  }

  removeSources(jingle: Jingle): void {
    const gone = new Set(jingle.sources.map((source) => source.ssrc));
    for (const [slot, source] of this.#sources) {
      if (source.ssrcs.some((ssrc) => gone.has(ssrc))) this.#sources.delete(slot);
    }
    this.#renegotiate("removing sources");
  }

  setTracks(tracks: OwnTracks): void {
    this.#tracks = tracks;
    void this.enqueue("changing tracks", () => this.#replaceTracks()).catch(ignore);
    if (tracks.screen !== null && !this.#isScreenSignalled) this.#signalScreen();
  }

  override close(): void {
    clearTimeout(this.#candidateTimer);
    clearTimeout(this.#failTimer);
    super.close();
  }

  #offer(): Promise<void> {
    return this.enqueue("offering", async () => {
      this.connection.addTransceiver("audio", { direction: "sendrecv" });
      preferCodecs(this.connection.addTransceiver("video", { direction: "sendrecv" }));
      preferCodecs(this.connection.addTransceiver("video", { direction: this.#screenDirection() }));
      await this.connection.setLocalDescription();
      await this.#replaceTracks();
      await this.#options.listener.send(this.#describe("session-initiate"));
    });
  }

  #answer(): Promise<void> {
    return this.enqueue("answering a peer", async () => {
      await this.#applyRemote("offer");
      await this.connection.setLocalDescription();
      await this.#replaceTracks();
      await this.#options.listener.send(this.#describe("session-accept"));
      this.#options.listener.tracksChanged();
    });
  }

  #renegotiate(what: string): void {
    void this.enqueue(what, async () => {
      await this.#negotiate();
      this.#options.listener.tracksChanged();
    }).catch(ignore);
  }

  /** Settles the present state between our browser and the peer's description that we keep. */
  async #negotiate(): Promise<void> {
    if (this.#remote === null || !this.#isDescribed) return;
    if (this.isInitiator) {
      const screen = this.transceiver(SCREEN_MID);
      if (screen !== null) screen.direction = this.#screenDirection();
      await this.connection.setLocalDescription();
      await this.#applyRemote("answer");
    } else {
      await this.#applyRemote("offer");
      await this.connection.setLocalDescription();
    }
    await this.#replaceTracks();
  }

  async #applyRemote(type: "offer" | "answer"): Promise<void> {
    const remote = this.#remote;
    if (remote === null) return;
    this.version += 1;
    const setup = type === "offer" ? "actpass" : (remote.transport.fingerprints[0]?.setup ?? "active");
    const slots = SLOTS.map((source) => this.#slot(source, type, source === "microphone" ? remote.audio : remote.video));
    const sdp = writeSdp({ version: this.version, transport: remote.transport, setup, slots });
    await this.connection.setRemoteDescription({ type, sdp });
    if (type === "offer") {
      for (const source of SLOTS) {
        const transceiver = this.transceiver(MIDS[source]);
        if (transceiver === null) continue;
        transceiver.direction = source === "screen" ? this.#screenDirection() : "sendrecv";
      }
    }
    this.#isDescribed = true;
    await this.#addCandidates();
  }

  #slot(source: OwnSource, type: "offer" | "answer", rtp: RtpDescription): Slot {
    const remote = this.#sources.get(source) ?? null;
    const isTaken = type === "offer" || source !== "screen" || this.#isScreenSignalled;
    const direction: Direction = remote === null ? (isTaken ? "recvonly" : "inactive") : isTaken ? "sendrecv" : "sendonly";
    return {
      mid: MIDS[source],
      media: source === "microphone" ? "audio" : "video",
      direction,
      rtp,
      source: remote,
      isSimulcastReceived: false,
    };
  }

  #screenDirection(): RTCRtpTransceiverDirection {
    return this.#isScreenSignalled ? "sendrecv" : "recvonly";
  }

  #takeDescription(jingle: Jingle): boolean {
    const audio = jingle.contents.find((content) => content.media === "audio");
    const video = jingle.contents.find((content) => content.media === "video");
    if (audio?.rtp == null || video?.rtp == null) return false;
    const transport = [audio, video].find(hasCredentials)?.transport ?? null;
    if (transport === null) return false;
    this.#contentNames = [audio.name, video.name];
    // What is not in our own description must not be sent either, whatever else the peer can do.
    this.#remote = {
      audio: withoutMid(withCodecs(audio.rtp, AUDIO_CODECS)),
      video: withoutMid(withCodecs(video.rtp, VIDEO_CODECS)),
      transport,
    };
    this.#putSources(remoteSources(jingle.sources, jingle.groups));
    return true;
  }

  #putSources(sources: readonly RemoteSource[]): void {
    for (const source of sources) {
      // Whatever a peer says about owners: here it can only be the peer.
      if (source.owner !== this.#options.peer) continue;
      const isScreen = source.isScreen || source.name.endsWith("-v1");
      this.#sources.set(source.media === "audio" ? "microphone" : isScreen ? "screen" : "camera", source);
    }
  }

  #describe(action: "session-initiate" | "session-accept"): JingleOut {
    const local = readSdp(this.connection.localDescription?.sdp ?? "");
    const contents = (["microphone", "camera"] as const).flatMap((source, index): ContentOut[] => {
      const media = local.find((entry) => entry.mid === MIDS[source]);
      const name = this.#contentNames[index];
      if (media === undefined || name === undefined) return [];
      return [
        {
          name,
          senders: "both",
          media: media.media,
          rtp: withoutMid(withCodecs(media.rtp, source === "microphone" ? AUDIO_CODECS : VIDEO_CODECS)),
          transport: media.transport,
          ...ownStreams(media, this.#options.id, source),
        },
      ];
    });
    return {
      action,
      sid: this.sid,
      initiator: this.#options.initiator,
      responder: action === "session-accept" ? this.#options.self : undefined,
      contents,
      bundle: contents.map((content) => content.name),
    };
  }

  #signalScreen(): void {
    this.#isScreenSignalled = true;
    void this.enqueue("signalling the screen", async () => {
      await this.#negotiate();
      const media: LocalMedia | undefined = readSdp(this.connection.localDescription?.sdp ?? "").find(
        (entry) => entry.mid === SCREEN_MID,
      );
      const content: ContentOut = {
        name: this.#contentNames[1],
        senders: "both",
        media: "video",
        rtp: { payloadTypes: [], headerExtensions: [], isExtmapAllowMixed: false },
        transport: null,
        ...ownStreams(media, this.#options.id, "screen"),
      };
      await this.#options.listener.send({
        action: "source-add",
        sid: this.sid,
        initiator: this.#options.initiator,
        contents: [content],
      });
    }).catch(ignore);
  }

  async #replaceTracks(): Promise<void> {
    for (const source of SLOTS) {
      const sender = this.transceiver(MIDS[source])?.sender;
      const track = this.#tracks[source];
      if (sender !== undefined && sender.track !== track) await sender.replaceTrack(track);
    }
  }

  async #addCandidates(): Promise<void> {
    const candidates = this.#earlyCandidates;
    this.#earlyCandidates = [];
    for (const candidate of candidates) {
      // One that this browser can't use must not keep the others out.
      await this.connection.addIceCandidate({ candidate, sdpMid: MICROPHONE_MID, sdpMLineIndex: 0 }).catch(ignore);
    }
  }

  #foundCandidate(candidate: RTCIceCandidate): void {
    this.#candidates.push(candidate);
    clearTimeout(this.#candidateTimer);
    this.#candidateTimer = setTimeout(() => {
      // After the description, which is sent from the queue.
      void this.enqueue("sending candidates", () => this.#sendCandidates()).catch(ignore);
    }, CANDIDATE_BATCH_MS);
  }

  async #sendCandidates(): Promise<void> {
    const found = this.#candidates;
    this.#candidates = [];
    const candidates = found.flatMap((candidate) => readCandidateLine(candidate.candidate) ?? []);
    const local = readSdp(this.connection.localDescription?.sdp ?? "")[0];
    if (candidates.length === 0 || local === undefined) return;
    const content: ContentOut = {
      name: this.#contentNames[0],
      senders: "both",
      media: "application",
      rtp: null,
      transport: { ...local.transport, candidates, sctpPort: null },
      sources: [],
      groups: [],
    };
    await this.#options.listener.send({
      action: "transport-info",
      sid: this.sid,
      initiator: this.#options.initiator,
      contents: [content],
    });
  }

  #iceChanged(): void {
    const state = this.connection.iceConnectionState;
    switch (state) {
      case "connected":
      case "completed":
        clearTimeout(this.#failTimer);
        if (this.#isConnected) this.#options.listener.interrupted(false);
        else this.#options.listener.connected();
        this.#isConnected = true;
        return;
      case "disconnected":
        this.#options.listener.interrupted(true);
        clearTimeout(this.#failTimer);
        this.#failTimer = setTimeout(() => this.#fail("ice disconnected"), DISCONNECTED_MS);
        return;
      case "failed":
        this.#fail("ice failed");
        return;
      default:
        return;
    }
  }

  #fail(reason: string): void {
    clearTimeout(this.#failTimer);
    if (!this.isClosed) this.#options.listener.failed(reason);
  }
}

const SLOTS: readonly OwnSource[] = ["microphone", "camera", "screen"];

const MIDS: Readonly<Record<OwnSource, string>> = {
  microphone: MICROPHONE_MID,
  camera: CAMERA_MID,
  screen: SCREEN_MID,
};

/** The first is what every browser encodes well, and what the bridge forwards, too. Few codecs keep the offer small. */
const AUDIO_CODECS = ["opus"];
const VIDEO_CODECS = ["vp8", "vp9"];

const CONNECT_MS = 15_000;
/** The bridge takes over again after this. */
const DISCONNECTED_MS = 5000;
const CANDIDATE_BATCH_MS = 100;

function hasCredentials(content: Content): boolean {
  return content.transport !== null && content.transport.ufrag !== null && content.transport.fingerprints.length > 0;
}

function preferCodecs(transceiver: RTCRtpTransceiver): void {
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  const kept = [...VIDEO_CODECS, "rtx"].flatMap((name) =>
    codecs.filter((codec) => codec.mimeType.toLowerCase() === `video/${name}`),
  );
  if (kept.length > 0) transceiver.setCodecPreferences(kept);
}

function ignore(): void {
  // Reported by the queue, or of no consequence.
}
