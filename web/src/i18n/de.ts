import { type DeviceKind, type Messages, pluralOf, strong } from "./messages";

const plural = pluralOf("de");

const list = new Intl.ListFormat("de", { type: "conjunction" });

/** The device with its article, as object and at the start of a sentence. */
const object = (kind: DeviceKind): string =>
  kind === "both" ? "Kamera und Mikrofon" : kind === "camera" ? "die Kamera" : "das Mikrofon";

/** What may need permission: at the start of a sentence, and behind "Sie" or "Sie dürfen". */
const ruled = {
  microphone: { start: "Das Mikrofon braucht", use: "das Mikrofon einschalten" },
  camera: { start: "Die Kamera braucht", use: "die Kamera einschalten" },
  screen: { start: "Das Teilen des Bildschirms braucht", use: "den Bildschirm teilen" },
} as const;

const kept = "Der Chat bleibt erhalten.";

export const messages: Messages = {
  language: "de",
  languageName: "Deutsch",
  switchLanguage: "Sprache: Deutsch. Zu Englisch wechseln",
  switchTheme: "Hell oder dunkel",

  close: "Schließen",
  copied: "Kopiert",
  you: "Sie",
  guest: "Gast",
  startPage: "Zur Startseite",
  rejoin: "Wieder betreten",
  tryAgain: "Nochmals versuchen",

  start: {
    title: ["Treffen Sie sich.", "Einfach im Browser."],
    lead: "Name ausdenken, Link verschicken, losreden. Ohne Konto für Ihre Gäste.",
    room: "Name des Raums",
    enter: "Raum betreten",
    orSuggestion: "Oder ein Vorschlag:",
    otherSuggestion: "Anderer Vorschlag",
    recent: "Zuletzt besucht",
    forget: (room) => `${room} aus der Liste entfernen`,
    badCharacters: (characters) => `Diese Zeichen gehen im Namen nicht: ${characters}`,
    reserved: (room) => `„${room}“ gehört dem Server selbst. Ein anderer Name geht.`,
    foot: "Diese Seite lädt nichts von Dritten.",
    firstWords: ["linde", "ahorn", "birke", "hafen", "wiese", "kupfer", "herbst", "garten", "sommer", "kiesel"],
    secondWords: ["kaffee", "tisch", "laterne", "fenster", "brücke", "brief", "ofen", "kanne", "ecke", "glocke"],
  },

  prejoin: {
    asOthersSee: "So sehen die anderen Sie",
    cameraOff: "Ihre Kamera ist aus",
    cameraStarting: "Die Kamera startet …",
    yourName: "Ihr Name",
    nameKept: "Ihr Name wird nur in diesem Browser gespeichert.",
    join: "Jetzt teilnehmen",
    joining: "Verbindet …",
    withoutMicrophone: "Ohne Mikrofon",
    microphone: "Mikrofon",
    speaker: "Lautsprecher",
    camera: "Kamera",
    device: (kind, number) => `${kind} ${number}`,
    none: "Nichts gefunden",
    allFine: "Mikrofon und Kamera sind in Ordnung.",
    cameraOnlyOff: "Das Mikrofon ist in Ordnung, die Kamera ist aus.",
    microphoneOff: "Sie sind zuerst stumm. Das Mikrofon lässt sich jederzeit einschalten.",
    silent: "Vom Mikrofon kommt kein Ton. Sagen Sie etwas, oder wählen Sie ein anderes.",
  },

  devices: {
    askAgain: "Nochmals fragen",
    denied: (kind) => `Ihr Browser lässt ${object(kind)} nicht zu`,
    deniedSteps: (browser) => [
      {
        chrome: ["Klicken Sie in der Adresszeile links auf das ", strong("Regler-Symbol"), "."],
        firefox: ["Klicken Sie in der Adresszeile links auf die ", strong("durchgestrichene Kamera"), "."],
        safari: ["Öffnen Sie im Menü Safari die ", strong("Einstellungen für diese Website"), "."],
        other: ["Öffnen Sie die ", strong("Berechtigungen"), " dieser Seite, meist neben der Adresse."],
      }[browser],
      browser === "firefox"
        ? ["Heben Sie die ", strong("Sperre"), " für Kamera und Mikrofon auf."]
        : ["Schalten Sie ", strong("Kamera"), " und ", strong("Mikrofon"), " ein."],
      ["Kommen Sie zurück und drücken Sie ", strong("Nochmals fragen"), "."],
    ],
    inUse: (kind) => ({
      title: `Ein anderes Programm benutzt ${object(kind)}`,
      text: "Schließen Sie das andere Programm und fragen Sie dann nochmals.",
    }),
    missing: (kind) => ({
      title: { both: "Keine Kamera und kein Mikrofon gefunden", camera: "Keine Kamera gefunden", microphone: "Kein Mikrofon gefunden" }[kind],
      text: "Stecken Sie das Gerät an und fragen Sie dann nochmals. Sie können auch ohne teilnehmen.",
    }),
    failed: (kind) => ({
      title: { both: "Kamera und Mikrofon starten nicht", camera: "Die Kamera startet nicht", microphone: "Das Mikrofon startet nicht" }[kind],
      text: "Ziehen Sie das Gerät ab und stecken Sie es wieder an, oder wählen Sie ein anderes.",
    }),
    insecure: {
      title: "Kamera und Mikrofon brauchen eine sichere Adresse",
      text: "Der Browser erlaubt sie nur auf Seiten, die mit https beginnen. Das kann die Administration einrichten.",
    },
    joinAnyway: "Sie können ohne teilnehmen: Sie sehen und hören die anderen.",
  },

  toolbar: {
    name: "Besprechung steuern",
    microphone: "Mikrofon",
    camera: "Kamera",
    share: "Teilen",
    chat: "Chat",
    leave: "Verlassen",
    mute: "Mikrofon stummschalten",
    unmute: "Mikrofon einschalten",
    cameraOff: "Kamera ausschalten",
    cameraOn: "Kamera einschalten",
    shareStart: "Bildschirm teilen",
    shareStop: "Teilen beenden",
    chooseMicrophone: "Mikrofon und Lautsprecher wählen",
    chooseCamera: "Kamera wählen",
    unread: (n) => plural(n, { one: "# neue Nachricht", other: "# neue Nachrichten" }),
    hand: "Melden",
    raiseHand: "Hand heben",
    people: "Personen",
    atDoor: (n) => plural(n, { one: "# Person vor der Tür", other: "# Personen vor der Tür" }),
  },

  tile: {
    group: "Teilnehmende",
    own: "Ihr Bild",
    label: (p) =>
      [
        p.name,
        p.hand === null ? "" : `meldet sich als Nummer ${p.hand}`,
        p.muted ? "stumm" : "",
        p.camera ? "" : "Kamera aus",
        p.interrupted ? "verbindet neu" : p.weak ? "Verbindung schwach" : "",
      ]
        .filter((part) => part !== "")
        .join(", "),
    weak: "Verbindung schwach",
    reconnecting: "Verbindet neu …",
    presents: (name) => [strong(name), " zeigt den Bildschirm"],
    presentsLabel: (name) => `Bildschirm von ${name}`,
    more: (n) => [strong(`+ ${n}`), " weitere"],
    page: (p) => `Seite ${p.page} von ${p.pages}`,
    previousPage: "Vorige Seite",
    nextPage: "Nächste Seite",
  },

  wayIn: {
    passwordTitle: "Dieser Raum hat ein Passwort",
    passwordText: "Sie finden es in der Einladung.",
    password: "Passwort",
    wrong: "Das stimmt noch nicht. Groß- und Kleinschreibung zählt.",
    continue: "Weiter",
    nameTitle: "Dieser Raum möchte Ihren Namen wissen",
    nameText: "Er steht bei Ihrem Bild, damit alle wissen, wer spricht.",
    waitTitle: "Gleich geht es los",
    waitText: (room) => [
      "Die Moderation von ",
      strong(room),
      " weiß, dass Sie da sind. Sobald sie Sie einlässt, sind Sie automatisch im Raum.",
    ],
    hostTitle: "Der Raum öffnet in Kürze",
    hostText: (room) => [
      strong(room),
      " beginnt, sobald die Leitung da ist. Bleiben Sie einfach hier, die Tür öffnet sich von selbst.",
    ],
    waited: (minutes) =>
      minutes === 0 ? "gerade angekommen" : plural(minutes, { one: "wartet seit # Minute", other: "wartet seit # Minuten" }),
    havePassword: "Ich habe ein Passwort",
    stopWaiting: "Nicht mehr warten",
  },

  people: {
    title: "Personen",
    atDoor: "Vor der Tür",
    admit: "Einlassen",
    deny: "Ablehnen",
    admitName: (name) => `${name} einlassen`,
    denyName: (name) => `${name} ablehnen`,
    admitAll: "Alle einlassen",
    hands: "Gemeldet",
    inRoom: "Im Raum",
    moderator: "Moderation",
    actions: (name) => `Aktionen für ${name}`,
    mute: "Stummschalten",
    cameraOff: "Kamera ausschalten",
    stopShare: "Teilen beenden",
    permit: (source) =>
      ({ microphone: "Sprechen erlauben", camera: "Kamera erlauben", screen: "Teilen erlauben" })[source],
    makeModerator: "Zur Moderation machen",
    sendTo: (room) => `Schicken in: ${room}`,
    remove: "Aus dem Raum entfernen …",
    removeTitle: (name) => `${name} entfernen?`,
    removeText: "Auf der Seite der Person steht, wer sie entfernt hat. Sie kann es neu versuchen.",
    removeConfirm: "Entfernen",
    cancel: "Abbrechen",
    protect: "Raum schützen",
    rooms: "Gruppenräume",
  },

  protect: {
    title: "Raum schützen",
    lobby: "Lobby",
    lobbyText: "Wer kommt, wartet vor der Tür, bis die Moderation einlässt.",
    password: "Passwort",
    isLocked: "Der Raum hat ein Passwort. Wer es kennt, kommt auch an der Lobby vorbei.",
    isOpen: "Der Raum hat kein Passwort.",
    newPassword: "Neues Passwort",
    set: "Setzen",
    removePassword: "Passwort entfernen",
  },

  rooms: {
    title: "Gruppenräume",
    main: "Hauptraum",
    none: "Noch kein Gruppenraum.",
    nobody: "Noch niemand",
    enter: "Betreten",
    enterName: (room) => `${room} betreten`,
    here: "Hier sind Sie",
    close: (room) => `${room} schließen`,
    add: "Raum anlegen",
    defaultName: (n) => `Gruppe ${n}`,
    newName: "Name des neuen Raums",
    recall: "Alle zurückholen",
    move: (name) => `${name} in einen anderen Raum schicken`,
  },

  alone: {
    title: "Noch ist niemand da",
    text: "Schicken Sie den Link an alle, die Sie treffen möchten. Wer ihn öffnet, ist dabei.",
    copyLink: "Link kopieren",
  },

  chat: {
    title: "Chat",
    log: "Nachrichten an alle",
    empty: "Noch keine Nachrichten. Neue erscheinen hier, auch für später Gekommene.",
    write: "Nachricht schreiben",
    field: "Nachricht",
    send: "Senden",
    failed: "Nicht gesendet.",
    again: "Erneut senden",
    spoken: (p) => `${p.name}: ${p.text}`,
  },

  notices: {
    joined: (names) =>
      names.length === 1
        ? [strong(names[0] ?? ""), " ist jetzt dabei"]
        : names.length === 2
          ? [strong(list.format(names)), " sind jetzt dabei"]
          : [
              strong(names[0] ?? ""),
              plural(names.length - 1, { one: " und # weitere Person sind jetzt dabei", other: " und # weitere sind jetzt dabei" }),
            ],
    left: (name) => `${name} ist gegangen`,
    reconnecting: (seconds) => [
      strong("Verbindung unterbrochen."),
      plural(seconds, {
        one: ` Wir verbinden neu, noch # Sekunde. ${kept}`,
        other: ` Wir verbinden neu, noch # Sekunden. ${kept}`,
      }),
    ],
    reconnectingNow: [strong("Verbindung unterbrochen."), ` Wir verbinden gerade neu. ${kept}`],
    offline: [strong("Ihr Gerät hat kein Netz."), ` Sobald es wieder da ist, verbinden wir neu. ${kept}`],
    reconnected: [strong("Wieder verbunden."), " Es geht weiter."],
    mutedBy: (p) => [
      strong(p.by ?? "Die Moderation"),
      {
        microphone: " hat Sie stummgeschaltet.",
        camera: " hat Ihre Kamera ausgeschaltet.",
        screen: " hat das Teilen Ihres Bildschirms beendet.",
      }[p.source],
    ],
    microphoneLost: [strong("Ihr Mikrofon antwortet nicht mehr."), " Die anderen hören Sie nicht."],
    cameraLost: [strong("Ihre Kamera antwortet nicht mehr."), " Die anderen sehen Ihre Initialen."],
    screenEnded: "Sie teilen Ihren Bildschirm nicht mehr.",
    sourceRefused: (kind) => [
      strong({ microphone: "Die anderen hören Sie nicht.", camera: "Die anderen sehen Sie nicht.", screen: "Die anderen sehen Ihren Bildschirm nicht." }[kind]),
      " Der Raum hat es nicht angenommen. Schalten Sie es aus und wieder ein.",
    ],
    chatFailed: [strong("Eine Nachricht wurde nicht gesendet."), " Im Chat lässt sie sich erneut senden."],
    noBridge: [strong("Ton und Bild fehlen."), " Der Server hat gerade keine freie Medienbrücke. Er versucht es weiter."],
    hand: (name) => [strong(name), " meldet sich"],
    role: (isModerator) =>
      isModerator
        ? [strong("Sie moderieren jetzt."), " Was Sie tun können, steht bei den Personen."]
        : "Sie moderieren nicht mehr.",
    startMuted: (p) => [
      strong("Dieser Raum beginnt still."),
      p.microphone && p.camera
        ? " Mikrofon und Kamera sind aus, bis Sie sie einschalten."
        : p.camera
          ? " Ihre Kamera ist aus, bis Sie sie einschalten."
          : " Ihr Mikrofon ist aus, bis Sie es einschalten.",
    ],
    rule: (p) =>
      p.isNeeded
        ? [
            strong(`${ruled[p.source].start} eine Erlaubnis.`),
            p.source === "microphone" ? " Melden Sie sich, wenn Sie sprechen möchten." : " Die Moderation vergibt sie.",
          ]
        : `${ruled[p.source].start} keine Erlaubnis mehr.`,
    permission: (p) =>
      p.isGiven ? [strong(`Sie dürfen ${ruled[p.source].use}.`)] : `Sie dürfen nicht mehr ${ruled[p.source].use}.`,
    permissionNeeded: (source) => [
      strong(`Die Moderation muss erlauben, dass Sie ${ruled[source].use}.`),
      " Melden Sie sich, dann sieht sie es.",
    ],
    asked: (by) => [strong(by ?? "Die Moderation"), " bittet Sie, etwas zu sagen."],
    backInMain: "Sie sind wieder im Hauptraum.",
    roomClosed: [strong("Der Gruppenraum ist geschlossen."), " Sie sind wieder im Hauptraum."],
    inRoom: (name) => ["Sie sind in ", strong(name === "" ? "einem Gruppenraum" : name), "."],
    backToMain: "Zurück in den Hauptraum",
    knock: (names) =>
      names.length === 1
        ? [strong(names[0] ?? ""), " möchte teilnehmen"]
        : [
            strong(names[0] ?? ""),
            plural(names.length - 1, { one: " und # weitere Person möchten teilnehmen", other: " und # weitere möchten teilnehmen" }),
          ],
    refused: {
      kick: "Die Person wurde nicht entfernt. Der Server hat es abgelehnt.",
      mute: "Das wurde nicht ausgeschaltet. Der Server hat es abgelehnt.",
      permit: "Die Erlaubnis wurde nicht erteilt. Der Server hat es abgelehnt.",
      "make-moderator": "Die Moderation wurde nicht übertragen. Der Server hat es abgelehnt.",
      "set-password": "Das Passwort ist, wie es war. Der Server hat die Änderung abgelehnt.",
      "set-lobby": "Die Lobby ist, wie sie war. Der Server hat die Änderung abgelehnt.",
      admit: "Es wurde niemand eingelassen. Der Server hat es abgelehnt.",
      deny: "Die Person wartet weiter. Der Server hat das Ablehnen nicht angenommen.",
      "add-room": "Der Gruppenraum wurde nicht angelegt. Der Server hat es abgelehnt.",
      "remove-room": "Der Gruppenraum bleibt. Der Server hat das Schließen abgelehnt.",
      send: "Es wurde niemand geschickt. Der Server hat es abgelehnt.",
    },
    sharing: [strong("Sie teilen Ihren Bildschirm."), " Alle im Raum sehen ihn."],
    soundBlocked: [strong("Der Browser hält den Ton zurück,"), " bis Sie einen Knopf drücken."],
    playSound: "Ton abspielen",
    dismiss: "Ausblenden",
    shareStarted: (name) => `${name} zeigt den Bildschirm`,
  },

  joining: {
    title: (room) => `${room} wird betreten`,
    text: "Einen Augenblick.",
    cancel: "Abbrechen",
    noAnswer: (seconds) =>
      seconds === 0
        ? [strong("Der Server antwortet nicht."), " Wir versuchen es gerade wieder."]
        : [
            strong("Der Server antwortet nicht."),
            plural(seconds, {
              one: " Wir versuchen es in # Sekunde wieder.",
              other: " Wir versuchen es in # Sekunden wieder.",
            }),
          ],
    offline: [strong("Ihr Gerät hat kein Netz."), " Sobald es wieder da ist, betreten Sie den Raum."],
  },

  left: {
    title: "Bis zum nächsten Mal",
    text: (p) => [
      "Sie haben ",
      strong(p.room),
      p.minutes === null
        ? " verlassen."
        : plural(p.minutes, {
            one: " verlassen. Sie waren # Minute dabei.",
            other: " verlassen. Sie waren # Minuten dabei.",
          }),
    ],
    removedTitle: "Sie sind nicht mehr im Raum",
    removedText: (p) =>
      p.by === null
        ? ["Sie wurden aus ", strong(p.room), " entfernt."]
        : [strong(p.by), " hat Sie aus ", strong(p.room), " entfernt."],
    deniedTitle: "Sie wurden nicht eingelassen",
    deniedText: (room) => [
      "Die Moderation von ",
      strong(room),
      " hat abgelehnt. Wenn das ein Versehen war, klopfen Sie noch einmal an.",
    ],
    knockAgain: "Noch einmal anklopfen",
    endedTitle: "Das Treffen ist zu Ende",
    endedText: (p) => [
      strong(p.room),
      p.minutes === null
        ? " ist beendet."
        : plural(p.minutes, {
            one: " ist beendet. Sie waren # Minute dabei.",
            other: " ist beendet. Sie waren # Minuten dabei.",
          }),
    ],
    reason: (reason) => ["Grund: ", strong(reason)],
  },

  problems: {
    "insecure-page": {
      title: "Diese Adresse ist nicht sicher genug",
      text: "Browser erlauben Videogespräche nur auf Seiten, die mit https beginnen. Das kann die Administration einrichten.",
      cause: "Die Seite wurde von einem anderen Rechner über einfaches HTTP geöffnet. Die HTTPS-Adresse benutzen.",
    },
    "permission-denied": {
      title: "Ihr Browser lässt Kamera oder Mikrofon nicht zu",
      text: "Erlauben Sie sie neben der Adresse dieser Seite und versuchen Sie es nochmals.",
      cause: "Die Erlaubnis für diese Seite wurde abgelehnt, von Hand oder durch eine Richtlinie.",
    },
    "device-in-use": {
      title: "Ein anderes Programm benutzt Kamera oder Mikrofon",
      text: "Schließen Sie das andere Programm und versuchen Sie es nochmals.",
      cause: "Das Betriebssystem hat das Gerät einem anderen Programm gegeben.",
    },
    "device-missing": {
      title: "Keine Kamera und kein Mikrofon gefunden",
      text: "Stecken Sie ein Gerät an, oder nehmen Sie ohne teil.",
      cause: "Der Browser kennt kein solches Gerät.",
    },
    "capture-failed": {
      title: "Kamera oder Mikrofon starten nicht",
      text: "Ziehen Sie das Gerät ab, stecken Sie es wieder an und versuchen Sie es nochmals.",
      cause: "Der Browser konnte das Gerät nicht öffnen.",
    },
    "browser-unsupported": {
      title: "Dieser Browser kann keine Videogespräche",
      text: "Aktualisieren Sie ihn, oder nehmen Sie ein aktuelles Firefox, Chrome, Edge oder Safari.",
      cause: "WebRTC fehlt oder ist ausgeschaltet.",
    },
    "configuration-missing": {
      title: "Der Raum lässt sich gerade nicht öffnen",
      text: "Ihr Gerät ist in Ordnung. Der Server sagt nicht, wie er zu erreichen ist; das muss die Administration ansehen.",
      cause: "config.js ließ sich nicht laden oder lesen.",
    },
    unreachable: {
      title: "Der Raum lässt sich gerade nicht öffnen",
      text: "Wenn andere Seiten gehen, ist Ihr Gerät in Ordnung. Der Server antwortet nicht; versuchen Sie es gleich nochmals.",
      cause: "Der Server läuft nicht, oder ein vorgeschalteter Proxy lässt /xmpp-websocket nicht durch.",
    },
    "login-refused": {
      title: "Der Server lässt Sie nicht ein",
      text: "Er verlangt eine Anmeldung, die diese Seite noch nicht hat. Fragen Sie die Leitung nach einem anderen Weg.",
      cause: "Der Haupt-Host bietet keine anonyme Anmeldung an.",
    },
    protocol: {
      title: "Zwischen Seite und Server stimmt etwas nicht",
      text: "Ihr Gerät ist in Ordnung. Versuchen Sie es nochmals; wenn es bleibt, sagen Sie es der Administration.",
      cause: "Eine Nachricht des Servers war unverständlich. Seite und Server haben vielleicht verschiedene Versionen: neu laden.",
    },
    "room-refused": {
      title: "Der Raum lässt sich nicht öffnen",
      text: "Der Server hat es abgelehnt. Versuchen Sie es gleich nochmals.",
      cause: "Die Konferenzanfrage wurde abgelehnt.",
    },
    "room-name-invalid": {
      title: "Dieser Raumname geht nicht",
      text: "Nehmen Sie einen Namen aus Buchstaben, Ziffern und Bindestrichen.",
      cause: "Der Name ist kein gültiger XMPP-Node oder ist reserviert.",
    },
    "password-required": {
      title: "Dieser Raum braucht ein Passwort",
      text: "Es steht in der Einladung.",
      cause: "Der Raum ist durch ein Passwort geschützt.",
    },
    "members-only": {
      title: "Dieser Raum ist nur für Mitglieder",
      text: "Bitten Sie die Leitung, Sie einzulassen.",
      cause: "Der Raum ist nur für Mitglieder oder hat eine Lobby.",
    },
    "name-required": {
      title: "Dieser Raum möchte Ihren Namen wissen",
      text: "Gehen Sie zurück und geben Sie Ihren Namen ein.",
      cause: "Der Raum verlangt einen Anzeigenamen.",
    },
    banned: {
      title: "Sie können diesen Raum nicht betreten",
      text: "Die Leitung hat ihn für Sie geschlossen. Nur sie kann das ändern.",
      cause: "Die Zugehörigkeit im Raum ist outcast.",
    },
    "room-full": {
      title: "Der Raum ist voll",
      text: "Versuchen Sie es wieder, wenn jemand gegangen ist.",
      cause: "Die Höchstzahl der Personen im Raum ist erreicht.",
    },
    "nick-taken": {
      title: "Sie sind schon in diesem Raum",
      text: "Vielleicht in einem anderen Tab. Schließen Sie ihn und versuchen Sie es nochmals.",
      cause: "Der Nick gehört gerade einer anderen Sitzung.",
    },
    "not-live": {
      title: "Das Treffen hat noch nicht begonnen",
      text: "Versuchen Sie es wieder, wenn die Leitung da ist.",
      cause: "Der Raum lebt nicht und darf so nicht geöffnet werden.",
    },
    "media-failed": {
      title: "Ton und Bild kommen nicht durch",
      text: "Oft hilft ein anderes Netz, zum Beispiel das des Handys. Versuchen Sie es dann nochmals.",
      cause: "ICE oder DTLS ist gescheitert. Ist UDP-Port 10000 erreichbar?",
    },
    "limit-reached": {
      title: "Der Server ist voll",
      text: "Versuchen Sie es in ein paar Minuten wieder.",
      cause: "Eine Grenze des Servers ist erreicht; sein Log nennt sie.",
    },
    rejected: {
      title: "Der Server hat das nicht angenommen",
      text: "Versuchen Sie es nochmals; wenn es bleibt, sagen Sie es der Administration.",
      cause: "Der Focus hat die Mediensitzung abgelehnt.",
    },
  },
  error: {
    forAdministrator: "Für die Administration",
    what: "Was",
    when: "Wann",
    where: "Wo",
    browser: "Browser",
    cause: "Vermutung",
    copyAll: "Als Text kopieren",
  },
};
