import { expect, test } from "vitest";
import { chooseLanguage } from "./choose";
import { messages as de } from "./de";
import { messages as en } from "./en";

test("the address wins over the stored choice, and that over the browser", () => {
  expect(chooseLanguage("de", "en", ["en"])).toBe("de");
  expect(chooseLanguage(null, "de", ["en"])).toBe("de");
  expect(chooseLanguage(null, null, ["fr-FR", "de-AT", "en"])).toBe("de");
  expect(chooseLanguage("tlh", null, ["fr"])).toBe("en");
});

test("numbers take the right form", () => {
  expect(en.toolbar.unread(1)).toBe("1 new message");
  expect(en.toolbar.unread(2)).toBe("2 new messages");
  expect(de.toolbar.unread(1)).toBe("1 neue Nachricht");
  expect(de.notices.joined(["Ana", "Bo", "Cem"])).toEqual([{ strong: "Ana" }, " und 2 weitere sind jetzt dabei"]);
  expect(en.notices.joined(["Ana", "Bo"])).toEqual([{ strong: "Ana and Bo" }, " joined"]);
});

// The style of the words (design, section 8) as far as a machine can see it.
function everyString(value: unknown, path: string, found: [string, string][]): [string, string][] {
  if (typeof value === "string") found.push([path, value]);
  else if (value !== null && typeof value === "object")
    for (const [key, child] of Object.entries(value)) everyString(child, `${path}.${key}`, found);
  return found;
}

test("no text is empty, shouts or apologises", () => {
  for (const table of [de, en])
    for (const [path, text] of everyString(table, table.language, [])) {
      expect(text, path).not.toBe("");
      expect(text, path).not.toMatch(/!|\bleider\b|\boops\b/i);
    }
});
