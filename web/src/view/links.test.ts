import { expect, test } from "vitest";
import { linkParts } from "./links";

const links = (text: string): (string | null)[] => linkParts(text).flatMap((part) => (part.href === null ? [] : [part.href]));

test("addresses become links without the end of the sentence", () => {
  expect(links("Siehe https://school.example/7b/protokoll.")).toEqual(["https://school.example/7b/protokoll"]);
  expect(links("(https://en.wikipedia.org/wiki/Table_(furniture))")).toEqual([
    "https://en.wikipedia.org/wiki/Table_(furniture)",
  ]);
  expect(links("http://a.example, https://b.example!")).toEqual(["http://a.example", "https://b.example"]);
});

test("nothing else does", () => {
  expect(links("javascript:alert(1) data:text/html,x ftp://a.example")).toEqual([]);
  expect(linkParts("hello")).toEqual([{ text: "hello", href: null }]);
  expect(linkParts("")).toEqual([]);
});

test("no character is lost", () => {
  const text = "a https://x.example/?q=1&r=2) b\nhttps://y.example.";
  expect(linkParts(text).map((part) => part.text).join("")).toBe(text);
});
