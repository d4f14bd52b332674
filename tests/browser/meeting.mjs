// What several people in one room have in common: they see and hear each other, or they do not.
import { Person, until } from "./person.mjs";
import { Server } from "./server.mjs";

/** A server for one story; discarded at its end, with its log when the story fails. */
export const startServer = async (cleanUp, environment = {}) => {
  const server = await Server.start(environment);
  cleanUp(() => server.discard());
  return server;
};

/** People with browsers of these kinds, each before the join button; `flags` are those of Chromium. */
export const arrive = async (cleanUp, server, room, kinds, flags = []) => {
  const names = ["Ada", "Ben", "Cem", "Dag"];
  const people = [];
  for (const [index, kind] of kinds.entries()) {
    const person = await Person.arrive(kind, server.origin, room, names[index], flags);
    cleanUp(() => person.leave());
    people.push(person);
  }
  return people;
};

/** Frames decoded and audio energy that `person` has of each other participant, now. */
const progress = async (person) => {
  const { participants } = await person.media();
  return new Map(participants.map((other) => [other.id, other]));
};

/** Whether between two looks both picture and sound of `count` others went on. */
const receives = (before, after, count) => {
  let growing = 0;
  for (const [id, now] of after) {
    const then = before.get(id);
    if (then && now.framesDecoded > then.framesDecoded && now.audioEnergy > then.audioEnergy) growing += 1;
  }
  return growing >= count;
};

/**
 * Waits until each of `people` sees and hears all the others. Returns when that was for each,
 * in milliseconds since `since(person)`.
 */
export const allMeet = async (people, seconds, since = (person) => person.joinedAt) => {
  const times = await Promise.all(
    people.map(async (person) => {
      let before = new Map();
      await until(`${person.name} (${person.kind}) sees and hears ${people.length - 1} others`, seconds, async () => {
        const after = await progress(person).catch(() => new Map());
        const isMet = receives(before, after, people.length - 1);
        if (!isMet) before = after;
        return isMet;
      }).catch(async (error) => {
        const seen = await person.media().catch((failure) => String(failure));
        throw new Error(`${error.message}; has ${JSON.stringify(seen)}; page errors: ${person.complaints.join("; ")}`);
      });
      return Date.now() - since(person);
    }),
  );
  return times;
};

/** Waits until media of all `people` travels by `path` ("peer" or "bridge"). */
export const allOnPath = (people, path, seconds) =>
  Promise.all(
    people.map((person) =>
      until(`${person.name}'s media goes by ${path}`, seconds, async () => (await person.media()).path === path),
    ),
  );

/** Waits until each of `people` has tiles of exactly the others. */
export const listsExactlyTheOthers = (people, seconds) =>
  Promise.all(
    people.map((person) =>
      until(`${person.name} lists exactly ${people.length - 1} others`, seconds, async () => {
        const others = await person.others();
        return new Set(others).size === others.length && others.length === people.length - 1;
      }),
    ),
  );
