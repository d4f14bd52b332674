/** Whole seconds until the next attempt to reach the server, 0 while one is under way. */

import { type Accessor, createMemo } from "solid-js";
import type { Connection } from "../meeting/state";
import { clock } from "./observe";

export type BrokenLine = Extract<Connection, { kind: "reconnecting" }>;

export const brokenLine = (connection: Connection): BrokenLine | null =>
  connection.kind === "reconnecting" ? connection : null;

export function countdown(line: Accessor<BrokenLine>): Accessor<number> {
  const now = clock(250);
  return createMemo(() => {
    const { nextAttemptAt } = line();
    return nextAttemptAt === null ? 0 : Math.max(0, Math.ceil((nextAttemptAt - now()) / 1000));
  });
}
