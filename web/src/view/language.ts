/** The language of the page: one signal, read by everything that shows words. */

import { createSignal } from "solid-js";
import { chooseLanguage, messagesOf } from "../i18n/choose";
import { type Language, LANGUAGES, type Messages } from "../i18n/messages";
import { memory } from "./memory";

const [messages, setMessages] = createSignal<Messages>();

/** All words in the current language. */
export function t(): Messages {
  const current = messages();
  if (current === undefined) throw new Error("no language is chosen yet");
  return current;
}

export const language = (): Language => t().language;

function use(chosen: Language): void {
  document.documentElement.lang = chosen;
  setMessages(messagesOf(chosen));
}

/** Before anything is drawn. */
export function startLanguage(): void {
  const query = new URLSearchParams(location.search).get("lang");
  use(chooseLanguage(query, memory.language(), navigator.languages));
}

export function switchLanguage(): void {
  const next = LANGUAGES.find((other) => other !== language()) ?? language();
  memory.setLanguage(next);
  use(next);
}
