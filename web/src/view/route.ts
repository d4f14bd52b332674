/** Which page an address means. `/` is the start page, `/ROOM` and `/TENANT/ROOM` are meetings. */

export type Route =
  | { readonly kind: "start" }
  | {
      readonly kind: "room";
      /** As the address has it, decoded: "Elternabend 7b". */
      readonly name: string;
      readonly tenant: string | null;
      /** False with `?prejoin=0`: enter at once with the remembered name. */
      readonly prejoin: boolean;
    };

/** Not allowed in a room's name, since they mean something in an address or in XMPP. */
const FORBIDDEN = /[/?#%&:"'<>\\@]/g;

/** Names of files and services: a copy of the server's list (`http/reserved.rs`); a test compares them. */
export const RESERVED: ReadonlySet<string> = new Set([
  "about",
  "admin",
  "api",
  "assets",
  "colibri",
  "colibri-ws",
  "conference-request",
  "config.js",
  "connection_optimization",
  "css",
  "external_api.js",
  "favicon.ico",
  "favicon.svg",
  "fonts",
  "health",
  "http-bind",
  "images",
  "index.html",
  "interface_config.js",
  "lang",
  "libs",
  "manifest.json",
  "metrics",
  "pwa-worker.js",
  "robots.txt",
  "sounds",
  "static",
  "transcripts",
  "xmpp-websocket",
]);

export function readRoute(pathname: string, search: string): Route {
  const parts = pathname
    .split("/")
    .filter((part) => part !== "")
    .map(decode);
  const name = parts.at(-1);
  if (name === undefined || name.trim() === "" || parts.length > 2) return { kind: "start" };
  const query = new URLSearchParams(search);
  const tenant = parts.length === 2 ? (parts[0] ?? null) : null;
  return { kind: "room", name: name.trim(), tenant, prejoin: query.get("prejoin") !== "0" };
}

/** Null for pages without a tenant. Each tenant has rooms of its own, and a `config.js` that says so. */
export function tenantOf(pathname: string): string | null {
  const route = readRoute(pathname, "");
  return route.kind === "room" ? route.tenant : null;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The path to a room by the name that somebody typed. */
export function roomPath(name: string): string {
  return `/${encodeURIComponent(name.trim())}`;
}

export type NameFault = { readonly kind: "characters"; readonly found: string } | { readonly kind: "reserved" };

export function faultOfName(name: string): NameFault | null {
  const found = [...new Set(name.match(FORBIDDEN) ?? [])].join(" ");
  if (found !== "") return { kind: "characters", found };
  const plain = name.trim().toLowerCase();
  if (RESERVED.has(plain) || plain.startsWith(".")) return { kind: "reserved" };
  return null;
}
