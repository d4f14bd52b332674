/** What our client can do, as others ask for it (XEP-0030) and as its presence says it (XEP-0115). */

import { NS } from "./namespaces";
import { attribute, child, children, element } from "./xml";
import type { XmlElement } from "./xml";

const FEATURES = [
  "http://jabber.org/protocol/caps",
  "http://jitsi.org/json-encoded-sources",
  "http://jitsi.org/receive-multiple-video-streams",
  "http://jitsi.org/source-name",
  "http://jitsi.org/start-muted-room-metadata",
  "http://jitsi.org/tcc",
  "urn:ietf:rfc:4588",
  "urn:xmpp:jingle:1",
  "urn:xmpp:jingle:apps:dtls:0",
  "urn:xmpp:jingle:apps:rtp:1",
  "urn:xmpp:jingle:apps:rtp:audio",
  "urn:xmpp:jingle:apps:rtp:video",
  "urn:xmpp:jingle:transports:dtls-sctp:1",
  "urn:xmpp:jingle:transports:ice-udp:1",
] as const;

const IDENTITY = { category: "client", type: "web", name: "Tertulia" } as const;
const NODE = "urn:x-tertulia:web";

/** The answer to a disco#info query. */
export function discoAnswer(query: XmlElement): XmlElement {
  return element(
    "query",
    { xmlns: NS.discoInfo, node: attribute(query, "node") ?? undefined },
    element("identity", IDENTITY),
    FEATURES.map((feature) => element("feature", { var: feature })),
  );
}

/** XEP-0115, 5.1: what is hashed. */
export function capsString(): string {
  const identity = `${IDENTITY.category}/${IDENTITY.type}//${IDENTITY.name}<`;
  return identity + [...FEATURES].sort().join("<") + "<";
}

/** The `<c/>` of our presence; null where the page is not secure and so has no hash function. */
export async function capsElement(): Promise<XmlElement | null> {
  if (!("subtle" in crypto)) return null;
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(capsString()));
  const ver = btoa(String.fromCharCode(...new Uint8Array(digest)));
  return element("c", { xmlns: NS.caps, hash: "sha-1", node: NODE, ver });
}

/** XEP-0215: the servers that help connections through firewalls. */
export function readIceServers(result: XmlElement): RTCIceServer[] {
  return children(child(result, "services"), "service").flatMap((service): RTCIceServer[] => {
    const type = attribute(service, "type");
    const host = attribute(service, "host");
    if (host === null || (type !== "stun" && type !== "turn" && type !== "turns")) return [];
    const port = attribute(service, "port");
    const transport = attribute(service, "transport");
    const query = type !== "stun" && transport === "tcp" ? "?transport=tcp" : "";
    const urls = `${type}:${host}${port === null ? "" : `:${port}`}${query}`;
    const username = attribute(service, "username");
    const credential = attribute(service, "password");
    if (type === "stun") return [{ urls }];
    return username === null || credential === null ? [] : [{ urls, username, credential }];
  });
}
