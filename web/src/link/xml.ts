/**
 * XML as plain values, so that everything that reads or writes stanzas is a pure function.
 *
 * Only `transport.ts` touches the browser's DOM. Namespaces are what Jitsi's world makes of them: each change of
 * namespace is a literal `xmlns` attribute, and there are no prefixes. `fromDom` brings foreign elements into that form.
 */

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlNode[];
}

export type XmlNode = XmlElement | string;

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Builds an element; attributes that are `undefined` and children that are `null` are left out. */
export function element(
  name: string,
  attributes: Attributes = {},
  ...children: readonly (XmlNode | readonly XmlNode[] | null)[]
): XmlElement {
  const kept: Record<string, string> = {};
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) kept[key] = String(value);
  }
  const nodes: XmlNode[] = [];
  for (const node of children) {
    if (node === null) continue;
    if (isNodeList(node)) nodes.push(...node);
    else nodes.push(node);
  }
  return { name, attributes: kept, children: nodes };
}

/** The child elements, with a certain name if one is given, and with that literal `xmlns` if one is given. */
export function children(parent: XmlElement | null, name?: string, xmlns?: string): XmlElement[] {
  const found: XmlElement[] = [];
  for (const node of parent?.children ?? []) {
    if (typeof node === "string") continue;
    if (name !== undefined && node.name !== name) continue;
    if (xmlns !== undefined && node.attributes["xmlns"] !== xmlns) continue;
    found.push(node);
  }
  return found;
}

/** The first such child, or null. */
export function child(parent: XmlElement | null, name: string, xmlns?: string): XmlElement | null {
  return children(parent, name, xmlns)[0] ?? null;
}

/** The text directly inside an element; empty for null. */
export function text(parent: XmlElement | null): string {
  return (parent?.children ?? []).filter((node) => typeof node === "string").join("");
}

export function attribute(of: XmlElement | null, name: string): string | null {
  return of?.attributes[name] ?? null;
}

/** The same element with other attributes; `undefined` removes one. */
export function withAttributes(of: XmlElement, changed: Attributes): XmlElement {
  const attributes: Attributes = { ...of.attributes, ...changed };
  return element(of.name, attributes, of.children);
}

export function serialize(of: XmlElement): string {
  const attributes = Object.entries(of.attributes)
    .map(([key, value]) => ` ${key}="${escape(value).replaceAll('"', "&quot;")}"`)
    .join("");
  if (of.children.length === 0) return `<${of.name}${attributes}/>`;
  const inner = of.children.map((node) => (typeof node === "string" ? escape(node) : serialize(node))).join("");
  return `<${of.name}${attributes}>${inner}</${of.name}>`;
}

/** What `fromDom` needs of a DOM element; the browser's elements have it. */
export interface DomElement {
  readonly localName: string | null;
  readonly namespaceURI: string | null;
  readonly attributes: ArrayLike<{ readonly name: string; readonly value: string }>;
  readonly childNodes: ArrayLike<DomNode>;
}

export interface DomNode {
  readonly nodeType: number;
  readonly nodeValue: string | null;
}

/** Reads a DOM element. Prefixes go; a namespace that a prefix had carried becomes an `xmlns` attribute. */
export function fromDom(of: DomElement, inherited: string | null = null): XmlElement {
  const attributes: Record<string, string> = {};
  for (const { name, value } of Array.from(of.attributes)) {
    if (!name.startsWith("xmlns:")) attributes[name] = value;
  }
  const namespace = of.namespaceURI;
  if (namespace !== null && namespace !== inherited) attributes["xmlns"] = namespace;
  const nodes: XmlNode[] = [];
  for (const node of Array.from(of.childNodes)) {
    if (isDomElement(node)) nodes.push(fromDom(node, namespace));
    else if (node.nodeType === TEXT || node.nodeType === CDATA) nodes.push(node.nodeValue ?? "");
  }
  return { name: of.localName ?? "", attributes, children: nodes };
}

const ELEMENT = 1;
const TEXT = 3;
const CDATA = 4;

function isDomElement(node: DomNode): node is DomNode & DomElement {
  return node.nodeType === ELEMENT;
}

function isNodeList(node: XmlNode | readonly XmlNode[]): node is readonly XmlNode[] {
  return Array.isArray(node);
}

function escape(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
