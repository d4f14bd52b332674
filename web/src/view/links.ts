/** Addresses in foreign text become links; everything else stays text. */

export interface LinkPart {
  readonly text: string;
  readonly href: string | null;
}

const ADDRESS = /\bhttps?:\/\/[^\s<>"]+/giu;
/** Ends a sentence rather than an address. */
const TRAILING = /[.,;:!?'”’)\]}]+$/u;

export function linkParts(text: string): LinkPart[] {
  const parts: LinkPart[] = [];
  let at = 0;
  for (const match of text.matchAll(ADDRESS)) {
    let address = match[0];
    const trailing = TRAILING.exec(address)?.[0] ?? "";
    // "(see https://en.wikipedia.org/wiki/Table_(furniture))" keeps the inner pair.
    const kept = trailing.startsWith(")") && address.includes("(") ? 1 : 0;
    address = address.slice(0, address.length - trailing.length + kept);
    if (!isAddress(address)) continue;
    if (match.index > at) parts.push({ text: text.slice(at, match.index), href: null });
    parts.push({ text: address, href: address });
    at = match.index + address.length;
  }
  if (at < text.length) parts.push({ text: text.slice(at), href: null });
  return parts;
}

function isAddress(text: string): boolean {
  try {
    return new URL(text).host !== "";
  } catch {
    return false;
  }
}
