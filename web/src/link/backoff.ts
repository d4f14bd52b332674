/**
 * When to try again after the line broke: at once, then a little later each time, for ever.
 *
 * Jitter keeps the clients of a restarted server from coming back at the same moment. The longest wait is short, since
 * somebody sits in front of the page and the first attempt after the server's return decides how long they sit.
 */
export function retryDelayMs(attempt: number, random: number): number {
  const ceiling = CEILINGS_MS[Math.min(attempt, CEILINGS_MS.length - 1)] ?? 0;
  return Math.round(ceiling * (0.4 + 0.6 * random));
}

/** By attempt, counted from 0. */
const CEILINGS_MS = [700, 1000, 1500, 2000, 2500, 3000, 3000, 3000, 4000, 4000, 4000, 5000];
