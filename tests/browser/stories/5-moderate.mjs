import { allMeet, arrive, listsExactlyTheOthers, startServer } from "../meeting.mjs";
import { until } from "../person.mjs";

export const title = "a moderator mutes, guards the door with password and lobby, removes, and sends people to a breakout room and back";

const PASSWORD = "Linde & Rose";

const has = (person, selector) => person.page.$(selector).then((element) => element !== null);

const sees = (person, what, selector, seconds = 5) =>
  until(`${person.name} sees ${what}`, seconds, () => has(person, selector));

const seesNot = (person, what, selector, seconds = 5) =>
  until(`${person.name} no longer sees ${what}`, seconds, async () => !(await has(person, selector)));

const click = async (person, selector) => (await person.page.waitForSelector(selector, { timeout: 5_000 })).click();

const type = async (person, selector, text) => {
  await click(person, selector);
  await person.page.keyboard.type(text);
};

const idOf = (person) => person.page.evaluate(() => window.__meeting.state.self.id);

/** Opens the panel of people, from wherever the panels are. */
const openPeople = async (person) => {
  for (const panel of ["protect", "rooms"]) {
    if (await has(person, `[data-panel="${panel}"]`)) await person.press(`close-${panel}`);
  }
  if (!(await has(person, '[data-panel="people"]'))) await person.press("people");
  await sees(person, "the panel of people", '[data-panel="people"]');
};

/** Picks an entry of somebody's menu in the list of people. */
const order = async (moderator, id, action) => {
  await openPeople(moderator);
  await click(moderator, `[data-person="${id}"] [data-action="person-menu"]`);
  await click(moderator, `[data-menu="person"] [data-action="${action}"]`);
};

export const story = async (cleanUp) => {
  const server = await startServer(cleanUp);
  const [ada, ben, cem] = await arrive(cleanUp, server, "tea", ["chromium", "firefox", "chromium"]);
  await ada.join();
  await until("Ada moderates", 5, () => ada.page.evaluate(() => window.__meeting.state.self.isModerator));
  await ben.join();
  await allMeet([ada, ben], 20);
  const benId = await idOf(ben);
  const benAtAda = `[data-participant="${benId}"]`;

  // A hand goes up and down.
  await ben.press("hand");
  await sees(ada, "Ben's hand", `${benAtAda}[data-hand="1"]`);
  await ben.press("hand");
  await seesNot(ada, "Ben's hand", `${benAtAda}[data-hand]`);
  if (await has(ben, '[data-action="person-menu"]')) throw new Error("Ben, who is no moderator, has menus of people");

  // Mute by a moderator; switching on again is Ben's own.
  await order(ada, benId, "mute");
  await sees(ben, "that he was muted", '[data-notice="muted-microphone"]');
  await sees(ben, "that he is muted", '[data-self="true"][data-muted="true"]');
  await sees(ada, "that Ben is muted", `${benAtAda}[data-muted="true"]`);
  await ben.press("mic");
  await sees(ada, "that Ben is not muted", `${benAtAda}[data-muted="false"]`);

  // A password: asked for, refused, accepted.
  await openPeople(ada);
  await ada.press("protect");
  await type(ada, 'input[name="new-password"]', PASSWORD);
  await ada.press("set-password");
  await sees(ada, "that the room has a password", '[data-password="set"]');
  await cem.join();
  await sees(cem, "the question for the password", '[data-screen="password"]', 10);
  await type(cem, 'input[name="password"]', "Linde");
  await cem.press("answer");
  await sees(cem, "that it was wrong", '[data-problem="wrong"]');
  await cem.page.$eval('input[name="password"]', (field) => (field.value = ""));
  await type(cem, 'input[name="password"]', PASSWORD);
  await cem.press("answer");
  await allMeet([ada, ben, cem], 25, () => Date.now());
  await ada.press("remove-password");
  await sees(ada, "that the room has no password", '[data-password="none"]');

  // Removed, with the reason why the page is empty; with a lobby the way back leads past Ada.
  await ada.press("lobby");
  await sees(ada, "the lobby", '[data-action="lobby"][aria-checked="true"]');
  const cemId = await idOf(cem);
  await order(ada, cemId, "kick");
  await ada.press("confirm-kick");
  await sees(cem, "that he was removed", '[data-screen="left"] [data-reason="removed"]');
  const words = await cem.page.$eval('[data-reason="removed"]', (element) => element.textContent);
  if (!words.includes("Ada")) throw new Error(`Cem is not told who removed him: ${words}`);
  await listsExactlyTheOthers([ada, ben], 5);
  await cem.press("rejoin");
  await sees(cem, "the lobby", '[data-screen="lobby"]', 10);
  await sees(ada, "that somebody waits", "[data-visitor]");
  if (await has(ben, "[data-visitor], [data-notice=knock]")) throw new Error("Ben, who is no moderator, sees who waits");
  await click(ada, '[data-visitor] [data-action="deny"]');
  await sees(cem, "that he was not let in", '[data-screen="left"] [data-reason="denied"]');
  await cem.press("rejoin");
  await sees(ada, "that somebody waits again", "[data-visitor]", 10);
  await click(ada, '[data-visitor] [data-action="admit"]');
  await allMeet([ada, ben, cem], 25, () => Date.now());

  // To a breakout room, back by oneself, and back by the moderator.
  await openPeople(ada);
  await ada.press("rooms");
  await type(ada, 'input[name="new-room"]', "Group 1");
  await ada.press("add-room");
  const member = `[data-panel="rooms"] [data-member="${benId}"]`;
  const sendBen = async () => {
    await click(ada, member);
    await click(ada, '[data-menu="move"] [data-action="send-to"]');
    await sees(ben, "the name of the breakout room", '[data-place="breakout"] [data-notice="breakout"]', 10);
    await until("Ben is alone there", 5, async () => (await ben.others()).length === 0);
    await listsExactlyTheOthers([ada, cem], 5);
  };
  await sees(ada, "the list of rooms", member);
  await sendBen();
  await ben.press("back-to-main");
  await allMeet([ada, ben, cem], 25, () => Date.now());
  await sees(ada, "Ben in the main room", `[data-room^="tea@"] [data-member="${benId}"]`);
  await sendBen();

  // After a crash everybody is where they were, with hands, rights and rooms.
  await cem.press("hand");
  await server.end("SIGKILL");
  await server.run();
  await until("Ben is back in the breakout room", 20, () =>
    ben.page.evaluate(() => {
      const { connection, place } = window.__meeting.state;
      return connection.kind === "connected" && place.room !== null && place.isReached;
    }),
  );
  await allMeet([ada, cem], 25, () => Date.now());
  await sees(ada, "Cem's hand", `[data-participant="${await idOf(cem)}"][data-hand="1"]`);
  await until("Ada still moderates", 5, () => ada.page.evaluate(() => window.__meeting.state.self.isModerator));
  await sees(ada, "Ben in his breakout room", `[data-room]:not([data-room^="tea@"]) [data-member]`, 10);
  await ada.press("recall");
  await allMeet([ada, ben, cem], 25, () => Date.now());
};
