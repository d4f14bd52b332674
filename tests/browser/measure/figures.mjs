// Numbers and tables.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Prints rows of cells in columns; numbers to the right. */
export const printTable = (head, rows) => {
  const cells = [head, ...rows.map((row) => row.map((cell) => (cell === null || cell === undefined ? "–" : String(cell))))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of cells) {
    const padded = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])));
    console.log(`  ${padded.join("  ").trimEnd()}`);
  }
};

/** Writes all figures for programs; says where. */
export const save = (name, figures) => {
  const folder = new URL("../../../target/measure/", import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  const file = `${folder}${name}.json`;
  writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
  console.log(`  all figures: ${file}`);
};

/** Jiffies of all cores: busy and in all. */
export const processorTime = () => {
  const [, ...times] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0].trim().split(/\s+/);
  const all = times.slice(0, 8).map(Number);
  const total = all.reduce((sum, time) => sum + time, 0);
  return { busy: total - all[3] - all[4], total };
};

/** Share of all cores that was busy between two readings. */
export const busyShare = (before, after) => (after.busy - before.busy) / Math.max(after.total - before.total, 1);

/** An option's value: `--name value`. */
export const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? fallback : process.argv[at + 1];
};
