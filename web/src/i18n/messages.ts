/**
 * All words of the page, as one typed table: a language that lacks a key does not compile.
 *
 * A message is a whole sentence with named places, so that each language may order them as it must.
 * Where a part is emphasised or comes from somebody else (a name, a room), the message is a list of parts:
 * the page shows strings as they are and a `Strong` bold and isolated, since it may be written right to left.
 */

import type { Order, ProblemCode, SourceKind } from "../meeting/state";

export interface Strong {
  readonly strong: string;
}
export type Part = string | Strong;
export type Text = string | readonly Part[];

export const strong = (text: string): Strong => ({ strong: text });

/** Picks the form of a word that belongs to a number, by the rules of the language; `#` becomes the number. */
export function pluralOf(language: string): (n: number, forms: { one: string; other: string }) => string {
  const rules = new Intl.PluralRules(language);
  const digits = new Intl.NumberFormat(language);
  return (n, forms) => (rules.select(n) === "one" ? forms.one : forms.other).replace("#", digits.format(n));
}

export const LANGUAGES = ["de", "en"] as const;
export type Language = (typeof LANGUAGES)[number];

/** Whose settings the user must change: each browser has its own place for them. */
export type BrowserKind = "chrome" | "firefox" | "safari" | "other";

export type DeviceKind = "microphone" | "camera" | "both";

export interface Explanation {
  readonly title: string;
  readonly text: string;
}

/** What an error page says: to the user, and below, to the administrator. */
export interface ProblemWords extends Explanation {
  readonly cause: string;
}

export interface Messages {
  readonly language: Language;
  /** The language's name in itself, and the other one's, for the button that changes it. */
  readonly languageName: string;
  readonly switchLanguage: string;
  readonly switchTheme: string;

  readonly close: string;
  readonly copied: string;
  readonly you: string;
  readonly guest: string;
  readonly startPage: string;
  readonly rejoin: string;
  readonly tryAgain: string;

  readonly start: {
    readonly title: readonly string[];
    readonly lead: string;
    readonly room: string;
    readonly enter: string;
    readonly orSuggestion: string;
    readonly otherSuggestion: string;
    readonly recent: string;
    readonly forget: (room: string) => string;
    readonly badCharacters: (characters: string) => string;
    readonly reserved: (room: string) => string;
    readonly foot: string;
    /** Two lists of plain words for suggested names. */
    readonly firstWords: readonly string[];
    readonly secondWords: readonly string[];
  };

  readonly prejoin: {
    readonly asOthersSee: string;
    readonly cameraOff: string;
    readonly cameraStarting: string;
    readonly yourName: string;
    readonly nameKept: string;
    readonly join: string;
    readonly joining: string;
    readonly withoutMicrophone: string;
    readonly microphone: string;
    readonly speaker: string;
    readonly camera: string;
    readonly device: (kind: string, number: number) => string;
    readonly none: string;
    readonly allFine: string;
    readonly cameraOnlyOff: string;
    readonly microphoneOff: string;
    readonly silent: string;
  };

  readonly devices: {
    readonly askAgain: string;
    readonly denied: (kind: DeviceKind) => string;
    readonly deniedSteps: (browser: BrowserKind) => readonly Text[];
    readonly inUse: (kind: DeviceKind) => Explanation;
    readonly missing: (kind: DeviceKind) => Explanation;
    readonly failed: (kind: DeviceKind) => Explanation;
    readonly insecure: Explanation;
    readonly joinAnyway: string;
  };

  readonly toolbar: {
    readonly name: string;
    readonly microphone: string;
    readonly camera: string;
    readonly share: string;
    readonly chat: string;
    readonly leave: string;
    readonly mute: string;
    readonly unmute: string;
    readonly cameraOff: string;
    readonly cameraOn: string;
    readonly shareStart: string;
    readonly shareStop: string;
    readonly chooseMicrophone: string;
    readonly chooseCamera: string;
    readonly unread: (n: number) => string;
    readonly hand: string;
    readonly raiseHand: string;
    readonly people: string;
    readonly atDoor: (n: number) => string;
  };

  readonly tile: {
    readonly group: string;
    readonly own: string;
    /** The accessible name of a tile: the person and what is true of them. */
    readonly label: (p: {
      name: string;
      muted: boolean;
      camera: boolean;
      weak: boolean;
      interrupted: boolean;
      /** Place in the queue of raised hands, or null. */
      hand: number | null;
    }) => string;
    readonly weak: string;
    readonly reconnecting: string;
    readonly presents: (name: string) => Text;
    readonly presentsLabel: (name: string) => string;
    readonly more: (n: number) => Text;
    readonly page: (p: { page: number; pages: number }) => string;
    readonly previousPage: string;
    readonly nextPage: string;
  };

  readonly wayIn: {
    readonly passwordTitle: string;
    readonly passwordText: string;
    readonly password: string;
    readonly wrong: string;
    readonly continue: string;
    readonly nameTitle: string;
    readonly nameText: string;
    readonly waitTitle: string;
    readonly waitText: (room: string) => Text;
    /** Nobody is there yet who could open. */
    readonly hostTitle: string;
    readonly hostText: (room: string) => Text;
    readonly waited: (minutes: number) => string;
    readonly havePassword: string;
    readonly stopWaiting: string;
  };

  readonly people: {
    readonly title: string;
    readonly atDoor: string;
    readonly admit: string;
    readonly deny: string;
    readonly admitName: (name: string) => string;
    readonly denyName: (name: string) => string;
    readonly admitAll: string;
    readonly hands: string;
    readonly inRoom: string;
    readonly moderator: string;
    /** The button of a person's menu, and the menu. */
    readonly actions: (name: string) => string;
    readonly mute: string;
    readonly cameraOff: string;
    readonly stopShare: string;
    readonly permit: (source: SourceKind) => string;
    readonly makeModerator: string;
    readonly sendTo: (room: string) => string;
    readonly remove: string;
    readonly removeTitle: (name: string) => string;
    readonly removeText: string;
    readonly removeConfirm: string;
    readonly cancel: string;
    readonly protect: string;
    readonly rooms: string;
  };

  readonly protect: {
    readonly title: string;
    readonly lobby: string;
    readonly lobbyText: string;
    readonly password: string;
    readonly isLocked: string;
    readonly isOpen: string;
    readonly newPassword: string;
    readonly set: string;
    readonly removePassword: string;
  };

  readonly rooms: {
    readonly title: string;
    readonly main: string;
    readonly none: string;
    readonly nobody: string;
    readonly enter: string;
    readonly enterName: (room: string) => string;
    readonly here: string;
    readonly close: (room: string) => string;
    readonly add: string;
    /** The name of the n-th room. */
    readonly defaultName: (n: number) => string;
    readonly newName: string;
    readonly recall: string;
    readonly move: (name: string) => string;
  };

  readonly alone: {
    readonly title: string;
    readonly text: string;
    readonly copyLink: string;
  };

  readonly chat: {
    readonly title: string;
    readonly log: string;
    readonly empty: string;
    readonly write: string;
    readonly field: string;
    readonly send: string;
    readonly failed: string;
    readonly again: string;
    readonly spoken: (p: { name: string; text: string }) => string;
  };

  readonly notices: {
    readonly joined: (names: readonly string[]) => Text;
    readonly left: (name: string) => string;
    readonly reconnecting: (seconds: number) => Text;
    readonly reconnectingNow: Text;
    readonly offline: Text;
    readonly reconnected: Text;
    readonly mutedBy: (p: { by: string | null; source: SourceKind }) => Text;
    readonly microphoneLost: Text;
    readonly cameraLost: Text;
    readonly screenEnded: Text;
    readonly sourceRefused: (kind: "microphone" | "camera" | "screen") => Text;
    readonly chatFailed: Text;
    readonly noBridge: Text;
    readonly hand: (name: string) => Text;
    readonly role: (isModerator: boolean) => Text;
    readonly startMuted: (p: { microphone: boolean; camera: boolean }) => Text;
    readonly rule: (p: { source: SourceKind; isNeeded: boolean }) => Text;
    readonly permission: (p: { source: SourceKind; isGiven: boolean }) => Text;
    readonly permissionNeeded: (source: SourceKind) => Text;
    /** Null: somebody whose name is not known. */
    readonly asked: (by: string | null) => Text;
    readonly backInMain: Text;
    readonly roomClosed: Text;
    readonly inRoom: (name: string) => Text;
    readonly backToMain: string;
    readonly knock: (names: readonly string[]) => Text;
    readonly refused: Readonly<Record<Order["kind"], string>>;
    readonly sharing: Text;
    readonly soundBlocked: Text;
    readonly playSound: string;
    readonly dismiss: string;
    readonly shareStarted: (name: string) => string;
  };

  readonly joining: {
    readonly title: (room: string) => string;
    readonly text: string;
    readonly cancel: string;
    /** The server does not answer; `seconds` until the next attempt, 0 while one is under way. */
    readonly noAnswer: (seconds: number) => Text;
    readonly offline: Text;
  };

  readonly left: {
    readonly title: string;
    /** `minutes` is null for who left before being inside. */
    readonly text: (p: { room: string; minutes: number | null }) => Text;
    readonly removedTitle: string;
    readonly removedText: (p: { room: string; by: string | null }) => Text;
    readonly deniedTitle: string;
    readonly deniedText: (room: string) => Text;
    readonly knockAgain: string;
    readonly endedTitle: string;
    readonly endedText: (p: { room: string; minutes: number | null }) => Text;
    readonly reason: (reason: string) => Text;
  };

  readonly problems: Record<ProblemCode, ProblemWords>;
  readonly error: {
    readonly forAdministrator: string;
    readonly what: string;
    readonly when: string;
    readonly where: string;
    readonly browser: string;
    readonly cause: string;
    readonly copyAll: string;
  };
}
