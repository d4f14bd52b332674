/**
 * What the compiler does not check: imports go only downwards (view → meeting → link), no `any`, no requests to other
 * hosts, files of a readable size, no network addresses in the lock file.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

const root = new URL("..", import.meta.url).pathname;
const problems = [];

/** Which folders a folder may import from, besides itself. */
const BELOW = {
  link: [],
  meeting: ["link"],
  i18n: ["meeting"],
  view: ["meeting", "i18n"],
};

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}

for (const path of files(join(root, "src"))) {
  if (!/\.tsx?$/.test(path)) continue;
  const name = relative(root, path);
  const source = readFileSync(path, "utf8");
  const lines = source.split("\n");
  const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  const folder = name.split("/")[1];
  for (const [, target] of source.matchAll(/from "\.\.\/(\w+)\//g)) {
    const allowed = BELOW[folder];
    if (allowed !== undefined && target !== folder && !allowed.includes(target)) {
      problems.push(`${name}: ${folder} must not import from ${target}`);
    }
  }
  if (/[:<(,|]\s*any\b/.test(code) || /\bas any\b/.test(code)) problems.push(`${name}: uses any`);
  if (/@ts-(ignore|nocheck)/.test(source)) problems.push(`${name}: switches the compiler off`);
  if (/\b(fetch|import)\(\s*["'`]https?:/.test(code)) problems.push(`${name}: asks another host`);
  if (lines.length > 800) problems.push(`${name}: ${lines.length} lines, more than 800`);
}

const lock = readFileSync(join(root, "package-lock.json"), "utf8");
if (/"resolved": "http/.test(lock)) problems.push("package-lock.json: names registry hosts; see .npmrc");

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log("check: layers, types, requests and sizes are fine");
