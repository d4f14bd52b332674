/** What is drawn for somebody without a picture. */

/** Hue 1 to 8 of the avatar, always the same for a name. */
export function hueOf(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) | 0;
  return (Math.abs(hash) % 8) + 1;
}

/** First letters of the first and the last word; works for any script. */
export function initialsOf(name: string): string {
  const words = name
    .trim()
    .split(/[\s_]+/u)
    .map((word) => word.replace(/^[^\p{L}\p{N}]+/u, ""))
    .filter((word) => word !== "");
  const first = (word: string | undefined): string => [...(word ?? "")][0] ?? "";
  const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0]);
  return letters.toLocaleUpperCase();
}
