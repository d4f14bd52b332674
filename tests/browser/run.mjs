// Runs the browser stories one after another: node run.mjs [part of a story's name] [--repeat N]
//
// Closes with "N passed, N failed"; exits with 1 when one failed.
import { readdirSync } from "node:fs";

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"))[0] ?? "";
const repeatAt = process.argv.indexOf("--repeat");
const repeat = repeatAt === -1 ? 1 : Number(process.argv[repeatAt + 1]);
const LIMIT_SECONDS = 240;

const stories = readdirSync(new URL("./stories", import.meta.url)).filter((name) => name.endsWith(".mjs")).sort();
let passed = 0;
let failed = 0;
for (const file of stories) {
  const { title, story } = await import(`./stories/${file}`);
  if (!`${file} ${title}`.includes(wanted)) continue;
  for (let round = 1; round <= repeat; round += 1) {
    const label = repeat > 1 ? `${title} (${round} of ${repeat})` : title;
    const started = Date.now();
    const clean = [];
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${LIMIT_SECONDS} s`)), LIMIT_SECONDS * 1000);
    });
    try {
      const figures = await Promise.race([story((undo) => clean.push(undo)), late]);
      passed += 1;
      console.log(`ok      ${label} (${((Date.now() - started) / 1000).toFixed(1)} s)${figures ? ` ${JSON.stringify(figures)}` : ""}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${label}\n${error.stack ?? error}`);
    } finally {
      clearTimeout(timer);
      for (const undo of clean.reverse()) await undo();
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
