// The page: what the platform tells goes to the parts that show it, what somebody does goes back.

import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { Face } from "./face.js";
import { Microphone } from "./microphone.js";
import { Story } from "./story.js";
import { Timeline } from "./timeline.js";
import { Voice } from "./voice.js";

const DRAW_MS = 66;
const COUNT_MS = 250;
const IMAGE_HEADER_BYTES = 12;
const IMAGE_TYPES = ["image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"];
const MOST_IMAGES = 12;

const find = (id) => document.getElementById(id);
const voice = new Voice();
const face = new Face(find("face"), find("mouth"));
const timeline = new Timeline(find("timeline"));
const conversation = new Conversation(find("log"), find("events"));
let story = new Story();
let sessions = [];
let watched; // the session's id
let isChosen = false; // by a click; else the newest is watched
let hasUser = true;
let clock = { loop_s: 0, unix_s: 0 };
let unsentS = 0; // of the microphone that is open
let skewS = 0; // this machine's clock, less the platform's

const connection = new Connection({
  message: (message) => tells[message.type]?.(message),
  sound: (buffer) => {
    const { atS, lengthS } = voice.take(buffer);
    story.sound(unix(atS), lengthS);
  },
  changed: (isUp) => {
    find("link").textContent = isUp ? "connected to the platform" : "the platform does not answer; trying again";
    find("link").classList.toggle("up", isUp);
    if (!isUp) {
      watched = undefined;
      stopMicrophone();
    }
  },
});

const unix = (loopS) => loopS - clock.loop_s + clock.unix_s;
const now = () => Date.now() / 1000 - skewS;

// What the platform tells

const tells = {
  hello(message) {
    clock = message.clock;
    skewS = Date.now() / 1000 - clock.unix_s;
    hasUser = message.has_user;
    find("platform").textContent = message.platform;
    document.title = `${message.platform} playground`;
    find("why-not").textContent = message.why_not;
    find("why-not").hidden = hasUser;
    for (const part of document.querySelectorAll("[data-user]")) part.hidden = !hasUser;
    find("faults").replaceChildren(...message.faults.map(faultButton));
  },
  sessions(message) {
    sessions = message.sessions;
    showSessions();
    const newest = sessions.at(-1)?.id;
    if (newest !== undefined && (watched === undefined || (!isChosen && newest !== watched))) watch(newest);
  },
  faults({ on }) {
    for (const button of find("faults").children) {
      if (button.ariaPressed !== null) button.setAttribute("aria-pressed", String(on.includes(button.dataset.name)));
    }
  },
  history({ session, records }) {
    if (session === watched) for (const record of records) conversation.record(record);
  },
  record({ session, record, missed }) {
    if (session !== watched) return;
    story.missed = missed;
    story.record(record);
    conversation.record(record);
    if (record.kind === "image" && record.base64 !== undefined) showImage(record);
  },
  silence({ at_s: atS }) {
    voice.silence(atS);
    story.silence(unix(atS));
  },
  written(message) {
    if (message.session === watched) story.written(message);
  },
  error({ message }) {
    find("trouble").textContent = message;
  },
};

function watch(id) {
  watched = id;
  story = new Story();
  conversation.clear();
  voice.reset();
  stopMicrophone();
  find("images").replaceChildren();
  find("pictures").hidden = true;
  find("trouble").textContent = "";
  connection.send("watch", { session: id });
  showSessions();
}

function showSessions() {
  find("none").hidden = sessions.length > 0;
  const list = find("sessions");
  while (list.childElementCount > sessions.length) list.lastElementChild.remove();
  sessions.forEach((session, index) => {
    const item = list.children[index] ?? list.appendChild(sessionItem());
    const [button] = item.children;
    button.dataset.id = session.id;
    button.setAttribute("aria-pressed", String(session.id === watched));
    const [name, facts] = button.children;
    name.textContent = session.id.slice(0, 18);
    const turns = session.turns === undefined ? "" : `, ${session.turns} turn${session.turns === 1 ? "" : "s"}`;
    facts.textContent = (session.is_connected ? "connected" : session.is_over ? "over" : "not connected") + turns;
  });
  const session = sessions.find((each) => each.id === watched);
  const state = session === undefined ? "no session" : session.is_connected ? (session.state ?? "connected") : "not connected";
  if (find("state").textContent !== state) {
    find("state").textContent = state;
    face.tell(state);
  }
}

function sessionItem() {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.append(document.createElement("span"), document.createElement("small"));
  button.addEventListener("click", () => {
    isChosen = true;
    watch(button.dataset.id);
  });
  item.append(button);
  return item;
}

function faultButton({ name, label, meaning }) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.title = meaning;
  button.dataset.name = name;
  if (["slow", "reject", "refuse"].includes(name)) button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => connection.send("fault", { name }));
  return button;
}

function showImage({ base64, width, height }) {
  const message = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const type = IMAGE_TYPES[message[0] & 15] ?? "application/octet-stream";
  const url = URL.createObjectURL(new Blob([message.subarray(IMAGE_HEADER_BYTES)], { type }));
  const image = document.createElement("img");
  image.alt = `A picture of ${width} by ${height}`;
  image.onload = image.onerror = () => URL.revokeObjectURL(url);
  image.src = url;
  const item = document.createElement("li");
  item.append(image);
  find("images").prepend(item);
  find("pictures").hidden = false;
  if (find("images").childElementCount > MOST_IMAGES) find("images").lastElementChild.remove();
}

// What somebody does

const microphone = new Microphone({
  heard: (samples) => {
    if (connection.sendVoice(samples)) return;
    unsentS += samples.length / 16000;
    find("trouble").textContent = `the platform takes your voice too slowly: ${unsentS.toFixed(1)} s were left out`;
  },
  level: (level) => (find("heard").value = Math.min(1, level * 3)),
});

function stopMicrophone() {
  if (!microphone.isOn) return;
  microphone.stop();
  connection.send("microphone", { on: false });
  showPressed("microphone", false, "Microphone off");
}

function showPressed(id, isOn, words) {
  find(id).setAttribute("aria-pressed", String(isOn));
  find(id).textContent = words;
}

async function startSound() {
  await voice.start();
  showPressed("sound", true, "Sound on");
}

find("sound").addEventListener("click", async () => {
  if (voice.isWanted) {
    await voice.stop();
    showPressed("sound", false, "Sound off");
  } else {
    await startSound();
  }
});

find("microphone").addEventListener("click", async () => {
  if (microphone.isOn) {
    stopMicrophone();
    return;
  }
  find("trouble").textContent = "";
  unsentS = 0;
  try {
    await startSound();
    await microphone.start({ cancelEcho: find("echo").checked });
    connection.send("microphone", { on: true });
    showPressed("microphone", true, "Microphone on");
  } catch (error) {
    microphone.stop();
    find("trouble").textContent = `no microphone: ${error.message}`;
  }
});

find("interrupt").addEventListener("click", () => connection.send("interrupt"));

find("typing").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = find("words").value.trim();
  if (!words) return;
  find("trouble").textContent = "";
  connection.send("type", { text: words });
  find("words").value = "";
  if (!voice.isWanted) startSound();
});

// What is drawn

const inSeconds = (seconds) => (seconds === undefined ? "\u2013" : `${seconds.toFixed(2)} s`);

function turnCells(turn) {
  const isOver = turn.ended !== undefined;
  const unplayedS = isOver ? Math.max(0, turn.sentS - turn.playedS) : undefined;
  const droppedS = unplayedS === undefined ? undefined : unplayedS + (turn.unsentS ?? 0);
  return [
    turn.id.slice(0, 18) || "unnamed",
    inSeconds(turn.writtenS),
    inSeconds(turn.sentS),
    inSeconds(turn.playedS),
    inSeconds(droppedS !== undefined && droppedS < 0.005 ? 0 : droppedS),
    turn.late > 0 ? `${turn.late}\u00d7 ${inSeconds(turn.lateS)}` : "0",
    inSeconds(turn.staleS),
    isOver ? turn.reason : "",
  ];
}

function showTurns() {
  const rows = find("turns");
  const turns = story.turns.slice(-8).reverse();
  while (rows.rows.length > turns.length) rows.deleteRow(-1);
  turns.forEach((turn, index) => {
    const row = rows.rows[index] ?? rows.insertRow();
    turnCells(turn).forEach((words, column) => {
      const cell = row.cells[column] ?? row.insertCell();
      if (cell.textContent !== words) cell.textContent = words;
    });
  });
}

let drawnMs = 0;
let countedMs = 0;

function draw(timeMs) {
  face.draw(voice.level());
  if (timeMs - drawnMs > DRAW_MS) {
    drawnMs = timeMs;
    timeline.draw(story, now());
  }
  if (timeMs - countedMs > COUNT_MS) {
    countedMs = timeMs;
    story.count(now());
    story.forget(now());
    showTurns();
  }
  requestAnimationFrame(draw);
}

requestAnimationFrame(draw);
