/** A meeting without a server, for looking at the page: people, pictures and events out of nothing. */

import type { Meeting } from "../src/meeting/meeting";
import { FREE, MAIN_ROOM } from "../src/meeting/model";
import type {
  Capture,
  ChatMessage,
  MeetingRoom,
  MeetingState,
  NoticeBody,
  Order,
  Participant,
  ProblemCode,
  Stage,
} from "../src/meeting/state";

const NAMES = [
  "Mehmet Yılmaz", "Sabine Krüger", "Jonas Weber", "Olena Kovalenko", "Thomas Brandt", "Fatima El-Sayed",
  "Piotr Nowak", "Claudia Romano", "Samuel Okafor", "Nguyễn Mai", "Katrin Vogel", "Ahmet Demir", "Julia Sommer",
  "Marek Dvořák", "Ruth Abebe", "Dirk Lehmann", "Birgit Neumann", "Lena Fischer", "Ricardo Alves", "Heike Schröder",
  "Stefan Wolf", "Ivana Petrović", "Aylin Kaya", "Martin Busch",
];

/** A moving picture of somebody with a round head. */
function portrait(seed: number, portraitShape = false): MediaStreamTrack {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = portraitShape ? [180, 320] : [320, 180];
  const ink = canvas.getContext("2d") as CanvasRenderingContext2D;
  const hue = (seed * 67) % 360;
  const draw = (): void => {
    const { width: w, height: h } = canvas;
    const sway = Math.sin(performance.now() / 700 + seed) * 3;
    ink.fillStyle = `hsl(${hue} 18% ${62 + (seed % 3) * 8}%)`;
    ink.fillRect(0, 0, w, h);
    ink.fillStyle = `hsl(${(hue + 40) % 360} 20% 78%)`;
    ink.fillRect(w * 0.65, h * 0.08, w * 0.25, h * 0.4);
    ink.fillStyle = `hsl(${(hue + 180) % 360} 38% 38%)`;
    ink.beginPath();
    ink.ellipse(w / 2 + sway, h * 1.05, h * 0.42, h * 0.42, 0, 0, 7);
    ink.fill();
    ink.fillStyle = ["#d49a74", "#6b4631", "#f0d2bc", "#b5835f"][seed % 4] ?? "#d49a74";
    ink.beginPath();
    ink.ellipse(w / 2 + sway, h * 0.44, h * 0.17, h * 0.22, 0, 0, 7);
    ink.fill();
    ink.fillStyle = "#2a201c";
    ink.beginPath();
    ink.ellipse(w / 2 + sway, h * 0.32, h * 0.19, h * 0.13, 0, 0, 7);
    ink.fill();
  };
  setInterval(draw, 100);
  draw();
  return canvas.captureStream(10).getVideoTracks()[0] as MediaStreamTrack;
}

function slide(): MediaStreamTrack {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1600, 900];
  const ink = canvas.getContext("2d") as CanvasRenderingContext2D;
  const draw = (): void => {
    ink.fillStyle = "#fcfbf8";
    ink.fillRect(0, 0, 1600, 900);
    ink.fillStyle = "#25221e";
    ink.font = "bold 84px sans-serif";
    ink.fillText("Was kostet die Woche?", 120, 260);
    ink.font = "44px sans-serif";
    ["Bahn und Fähre", "Jugendherberge, 5 Nächte", "Wattwanderung"].forEach((line, i) => ink.fillText(line, 120, 420 + i * 110));
  };
  setInterval(draw, 500);
  draw();
  return canvas.captureStream(4).getVideoTracks()[0] as MediaStreamTrack;
}

/**
 * In the address: n people, stage (outside, password, wrong, name, lobby, host, inside, left, removed, denied, ended,
 * failed), code of a problem, share, states, speak, hands, door=n waiting, rooms, breakout, guest, locked, chat=n
 * messages, line (broken, offline), device (denied, missing, silent), camera=off, mic=off, tall.
 */
export function fakeMeeting(room: string): Meeting {
  const query = new URLSearchParams(location.search);
  const has = (key: string): boolean => query.has(key);
  const n = Number(query.get("n") ?? 1);
  const code = (query.get("code") ?? "unreachable") as ProblemCode;
  const listeners = new Set<(state: MeetingState) => void>();
  const tracks = new Map<string, MediaStreamTrack>();
  const trackOf = (key: string, make: () => MediaStreamTrack): MediaStreamTrack => {
    const known = tracks.get(key) ?? make();
    tracks.set(key, known);
    return known;
  };
  const person = (i: number): Participant => ({
    id: (0x4a5b0000 + i * 7919).toString(16),
    name: NAMES[i % NAMES.length] ?? "",
    isModerator: i === 0,
    handAt: has("hands") && (i === 1 || i === 4) ? 100 - i : null,
    joinedAt: i,
    link: has("states") && i === 2 ? "interrupted" : "active",
    isOnGrid: true,
    sources: [
      { name: `p${i}-a0`, kind: "microphone", isMuted: i % 2 === 1, trackKey: null, isForwarded: true },
      {
        name: `p${i}-v0`,
        kind: "camera",
        isMuted: i % 6 === 5 || (has("states") && i === 6),
        trackKey: `v${i}`,
        isForwarded: !(has("states") && i === 3),
      },
      ...(has("share") && i === 0
        ? [{ name: `p${i}-v1`, kind: "screen", isMuted: false, trackKey: "slide", isForwarded: true } as const]
        : []),
    ],
  });
  const failed = (problem: ProblemCode): Capture => ({ kind: "failed", problem: { actor: "you", code: problem, detail: "NotAllowedError" } });
  const device = query.get("device");
  const own: Capture =
    device === "denied" ? failed("permission-denied") : device === "missing" ? failed("device-missing") : { kind: "on", trackKey: "me" };
  const microphone: Capture = query.get("mic") === "off" ? { kind: "off" } : device === "denied" ? own : { kind: "on", trackKey: "mic" };
  const camera: Capture = query.get("camera") === "off" ? { kind: "off" } : own;
  const now = Date.now();
  const texts = [
    "Guten Abend zusammen! Das Protokoll vom letzten Mal liegt hier: https://lindenschule.example/7b/protokoll.",
    "Ist die Fähre im Preis enthalten?",
    "Ja, Bahn und Fähre sind drin. Ich zeige gleich die Übersicht.",
    "Super, danke.",
    "Wann ist die Anzahlung fällig?",
  ];
  const chat = Array.from({ length: Number(query.get("chat") ?? 0) }, (_, i): ChatMessage => ({
    id: `m${i}`,
    from: i === 2 ? "me" : `p${i === 4 ? 3 : i}`,
    name: NAMES[i === 4 ? 3 : i] ?? "",
    isOwn: i === 2,
    text: texts[i % texts.length] ?? "",
    at: now - 400_000 + i * 60_000,
    delivery: "sent",
  }));
  const stage = query.get("stage") ?? "outside";
  const line = query.get("line");
  let state: MeetingState = {
    room,
    stage: stageOf(stage, code, now),
    connection:
      line === null
        ? { kind: "connected" }
        : { kind: "reconnecting", since: now, nextAttemptAt: now + 12_500, attempt: 2, isOffline: line === "offline" },
    participants: Array.from({ length: n - 1 }, (_, i) => person(i)),
    self: {
      id: "me",
      name: "Anke Hoffmann",
      isModerator: !has("guest"),
      handAt: null,
      microphone,
      camera,
      screen: { kind: "off" },
    },
    devices: {
      microphones: device === "missing" ? [] : [{ id: "a", label: "Internes Mikrofon" }, { id: "b", label: "Headset (USB)" }],
      cameras: device === "missing" ? [] : [{ id: "c", label: "FaceTime HD" }],
      speakers: [{ id: "d", label: "Kopfhörer (USB)" }],
      chosen: { microphone: null, camera: null, speaker: null },
      canShareScreen: innerWidth > 700,
    },
    dominantSpeaker: null,
    chat,
    notices: [],
    path: "bridge",
    subject: "",
    door: {
      hasPassword: has("locked"),
      hasLobby: has("door"),
      waiting: ["Heike Schröder", "Martin Busch"].slice(0, Number(query.get("door") ?? 0)).map((name) => ({ id: name, name })),
    },
    place: has("breakout") ? { room: "g2", name: "Gruppe 2 · Kosten", isReached: true } : MAIN_ROOM,
    rooms: has("rooms") ? fakeRooms() : [],
    permissions: FREE,
    services: { hasLobby: true, hasRooms: true, hasModeration: true },
  };
  const set = (patch: Partial<MeetingState>): void => {
    state = { ...state, ...patch };
    for (const listener of listeners) listener(state);
  };
  const toggle = (key: "microphone" | "camera"): void => {
    const next: Capture = state.self[key].kind === "on" ? { kind: "off" } : { kind: "on", trackKey: key === "camera" ? "me" : "mic" };
    set({ self: { ...state.self, [key]: next } });
  };
  let noticeId = 0;
  const notice = (body: NoticeBody): void => set({ notices: [...state.notices, { id: ++noticeId, at: Date.now(), body }] });
  const meeting: Meeting & { readonly dev: unknown } = {
    get state() {
      return state;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    prepare: () => {},
    answer: () => {
      const { stage: now } = state;
      if (now.kind === "asking" || now.kind === "waiting") {
        set({ stage: { ...now, isBusy: true } });
        setTimeout(() => set({ stage: { ...now, isBusy: false, isWrong: true } }), 700);
      }
    },
    raiseHand: (isUp) => set({ self: { ...state.self, handAt: isUp ? Date.now() : null } }),
    goTo: (room) =>
      set({ place: room === null ? MAIN_ROOM : { room, name: state.rooms.find((one) => one.jid === room)?.name ?? "", isReached: true } }),
    order: (order) => set(afterOrder(state, order)),
    recall: () => set({ rooms: state.rooms.map((room) => (room.isMain ? room : { ...room, people: [] })) }),
    join: (name) => set({ stage: { kind: "inside", since: Date.now() }, self: { ...state.self, name } }),
    leave: () => set({ stage: { kind: "left", reason: { kind: "self" } } }),
    rename: (name) => set({ self: { ...state.self, name } }),
    toggleMicrophone: () => toggle("microphone"),
    toggleCamera: () => toggle("camera"),
    startScreenShare: () => set({ self: { ...state.self, screen: { kind: "on", trackKey: "mine" } } }),
    stopScreenShare: () => set({ self: { ...state.self, screen: { kind: "off" } } }),
    selectDevices: (chosen) => set({ devices: { ...state.devices, chosen } }),
    sendChat: (text) =>
      set({
        chat: [
          ...state.chat,
          { id: `own${state.chat.length}`, from: "me", name: "Anke", isOwn: true, text, at: Date.now(), delivery: text === "fail" ? "failed" : "sent" },
        ],
      }),
    retryChat: (id) => set({ chat: state.chat.map((m) => (m.id === id ? { ...m, delivery: "sent" } : m)) }),
    dismissNotice: (id) => set({ notices: state.notices.filter((one) => one.id !== id) }),
    setVisibleTiles: (tiles) => {
      (window as unknown as { visibleTiles: unknown }).visibleTiles = tiles;
    },
    setOnStage: () => {},
    track: (participant, source) => {
      if (participant === "self") return source === "camera" ? trackOf("me", () => portrait(99, has("tall"))) : null;
      const i = state.participants.findIndex((one) => one.id === participant);
      if (source.endsWith("v1")) return trackOf("slide", slide);
      return source.endsWith("v0") ? trackOf(`v${i}`, () => portrait(i + 1)) : null;
    },
    audioLevel: (participant) => {
      if (participant === "self") return device === "silent" ? 0 : 0.12 + Math.random() * 0.1;
      return has("speak") && participant === state.participants[0]?.id ? 0.2 : 0;
    },
    close: () => {},
    dev: {
      set,
      notice,
      joins: () => {
        set({ participants: [...state.participants, person(state.participants.length)] });
        notice({ kind: "joined", participant: "x", name: NAMES[state.participants.length - 1] ?? "" });
      },
      leaves: (i: number) => set({ participants: state.participants.filter((_, at) => at !== i) }),
    },
  };
  (window as unknown as { meeting: unknown }).meeting = meeting;
  return meeting;
}

function stageOf(name: string, code: ProblemCode, now: number): Stage {
  const waiting = { kind: "waiting", since: now - 130_000, isWrong: false, isBusy: false } as const;
  const stages: Readonly<Record<string, Stage>> = {
    inside: { kind: "inside", since: now },
    joining: { kind: "joining" },
    password: { kind: "asking", question: "password", isWrong: false, isBusy: false },
    wrong: { kind: "asking", question: "password", isWrong: true, isBusy: false },
    name: { kind: "asking", question: "name", isWrong: false, isBusy: false },
    lobby: { ...waiting, isForHost: false },
    host: { ...waiting, isForHost: true },
    left: { kind: "left", reason: { kind: "self" } },
    removed: { kind: "left", reason: { kind: "removed", by: "Anke Hoffmann", reason: "" } },
    denied: { kind: "left", reason: { kind: "denied" } },
    ended: { kind: "left", reason: { kind: "ended", reason: "Server wird gewartet" } },
    failed: { kind: "failed", problem: { actor: "administrator", code, detail: "HTTP 403" } },
  };
  return stages[name] ?? { kind: "outside" };
}

function fakeRooms(): MeetingRoom[] {
  const people = (from: number, to: number) =>
    NAMES.slice(from, to).map((name, i) => ({ id: `r${from + i}`, jid: `${from + i}@localhost/r`, name, isModerator: false }));
  return [
    { jid: "main", name: "Elternabend 7b", isMain: true, people: people(0, 2) },
    { jid: "g1", name: "Gruppe 1 · Programm", isMain: false, people: people(2, 5) },
    { jid: "g2", name: "Gruppe 2 · Kosten", isMain: false, people: people(5, 7) },
    { jid: "g3", name: "Gruppe 3 · Anreise", isMain: false, people: [] },
  ];
}

/** What the server would make of it. */
function afterOrder(state: MeetingState, order: Order): Partial<MeetingState> {
  const { door, participants, rooms } = state;
  switch (order.kind) {
    case "kick":
      return { participants: participants.filter(({ id }) => id !== order.id) };
    case "mute":
      return {
        participants: participants.map((one) =>
          one.id === order.id
            ? { ...one, sources: one.sources.map((source) => (source.kind === order.source ? { ...source, isMuted: true } : source)) }
            : one,
        ),
      };
    case "make-moderator":
      return { participants: participants.map((one) => (one.id === order.id ? { ...one, isModerator: true } : one)) };
    case "set-password":
      return { door: { ...door, hasPassword: order.password !== "" } };
    case "set-lobby":
      return { door: { ...door, hasLobby: order.isOn } };
    case "admit":
      return { door: { ...door, waiting: door.waiting.filter(({ id }) => !order.ids.includes(id)) } };
    case "deny":
      return { door: { ...door, waiting: door.waiting.filter(({ id }) => id !== order.id) } };
    case "add-room":
      return { rooms: [...rooms, { jid: `g${rooms.length + 1}`, name: order.name, isMain: false, people: [] }] };
    case "remove-room":
      return { rooms: rooms.filter(({ jid }) => jid !== order.room) };
    case "send": {
      const person = rooms.flatMap((room) => room.people).find(({ jid }) => jid === order.person);
      if (person === undefined) return {};
      return {
        rooms: rooms.map((room) => ({
          ...room,
          people: [...room.people.filter((one) => one !== person), ...(room.jid === order.room ? [person] : [])],
        })),
      };
    }
    case "permit":
      return {};
  }
}
