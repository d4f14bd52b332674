/**
 * What a guest downloads before and during a meeting: page, scripts, styles and icons, compressed as the server sends
 * it; and how many requests it takes until one can join. Fails above the budget of the design (section 10).
 */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";

const dist = new URL("../dist", import.meta.url).pathname;

const BUDGET = 150_000;
const REQUESTS_MAX = 4;
/** Parts of it: what their names match, and their own limit. */
const PARTS = [
  { name: "styles", matches: /\.css$/, limit: 15_000 },
  { name: "page and icons", matches: /\.(html|svg)$/, limit: 8_000 },
  { name: "scripts", matches: /\.js$/, limit: 112_000 },
];

/** @param {string} folder @returns {string[]} */
function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}

let rest = files(dist)
  .filter((path) => path.endsWith(".gz"))
  .map((path) => ({ name: relative(dist, path).replace(/\.gz$/, ""), size: statSync(path).size }));
let total = 0;
let isTooMuch = false;
const line = (name, size, limit) => {
  const over = size > limit;
  isTooMuch ||= over;
  console.log(`${name.padEnd(16)} ${(size / 1000).toFixed(1).padStart(7)} kB of ${(limit / 1000).toFixed(0).padStart(4)}${over ? "  TOO MUCH" : ""}`);
};

for (const part of PARTS) {
  const own = rest.filter((file) => part.matches.test(file.name));
  rest = rest.filter((file) => !own.includes(file));
  if (own.length === 0) {
    console.error(`size: no file for "${part.name}" in web/dist; run npm run build`);
    process.exit(1);
  }
  const size = own.reduce((sum, file) => sum + file.size, 0);
  total += size;
  line(part.name, size, part.limit);
}
for (const file of rest) console.log(`  not counted: ${file.name}`);
line("first load", total, BUDGET);

// The page itself, and what it names. A script that loads another one would be a second file of scripts.
const page = readFileSync(join(dist, "index.html"), "utf8");
const named = [...page.matchAll(/<(?:script|link)\b[^>]*\b(?:src|href)="[^"]*"[^>]*>/g)].filter(([tag]) => !/rel="icon"/.test(tag));
const scripts = files(dist).filter((path) => path.endsWith(".js"));
const requests = 1 + named.length + (scripts.length - 1);
console.log(`requests         ${String(requests).padStart(7)}    of ${String(REQUESTS_MAX).padStart(4)}${requests > REQUESTS_MAX ? "  TOO MANY" : ""}`);
if (isTooMuch || requests > REQUESTS_MAX) process.exit(1);
