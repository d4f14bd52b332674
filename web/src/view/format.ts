/** Times as people of each language write them. */

import type { Language } from "../i18n/messages";

/** German: always 24 hours. English: as the reader's own variant of it has it. */
const locale = (language: Language): string | string[] =>
  language === "de" ? "de" : navigator.languages.filter((tag) => tag.toLowerCase().startsWith("en")).concat("en");

export const clockTime = (language: Language, at: number): string =>
  new Intl.DateTimeFormat(locale(language), { hour: "numeric", minute: "2-digit" }).format(at);

export const fullTime = (language: Language, at: number): string =>
  new Intl.DateTimeFormat(locale(language), { dateStyle: "medium", timeStyle: "long" }).format(at);

const DAY = 86_400_000;

/** "yesterday, 16:05", "Tuesday, 18:30", "3 March". */
export function visitTime(language: Language, at: number, now: number): string {
  const midnight = (time: number): number => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(now) - midnight(at)) / DAY);
  const clock = clockTime(language, at);
  if (days < 0 || days > 6)
    return new Intl.DateTimeFormat(locale(language), { day: "numeric", month: "long", year: "numeric" }).format(at);
  const day =
    days < 2
      ? new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-days, "day")
      : new Intl.DateTimeFormat(locale(language), { weekday: "long" }).format(at);
  return `${day}, ${clock}`;
}
