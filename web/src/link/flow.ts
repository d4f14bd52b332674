/**
 * Notices that media which flowed has stopped: the earliest sign that our address is another, since browsers say so
 * late or never, and of a NAT that has forgotten us not at all. Pure.
 */
export class Flow {
  #newest = 0;
  #heardAt = 0;
  #steady = 0;

  /** `newest` is when the newest packet was played, on any clock. True once whenever a steady flow has stopped. */
  look(now: number, newest: number): boolean {
    if (newest > this.#newest) {
      this.#steady = now - this.#heardAt <= STEADY_GAP_MS ? this.#steady + 1 : 1;
      this.#newest = newest;
      this.#heardAt = now;
      return false;
    }
    if (this.#steady < STEADY_LOOKS || now - this.#heardAt < SILENCE_MS) return false;
    this.#steady = 0;
    return true;
  }
}

/** Between two looks. */
export const LOOK_MS = 100;
/** So many looks in a row must have found something: one second of media. */
const STEADY_LOOKS = 10;
/** Voices without sound come each 400 ms and are no steady flow. */
const STEADY_GAP_MS = 250;
/** Longer than what is lost in a row on a bad Wi-Fi. */
const SILENCE_MS = 500;
