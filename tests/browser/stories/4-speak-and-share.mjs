import { arrive, startServer, allMeet } from "../meeting.mjs";
import { until } from "../person.mjs";

export const title = "muting, chat, screen share and leaving are seen by the others";

export const story = async (cleanUp) => {
  const server = await startServer(cleanUp);
  const [ada, ben] = await arrive(cleanUp, server, "tea", ["chromium", "firefox"]);
  await ada.join();
  await ben.join();
  await allMeet([ada, ben], 15);

  const seen = (person, selector) => person.page.$(selector).then((element) => element !== null);
  await ada.press("mic");
  await until("Ben sees that Ada is muted", 3, () => seen(ben, '[data-participant]:not([data-self="true"])[data-muted="true"]'));
  await ada.press("mic");
  await until("Ben sees that Ada is not muted", 3, () => seen(ben, '[data-participant]:not([data-self="true"])[data-muted="false"]'));
  await ada.press("camera");
  await until("Ben sees no camera of Ada", 3, () => seen(ben, '[data-participant]:not([data-self="true"])[data-camera="off"]'));
  await ada.press("camera");

  await ada.press("chat");
  await (await ada.page.waitForSelector('[data-panel="chat"] textarea')).click();
  await ada.page.keyboard.type("good <b>tea</b> & more");
  await ada.page.keyboard.press("Enter");
  await ben.press("chat");
  await until("Ben reads Ada's message as she wrote it", 3, () =>
    ben.page.evaluate(() =>
      [...document.querySelectorAll("[data-chat]")].some((message) => message.textContent.includes("good <b>tea</b> & more")),
    ),
  );

  await ada.press("leave");
  await until("Ada is on the page for those who left", 3, () => ada.isOn("left"));
  await until("Ben is alone", 3, async () => (await ben.others()).length === 0);
};
