/** What a moderator can order. */

import type { OwnSource } from "./media_connection";

export type Order =
  /** `id`: a nick, here and below. */
  | { readonly kind: "kick"; readonly id: string }
  | { readonly kind: "mute"; readonly id: string; readonly source: OwnSource }
  /** May switch on a source that needs permission. */
  | { readonly kind: "permit"; readonly id: string; readonly source: OwnSource }
  | { readonly kind: "make-moderator"; readonly id: string }
  /** Empty: none. */
  | { readonly kind: "set-password"; readonly password: string }
  | { readonly kind: "set-lobby"; readonly isOn: boolean }
  /** Nicks in the lobby. */
  | { readonly kind: "admit"; readonly ids: readonly string[] }
  | { readonly kind: "deny"; readonly id: string }
  | { readonly kind: "add-room"; readonly name: string }
  | { readonly kind: "remove-room"; readonly room: string }
  /** `person` is a real, full JID. */
  | { readonly kind: "send"; readonly person: string; readonly room: string };
