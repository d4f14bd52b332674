/** The language of the page: one signal, read by everything that shows words. */

import { createSignal } from "solid-js";
import { chooseLanguage, loadMessages } from "../i18n/choose";
import { type Language, LANGUAGES, type Messages } from "../i18n/messages";
import { memory } from "./memory";

const [messages, setMessages] = createSignal<Messages>();

/** All words in the current language. */
export function t(): Messages {
  const current = messages();
  if (current === undefined) throw new Error("no language is loaded yet");
  return current;
}

export const language = (): Language => t().language;

async function use(chosen: Language): Promise<void> {
  const loaded = await loadMessages(chosen);
  document.documentElement.lang = chosen;
  setMessages(loaded);
}

/** Before anything is drawn. */
export async function startLanguage(): Promise<void> {
  const query = new URLSearchParams(location.search).get("lang");
  await use(chooseLanguage(query, memory.language(), navigator.languages));
}

export function switchLanguage(): void {
  const next = LANGUAGES.find((other) => other !== language()) ?? language();
  memory.setLanguage(next);
  void use(next);
}
