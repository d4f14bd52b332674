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

/** Each language is a file of its own; only the chosen one is loaded. */
export async function loadMessages(language: Language): Promise<Messages> {
  const file = language === "de" ? await import("./de") : await import("./en");
  return file.messages;
}
