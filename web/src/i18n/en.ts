import { type DeviceKind, type Messages, pluralOf, strong } from "./messages";

const plural = pluralOf("en");

const list = new Intl.ListFormat("en", { type: "conjunction" });

const device = (kind: DeviceKind): string =>
  kind === "both" ? "camera and microphone" : kind === "camera" ? "camera" : "microphone";

/** What may need permission: at the start of a sentence, and behind "You may". */
const ruled = {
  microphone: { start: "Microphones need", use: "switch your microphone on" },
  camera: { start: "Cameras need", use: "switch your camera on" },
  screen: { start: "Screen sharing needs", use: "share your screen" },
} as const;

const kept = "Chat is kept.";

export const messages: Messages = {
  language: "en",
  languageName: "English",
  switchLanguage: "Language: English. Switch to German",
  switchTheme: "Light or dark",

  close: "Close",
  copied: "Copied",
  you: "You",
  guest: "Guest",
  startPage: "Start page",
  rejoin: "Rejoin",
  tryAgain: "Try again",

  start: {
    title: ["Come together.", "Right in the browser."],
    lead: "Think of a name, send the link, start talking. Guests need no account.",
    room: "Room name",
    enter: "Enter room",
    orSuggestion: "Or a suggestion:",
    otherSuggestion: "Another suggestion",
    recent: "Recent rooms",
    forget: (room) => `Remove ${room} from the list`,
    badCharacters: (characters) => `A room name has none of these characters: ${characters}`,
    reserved: (room) => `“${room}” belongs to the server itself. Another name works.`,
    foot: "This page loads nothing from third parties.",
    firstWords: ["linden", "maple", "amber", "harbour", "meadow", "river", "copper", "autumn", "cedar", "garden"],
    secondWords: ["coffee", "table", "lantern", "window", "bakery", "bridge", "letter", "orchard", "teapot", "corner"],
  },

  prejoin: {
    asOthersSee: "This is how others see you",
    cameraOff: "Your camera is off",
    cameraStarting: "Starting the camera …",
    yourName: "Your name",
    nameKept: "Your name is kept in this browser only.",
    join: "Join now",
    joining: "Joining …",
    withoutMicrophone: "Without microphone",
    microphone: "Microphone",
    speaker: "Speaker",
    camera: "Camera",
    device: (kind, number) => `${kind} ${number}`,
    none: "None found",
    allFine: "Microphone and camera are fine.",
    cameraOnlyOff: "The microphone is fine, the camera is off.",
    microphoneOff: "You will be muted at first. You can switch the microphone on at any time.",
    silent: "Nothing comes from the microphone. Say something, or choose another one.",
  },

  devices: {
    askAgain: "Ask again",
    denied: (kind) => `Your browser blocks the ${device(kind)}`,
    deniedSteps: (browser) => [
      {
        chrome: ["Click the ", strong("sliders icon"), " at the left end of the address bar."],
        firefox: ["Click the ", strong("crossed-out camera"), " at the left end of the address bar."],
        safari: ["Open ", strong("Settings for this website"), " in the Safari menu."],
        other: ["Open the ", strong("permissions"), " of this page, usually beside the address."],
      }[browser],
      browser === "firefox"
        ? ["Remove the ", strong("block"), " for camera and microphone."]
        : ["Switch on ", strong("Camera"), " and ", strong("Microphone"), "."],
      ["Come back here and press ", strong("Ask again"), "."],
    ],
    inUse: (kind) => ({
      title: `Another program uses the ${device(kind)}`,
      text: "Close the other program, then ask again.",
    }),
    missing: (kind) => ({
      title: `No ${device(kind)} found`,
      text: "Plug it in or switch it on, then ask again. You can also join without it.",
    }),
    failed: (kind) => ({
      title: `The ${device(kind)} did not start`,
      text: "Unplug it and plug it in again, or choose another one.",
    }),
    insecure: {
      title: "Camera and microphone need a secure address",
      text: "The browser allows them only on pages that begin with https. The administrator can set that up.",
    },
    joinAnyway: "You can join without it: you see and hear the others.",
  },

  toolbar: {
    name: "Meeting controls",
    microphone: "Mic",
    camera: "Camera",
    share: "Share",
    chat: "Chat",
    leave: "Leave",
    mute: "Mute microphone",
    unmute: "Unmute microphone",
    cameraOff: "Turn camera off",
    cameraOn: "Turn camera on",
    shareStart: "Share screen",
    shareStop: "Stop sharing",
    chooseMicrophone: "Choose microphone and speaker",
    chooseCamera: "Choose camera",
    unread: (n) => plural(n, { one: "# new message", other: "# new messages" }),
    hand: "Hand",
    raiseHand: "Raise hand",
    people: "People",
    atDoor: (n) => plural(n, { one: "# person at the door", other: "# people at the door" }),
  },

  tile: {
    group: "Participants",
    own: "Your picture",
    label: (p) =>
      [
        p.name,
        p.hand === null ? "" : `hand raised, number ${p.hand}`,
        p.muted ? "muted" : "",
        p.camera ? "" : "camera off",
        p.interrupted ? "reconnecting" : p.weak ? "weak connection" : "",
      ]
        .filter((part) => part !== "")
        .join(", "),
    weak: "Weak connection",
    reconnecting: "Reconnecting …",
    presents: (name) => [strong(name), " is presenting"],
    presentsLabel: (name) => `Screen of ${name}`,
    more: (n) => [strong(`+ ${n}`), " more"],
    page: (p) => `Page ${p.page} of ${p.pages}`,
    previousPage: "Previous page",
    nextPage: "Next page",
  },

  wayIn: {
    passwordTitle: "This room has a password",
    passwordText: "You will find it in your invitation.",
    password: "Password",
    wrong: "Not quite. Upper and lower case matter.",
    continue: "Continue",
    nameTitle: "This room wants to know your name",
    nameText: "It stands beside your picture, so that everyone knows who speaks.",
    waitTitle: "Almost there",
    waitText: (room) => [
      "The moderators of ",
      strong(room),
      " know that you are here. As soon as they let you in, you join automatically.",
    ],
    hostTitle: "The room opens shortly",
    hostText: (room) => [
      strong(room),
      " starts when the host arrives. Just stay here, the door opens by itself.",
    ],
    waited: (minutes) =>
      minutes === 0 ? "arrived just now" : plural(minutes, { one: "waiting for # minute", other: "waiting for # minutes" }),
    havePassword: "I have a password",
    stopWaiting: "Stop waiting",
  },

  people: {
    title: "People",
    atDoor: "At the door",
    admit: "Admit",
    deny: "Decline",
    admitName: (name) => `Admit ${name}`,
    denyName: (name) => `Decline ${name}`,
    admitAll: "Admit all",
    hands: "Raised hands",
    inRoom: "In the room",
    moderator: "Moderator",
    actions: (name) => `Actions for ${name}`,
    mute: "Mute",
    cameraOff: "Turn camera off",
    stopShare: "Stop sharing",
    permit: (source) =>
      ({ microphone: "Allow to speak", camera: "Allow camera", screen: "Allow to share" })[source],
    makeModerator: "Make moderator",
    sendTo: (room) => `Send to: ${room}`,
    remove: "Remove from room …",
    removeTitle: (name) => `Remove ${name}?`,
    removeText: "The person will see who removed them, and can try again.",
    removeConfirm: "Remove",
    cancel: "Cancel",
    protect: "Protect room",
    rooms: "Breakout rooms",
  },

  protect: {
    title: "Protect the room",
    lobby: "Lobby",
    lobbyText: "Whoever comes waits at the door until a moderator lets them in.",
    password: "Password",
    isLocked: "The room has a password. Who knows it also passes the lobby.",
    isOpen: "The room has no password.",
    newPassword: "New password",
    set: "Set",
    removePassword: "Remove password",
  },

  rooms: {
    title: "Breakout rooms",
    main: "Main room",
    none: "No breakout room yet.",
    nobody: "Nobody yet",
    enter: "Join",
    enterName: (room) => `Join ${room}`,
    here: "You are here",
    close: (room) => `Close ${room}`,
    add: "Add room",
    defaultName: (n) => `Group ${n}`,
    newName: "Name of the new room",
    recall: "Bring all back",
    move: (name) => `Send ${name} to another room`,
  },

  alone: {
    title: "Nobody else is here yet",
    text: "Send the link to those you want to meet. Who opens it, joins.",
    copyLink: "Copy link",
  },

  chat: {
    title: "Chat",
    log: "Messages to everyone",
    empty: "No messages yet. They appear here, for latecomers too.",
    write: "Write a message",
    field: "Message",
    send: "Send",
    failed: "Not sent.",
    again: "Send again",
    spoken: (p) => `${p.name}: ${p.text}`,
  },

  notices: {
    joined: (names) =>
      names.length <= 2
        ? [strong(list.format(names)), " joined"]
        : [
            strong(names[0] ?? ""),
            plural(names.length - 1, { one: " and # other joined", other: " and # others joined" }),
          ],
    left: (name) => `${name} left`,
    reconnecting: (seconds) => [
      strong("Connection lost."),
      plural(seconds, { one: ` Reconnecting in # second. ${kept}`, other: ` Reconnecting in # seconds. ${kept}` }),
    ],
    reconnectingNow: [strong("Connection lost."), ` Reconnecting now. ${kept}`],
    offline: [strong("Your device is offline."), ` As soon as it has a network again, we reconnect. ${kept}`],
    reconnected: [strong("Connected again."), " Everything goes on."],
    mutedBy: (p) => [
      strong(p.by ?? "The meeting"),
      { microphone: " muted you.", camera: " switched your camera off.", screen: " stopped your screen share." }[p.source],
    ],
    microphoneLost: [strong("Your microphone no longer answers."), " Others can’t hear you."],
    cameraLost: [strong("Your camera no longer answers."), " Others see your initials."],
    screenEnded: "You no longer share your screen.",
    sourceRefused: (kind) => [
      strong({ microphone: "Others can’t hear you.", camera: "Others can’t see you.", screen: "Others can’t see your screen." }[kind]),
      " The room did not accept it. Switch it off and on again.",
    ],
    chatFailed: [strong("A message was not sent."), " Open the chat to send it again."],
    noBridge: [strong("Sound and picture are missing."), " The server has no free media bridge. It keeps trying."],
    hand: (name) => [strong(name), " raised a hand"],
    role: (isModerator) =>
      isModerator
        ? [strong("You are a moderator now."), " What you can do stands beside the people."]
        : "You are no longer a moderator.",
    startMuted: (p) => [
      strong("This room starts quietly."),
      p.microphone && p.camera
        ? " Microphone and camera are off until you switch them on."
        : p.camera
          ? " Your camera is off until you switch it on."
          : " Your microphone is off until you switch it on.",
    ],
    rule: (p) =>
      p.isNeeded
        ? [
            strong(`${ruled[p.source].start} permission now.`),
            p.source === "microphone" ? " Raise your hand when you want to speak." : " A moderator can give it.",
          ]
        : `${ruled[p.source].start} no permission any more.`,
    permission: (p) =>
      p.isGiven ? [strong(`You may ${ruled[p.source].use}.`)] : `You may no longer ${ruled[p.source].use}.`,
    permissionNeeded: (source) => [
      strong(`A moderator has to allow you to ${ruled[source].use}.`),
      " Raise your hand, and they see it.",
    ],
    asked: (by) => [strong(by ?? "A moderator"), " asks you to speak."],
    backInMain: "You are back in the main room.",
    roomClosed: [strong("The breakout room was closed."), " You are back in the main room."],
    inRoom: (name) => ["You are in ", strong(name === "" ? "a breakout room" : name), "."],
    backToMain: "Back to main room",
    knock: (names) =>
      names.length === 1
        ? [strong(names[0] ?? ""), " wants to join"]
        : [
            strong(names[0] ?? ""),
            plural(names.length - 1, { one: " and # other want to join", other: " and # others want to join" }),
          ],
    refused: {
      kick: "The person was not removed. The server refused it.",
      mute: "That was not switched off. The server refused it.",
      permit: "Permission was not given. The server refused it.",
      "make-moderator": "The person did not become a moderator. The server refused it.",
      "set-password": "The password is as it was. The server refused the change.",
      "set-lobby": "The lobby is as it was. The server refused the change.",
      admit: "Nobody was admitted. The server refused it.",
      deny: "The person still waits. The server refused the order.",
      "add-room": "No breakout room was added. The server refused it.",
      "remove-room": "The breakout room stays. The server refused to close it.",
      send: "Nobody was sent. The server refused it.",
    },
    sharing: [strong("You share your screen."), " Everyone in the room sees it."],
    soundBlocked: [strong("The browser holds the sound back"), " until you press a button."],
    playSound: "Play sound",
    dismiss: "Dismiss",
    shareStarted: (name) => `${name} shares the screen`,
  },

  joining: {
    title: (room) => `Entering ${room}`,
    text: "One moment.",
    cancel: "Cancel",
    noAnswer: (seconds) =>
      seconds === 0
        ? [strong("The server does not answer."), " We are trying again."]
        : [
            strong("The server does not answer."),
            plural(seconds, { one: " We try again in # second.", other: " We try again in # seconds." }),
          ],
    offline: [strong("Your device is offline."), " As soon as it has a network again, you join."],
  },

  left: {
    title: "See you next time",
    text: (p) => [
      "You left ",
      strong(p.room),
      p.minutes === null ? "." : plural(p.minutes, { one: " after # minute.", other: " after # minutes." }),
    ],
    removedTitle: "You are no longer in the room",
    removedText: (p) =>
      p.by === null
        ? ["You were removed from ", strong(p.room), "."]
        : [strong(p.by), " removed you from ", strong(p.room), "."],
    deniedTitle: "You were not let in",
    deniedText: (room) => ["The moderators of ", strong(room), " declined. If that was a mistake, knock again."],
    knockAgain: "Knock again",
    endedTitle: "The meeting has ended",
    endedText: (p) => [
      strong(p.room),
      p.minutes === null
        ? " is over."
        : plural(p.minutes, {
            one: " is over. You were in it for # minute.",
            other: " is over. You were in it for # minutes.",
          }),
    ],
    reason: (reason) => ["Reason: ", strong(reason)],
  },

  problems: {
    "insecure-page": {
      title: "This address is not secure enough",
      text: "Browsers allow video calls only on pages that begin with https. The administrator can set that up.",
      cause: "The page was opened over plain HTTP from another machine. Use the HTTPS address.",
    },
    "permission-denied": {
      title: "Your browser blocks camera or microphone",
      text: "Allow them beside the address of this page, then try again.",
      cause: "The user or a policy refused the permission for this origin.",
    },
    "device-in-use": {
      title: "Another program uses the camera or microphone",
      text: "Close the other program, then try again.",
      cause: "The operating system gave the device to another program.",
    },
    "device-missing": {
      title: "No camera or microphone found",
      text: "Plug one in, or join without it.",
      cause: "The browser lists no such device.",
    },
    "capture-failed": {
      title: "Camera or microphone did not start",
      text: "Unplug it and plug it in again, then try again.",
      cause: "The browser could not open the device.",
    },
    "browser-unsupported": {
      title: "This browser can’t hold video calls",
      text: "Update it, or use a current Firefox, Chrome, Edge or Safari.",
      cause: "The browser lacks WebRTC, or it is switched off.",
    },
    "configuration-missing": {
      title: "The room can’t be opened right now",
      text: "Your device is fine. The server did not say how to reach it, so the administrator has to look.",
      cause: "config.js could not be loaded or read.",
    },
    unreachable: {
      title: "The room can’t be opened right now",
      text: "Your device is fine if other pages open. The server does not answer; try again in a moment.",
      cause: "The server is down, or a proxy in front does not pass /xmpp-websocket.",
    },
    "login-refused": {
      title: "The server did not let you in",
      text: "This server wants a sign-in that this page does not offer yet. Ask the host for another way.",
      cause: "The main host offers no anonymous log-in.",
    },
    protocol: {
      title: "Something went wrong between page and server",
      text: "Your device is fine. Try again; if it stays, tell the administrator.",
      cause: "A message of the server was not understood. Page and server may be of different versions: reload.",
    },
    "room-refused": {
      title: "The room can’t be opened",
      text: "The server refused to open it. Try again in a moment.",
      cause: "The conference request was refused.",
    },
    "room-name-invalid": {
      title: "This room name does not work",
      text: "Choose a name of letters, digits and hyphens.",
      cause: "The name is not a valid XMPP node, or is reserved.",
    },
    "password-required": {
      title: "This room needs a password",
      text: "You will find it in your invitation.",
      cause: "The room is password-protected.",
    },
    "members-only": {
      title: "This room is for members only",
      text: "Ask the host to let you in.",
      cause: "The room is members-only, or has a lobby.",
    },
    "name-required": {
      title: "This room wants to know your name",
      text: "Go back and type your name.",
      cause: "The room requires a display name.",
    },
    banned: {
      title: "You can’t enter this room",
      text: "A host has closed it for you. Only a host can change that.",
      cause: "The affiliation in the room is outcast.",
    },
    "room-full": {
      title: "The room is full",
      text: "Try again when somebody has left.",
      cause: "The room’s limit of occupants is reached.",
    },
    "nick-taken": {
      title: "You are already in this room",
      text: "Perhaps in another tab. Close it, then try again.",
      cause: "The nick is in use by another session.",
    },
    "not-live": {
      title: "The meeting has not started yet",
      text: "Try again when the host is there.",
      cause: "The room is not live and may not be opened by this user.",
    },
    "media-failed": {
      title: "Sound and picture do not get through",
      text: "Another network often helps, for example the phone’s. Then try again.",
      cause: "ICE or DTLS failed. Check that UDP port 10000 is reachable.",
    },
    "limit-reached": {
      title: "The server is full",
      text: "Try again in a few minutes.",
      cause: "A limit of the server is reached; its log names the limit.",
    },
    rejected: {
      title: "The server did not accept that",
      text: "Try again; if it stays, tell the administrator.",
      cause: "The focus rejected the media session.",
    },
  },
  error: {
    forAdministrator: "For the administrator",
    what: "What",
    when: "When",
    where: "Where",
    browser: "Browser",
    cause: "Likely cause",
    copyAll: "Copy as text",
  },
};
