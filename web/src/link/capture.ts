/**
 * The user's own microphone, camera and screen, before and during a meeting.
 *
 * A switched-off microphone keeps its device, so that switching it on is instant; a switched-off camera gives it back, so
 * that its light goes out.
 */

import type { OwnSource, OwnTracks } from "./media_connection";

export type CaptureState =
  | { readonly kind: "off" }
  | { readonly kind: "starting" }
  | { readonly kind: "on"; readonly trackKey: string }
  /** `error` is the name of a DOMException, `insecure` where the page may not capture at all. */
  | { readonly kind: "failed"; readonly error: string; readonly detail: string };

export interface DeviceList {
  readonly microphones: readonly CaptureDevice[];
  readonly cameras: readonly CaptureDevice[];
  readonly speakers: readonly CaptureDevice[];
  readonly canShareScreen: boolean;
}

export interface CaptureDevice {
  readonly id: string;
  readonly label: string;
}

export interface ChosenDevices {
  readonly microphone: string | null;
  readonly camera: string | null;
}

export interface CaptureListener {
  changed(source: OwnSource, state: CaptureState): void;
  /** Tracks are to be sent: these, and no others. */
  tracksChanged(tracks: OwnTracks): void;
  /** A device was unplugged, or the browser ended a capture. */
  ended(source: OwnSource): void;
  devicesChanged(devices: DeviceList): void;
}

export class Capture {
  readonly #listener: CaptureListener;
  readonly #height: number;
  #tracks: Record<OwnSource, MediaStreamTrack | null> = { microphone: null, camera: null, screen: null };
  #wanted: Record<OwnSource, boolean> = { microphone: false, camera: false, screen: false };
  /** Counts requests for devices, so that a late answer to an old one is thrown away. */
  #requests: Record<OwnSource, number> = { microphone: 0, camera: 0, screen: 0 };
  #chosen: ChosenDevices = { microphone: null, camera: null };
  #meter: LevelMeter | null = null;

  constructor(height: number, listener: CaptureListener) {
    this.#height = height;
    this.#listener = listener;
    mediaDevices()?.addEventListener("devicechange", () => void this.listDevices());
  }

  get tracks(): OwnTracks {
    return this.#tracks;
  }

  /** The microphone is on, and not only held. */
  isOn(source: OwnSource): boolean {
    const track = this.#tracks[source];
    return track !== null && track.enabled;
  }

  /** Switches one on or off. Switching on a failed one tries again. */
  set(source: OwnSource, isWanted: boolean): void {
    this.#wanted[source] = isWanted;
    const track = this.#tracks[source];
    if (!isWanted) {
      this.#requests[source] += 1;
      if (source === "microphone" && track !== null) track.enabled = false;
      else if (track !== null) this.#put(source, null);
      this.#report(source, { kind: "off" });
    } else if (track !== null) {
      track.enabled = true;
      this.#report(source, on(track));
    } else {
      void this.#request(source);
    }
  }

  /** Asks for microphone and camera with one question to the user, where both are wanted. */
  prepare(wanted: { readonly microphone: boolean; readonly camera: boolean }): void {
    const isMicrophoneNew = wanted.microphone && this.#tracks.microphone === null;
    const isCameraNew = wanted.camera && this.#tracks.camera === null;
    if (isMicrophoneNew && isCameraNew) void this.#requestBoth();
    else {
      if (wanted.microphone) this.set("microphone", true);
      if (wanted.camera) this.set("camera", true);
    }
  }

  /** Takes other devices; what is on is taken anew. */
  select(chosen: ChosenDevices): void {
    const before = this.#chosen;
    this.#chosen = chosen;
    for (const source of ["microphone", "camera"] as const) {
      if (before[source] === chosen[source]) continue;
      if (this.#wanted[source]) void this.#request(source);
      else if (this.#tracks[source] !== null) this.#put(source, null);
    }
  }

  /** How loud the microphone is, 0 to 1; 0 while it is off. */
  level(): number {
    const track = this.#tracks.microphone;
    if (track === null || !track.enabled) return 0;
    if (this.#meter?.track !== track) {
      this.#meter?.close();
      this.#meter = new LevelMeter(track);
    }
    return this.#meter.level();
  }

  async listDevices(): Promise<void> {
    const devices = (await mediaDevices()?.enumerateDevices().catch(() => [])) ?? [];
    const of = (kind: MediaDeviceKind): CaptureDevice[] =>
      devices
        .filter((device) => device.kind === kind && device.deviceId !== "")
        .map((device) => ({ id: device.deviceId, label: device.label }));
    this.#listener.devicesChanged({
      microphones: of("audioinput"),
      cameras: of("videoinput"),
      speakers: of("audiooutput"),
      canShareScreen: typeof mediaDevices()?.getDisplayMedia === "function",
    });
  }

  /** Gives all devices back. */
  stop(): void {
    for (const source of ["microphone", "camera", "screen"] as const) {
      this.#wanted[source] = false;
      this.#requests[source] += 1;
      if (this.#tracks[source] !== null) this.#put(source, null);
      this.#report(source, { kind: "off" });
    }
    this.#meter?.close();
    this.#meter = null;
  }

  async #request(source: OwnSource): Promise<void> {
    const number = ++this.#requests[source];
    this.#report(source, { kind: "starting" });
    try {
      const stream = await this.#open(source).catch((error: unknown) => this.#openAnother(source, error));
      this.#take(source, number, stream);
    } catch (error) {
      this.#failed(source, number, error);
    }
    void this.listDevices();
  }

  /** The chosen device is gone: the browser's default is better than none. */
  #openAnother(source: OwnSource, error: unknown): Promise<MediaStream> {
    const isGone = error instanceof DOMException && (error.name === "OverconstrainedError" || error.name === "NotFoundError");
    if (!isGone || source === "screen" || this.#chosen[source] === null) throw error;
    this.#chosen = { ...this.#chosen, [source]: null };
    return this.#open(source);
  }

  async #requestBoth(): Promise<void> {
    this.#wanted.microphone = true;
    this.#wanted.camera = true;
    const microphone = ++this.#requests.microphone;
    const camera = ++this.#requests.camera;
    this.#report("microphone", { kind: "starting" });
    this.#report("camera", { kind: "starting" });
    try {
      const stream = await devicesOrThrow().getUserMedia({ audio: this.#audio(), video: this.#video() });
      this.#take("microphone", microphone, stream);
      this.#take("camera", camera, stream);
    } catch {
      // One of them is missing or refused: find out which, so that the other can be used.
      if (this.#requests.microphone === microphone && this.#wanted.microphone) await this.#request("microphone");
      if (this.#requests.camera === camera && this.#wanted.camera) await this.#request("camera");
    }
    void this.listDevices();
  }

  #open(source: OwnSource): Promise<MediaStream> {
    const devices = devicesOrThrow();
    switch (source) {
      case "microphone":
        return devices.getUserMedia({ audio: this.#audio() });
      case "camera":
        return devices.getUserMedia({ video: this.#video() });
      case "screen":
        return devices.getDisplayMedia({ video: { frameRate: { max: SCREEN_FRAME_RATE } }, audio: false });
    }
  }

  #audio(): MediaTrackConstraints {
    const id = this.#chosen.microphone;
    return {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...(id === null ? {} : { deviceId: { exact: id } }),
    };
  }

  #video(): MediaTrackConstraints {
    const id = this.#chosen.camera;
    return {
      height: { ideal: this.#height },
      width: { ideal: Math.round((this.#height * 16) / 9) },
      frameRate: { ideal: CAMERA_FRAME_RATE, max: CAMERA_FRAME_RATE },
      ...(id === null ? {} : { deviceId: { exact: id } }),
    };
  }

  #take(source: OwnSource, number: number, stream: MediaStream): void {
    const track = (source === "microphone" ? stream.getAudioTracks() : stream.getVideoTracks())[0];
    if (track === undefined) return;
    if (number !== this.#requests[source] || !this.#wanted[source]) {
      track.stop();
      return;
    }
    if (source === "screen") track.contentHint = "detail";
    const startedAt = Date.now();
    track.addEventListener("ended", () => {
      if (this.#tracks[source] === track) this.#ended(source, Date.now() - startedAt);
    });
    this.#put(source, track);
    this.#report(source, on(track));
  }

  /**
   * A capture ended that nobody switched off: unplugged, taken by another program, or lost in the machine's sleep.
   * One that had worked for a while is taken anew; the user hears of it when that fails.
   */
  #ended(source: OwnSource, ageMs: number): void {
    const track = this.#tracks[source];
    const isRetried = source !== "screen" && this.#wanted[source] && track?.enabled === true && ageMs > RETRY_AGE_MS;
    this.#put(source, null);
    if (isRetried) {
      void this.#request(source).then(() => {
        if (this.#tracks[source] === null) this.#listener.ended(source);
      });
      return;
    }
    this.#wanted[source] = false;
    this.#report(source, { kind: "off" });
    this.#listener.ended(source);
  }

  #failed(source: OwnSource, number: number, error: unknown): void {
    if (number !== this.#requests[source]) return;
    this.#wanted[source] = false;
    const name = error instanceof DOMException ? error.name : error instanceof InsecurePage ? "insecure" : "unknown";
    // Closing the browser's screen picker is no failure.
    if (source === "screen" && name === "NotAllowedError") this.#report(source, { kind: "off" });
    else this.#report(source, { kind: "failed", error: name, detail: String(error) });
  }

  #put(source: OwnSource, track: MediaStreamTrack | null): void {
    const before = this.#tracks[source];
    this.#tracks = { ...this.#tracks, [source]: track };
    before?.stop();
    this.#listener.tracksChanged(this.#tracks);
  }

  #report(source: OwnSource, state: CaptureState): void {
    this.#listener.changed(source, state);
  }
}

const CAMERA_FRAME_RATE = 30;
const SCREEN_FRAME_RATE = 15;
/** What ended sooner would only end again. */
const RETRY_AGE_MS = 3000;

/** Measures a microphone in the page, for the time before anything is sent. */
class LevelMeter {
  readonly track: MediaStreamTrack;
  readonly #context = new AudioContext();
  readonly #analyser: AnalyserNode;
  readonly #samples: Float32Array<ArrayBuffer>;

  constructor(track: MediaStreamTrack) {
    this.track = track;
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 512;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(new MediaStream([track])).connect(this.#analyser);
  }

  level(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let peak = 0;
    for (const sample of this.#samples) peak = Math.max(peak, Math.abs(sample));
    return Math.min(peak, 1);
  }

  close(): void {
    void this.#context.close();
  }
}

class InsecurePage extends Error {}

/** Browsers hide devices from pages that were not loaded securely. */
function mediaDevices(): MediaDevices | null {
  return "mediaDevices" in navigator ? navigator.mediaDevices : null;
}

function devicesOrThrow(): MediaDevices {
  const devices = mediaDevices();
  if (devices === null) throw new InsecurePage("the page was not loaded securely");
  return devices;
}

function on(track: MediaStreamTrack): CaptureState {
  return { kind: "on", trackKey: track.id };
}
