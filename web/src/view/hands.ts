/** Who raises a hand, in which order. Pure. */

import type { MeetingState } from "../meeting/state";

/** Places in the queue, from 1; the user is "self". Who raised first comes first. */
export function handQueue(state: Pick<MeetingState, "participants" | "self">): ReadonlyMap<string, number> {
  const raised = [
    ...state.participants.map(({ id, handAt }) => ({ id, handAt })),
    { id: "self", handAt: state.self.handAt },
  ].flatMap(({ id, handAt }) => (handAt === null ? [] : [{ id, handAt }]));
  raised.sort((a, b) => a.handAt - b.handAt);
  return new Map(raised.map(({ id }, index) => [id, index + 1]));
}
