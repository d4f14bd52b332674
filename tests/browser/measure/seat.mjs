// Runs inside of a place's network namespace and drives one browser there: a browser's remote control listens on
// loopback, which is the place's own. Requests and answers are lines of JSON, see far_person.mjs.
import { createInterface } from "node:readline";

import { Person } from "../person.mjs";

let person = null;

const orders = {
  arrive: async ({ kind, origin, room, name, flags, settings, hash }) => {
    person = await Person.arrive(kind, origin, room, name, flags, settings, hash);
  },
  join: () => person.join(),
  press: ({ action }) => person.press(action),
  evaluate: ({ source, args }) => person.page.evaluate(`(${source})(...${JSON.stringify(args)})`),
  complaints: () => person.complaints,
  leave: () => person.leave(),
};

const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const { id, order, ...rest } = JSON.parse(line);
  // Orders may overlap: one may wait for something in the page while another looks at it.
  Promise.resolve()
    .then(() => orders[order](rest))
    .then(
      (result) => answer({ id, result: result ?? null }),
      (error) => answer({ id, error: String(error?.stack ?? error) }),
    );
}
await person?.leave();
process.exit(0);
