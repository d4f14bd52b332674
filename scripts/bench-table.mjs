// Closes `make bench`: one table of all ratios, and the same as target/bench.json.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const folder = "target/bench";
const rows = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .sort()
  .flatMap((name) => readFileSync(`${folder}/${name}`, "utf8").split("\n"))
  .filter((line) => line.trim() !== "")
  .map((line) => JSON.parse(line))
  .map((row) => ({ ...row, met: row.goal === null ? null : row.ratio <= row.goal }));
if (rows.length === 0) {
  console.error("bench: no results in target/bench");
  process.exit(1);
}
const width = Math.max(...rows.map((row) => row.name.length));
// Small ratios need their digits.
const text = (ratio) => (Math.abs(ratio) < 0.1 && ratio !== 0 ? ratio.toFixed(4) : ratio.toFixed(2));
console.log(`\n${"name".padEnd(width)}   ratio   goal`);
for (const { name, ratio, goal, met } of rows) {
  const mark = met === false ? "  missed" : "";
  console.log(`${name.padEnd(width)}  ${text(ratio).padStart(6)}  ${goal === null ? "    –" : `≤ ${goal}`}${mark}`);
}
const missed = rows.filter((row) => row.met === false).length;
console.log(`\n${rows.length} ratios, ${missed} above their goal; target/bench.json has them all.`);
writeFileSync("target/bench.json", `${JSON.stringify(rows, null, 2)}\n`);
