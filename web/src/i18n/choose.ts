import { messages as de } from "./de";
import { messages as en } from "./en";
import { type Language, LANGUAGES, type Messages } from "./messages";

const known = (tag: string | null | undefined): Language | undefined => {
  const primary = tag?.toLowerCase().split("-")[0];
  return LANGUAGES.find((language) => language === primary);
};

/** The address decides, then what was chosen here before, then the browser's list, then English. */
export function chooseLanguage(query: string | null, stored: string | null, browser: readonly string[]): Language {
  for (const tag of [query, stored, ...browser]) {
    const language = known(tag);
    if (language !== undefined) return language;
  }
  return "en";
}

/**
 * All languages come with the script: two of them cost less than asking for one. A third one is the moment to measure
 * that again.
 */
export const messagesOf = (language: Language): Messages => ({ de, en })[language];
