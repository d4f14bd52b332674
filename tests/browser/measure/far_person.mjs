// A person whose browser is at another place (access.mjs).
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export class FarPerson {
  /** Opens the browser at `access` and the room's page, up to the join button. */
  static async arrive(access, kind, origin, room, name, { flags = [], settings = {}, hash = "" } = {}) {
    const person = new FarPerson();
    person.kind = kind;
    person.name = name;
    person.access = access;
    person.pending = new Map();
    person.next = 0;
    const [command, ...args] = [...(access?.prefix ?? []), process.execPath, new URL("./seat.mjs", import.meta.url).pathname];
    person.process = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: person.process.stdout }).on("line", (line) => person.#answered(line));
    person.exited = new Promise((resolve) => person.process.once("exit", resolve));
    person.process.once("exit", () => {
      for (const { reject } of person.pending.values()) reject(new Error(`${name}'s browser is gone`));
    });
    await person.#order("arrive", { kind, origin, room, name, flags, settings, hash });
    return person;
  }

  #answered(line) {
    let answer;
    try {
      answer = JSON.parse(line);
    } catch {
      console.error(line);
      return;
    }
    const waiting = this.pending.get(answer.id);
    this.pending.delete(answer.id);
    if (answer.error !== undefined) waiting?.reject(new Error(`${this.name}: ${answer.error}`));
    else waiting?.resolve(answer.result);
  }

  #order(order, rest = {}) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.process.stdin.write(`${JSON.stringify({ id, order, ...rest })}\n`);
    });
  }

  join() {
    return this.#order("join");
  }

  press(action) {
    return this.#order("press", { action });
  }

  /** Calls a function in the page with arguments that JSON can carry. */
  evaluate(callback, ...args) {
    return this.#order("evaluate", { source: String(callback), args });
  }

  complaints() {
    return this.#order("complaints");
  }

  async leave() {
    this.process.stdin.end();
    await this.exited;
  }
}
