/** The id of this browser (`machine-uid`): it carries a guest's rights, so it is kept, and never shown to others. */

export function machineUid(): string {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept !== null && /^[0-9a-f]{32}$/.test(kept)) return kept;
    const fresh = randomHex(16);
    localStorage.setItem(KEY, fresh);
    return fresh;
  } catch {
    // The browser keeps nothing for us: a guest without memory.
    return randomHex(16);
  }
}

export function randomHex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const KEY = "tertulia.machine-uid";
