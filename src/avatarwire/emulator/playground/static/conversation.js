// Who said what, as messages tell it. Words of a session are text, never markup.

const MOST_LINES = 300;
const NEAR_PX = 40;

export class Conversation {
  constructor(log, events) {
    this.log = log;
    this.events = events;
    this.clear();
  }

  clear() {
    this.log.replaceChildren();
    this.events.replaceChildren();
    this.answers = new Map();
  }

  record(record) {
    if (record.kind === "life") this.life(record);
    if (record.kind !== "text") return;
    this.event(record);
    const { event, data, responseId } = record.json ?? {};
    const words = typeof data?.text === "string" ? data.text : "";
    const isUsers = record.dir === "send";
    if (event === "input.text" && words) this.add("user", words);
    else if (event === "input.asr.final" && !isUsers && words) this.add("user", words);
    else if (event === "response.chunk" || event === "system.prompt.chunk") this.answer(responseId, words);
    else if (event === "system.prompt") this.add("avatar", words);
    else if (event === "response.audio.start") this.add("note", "the avatar speaks");
    else if (event === "control.interrupt") this.add("note", isUsers ? "interrupted by the user" : "interrupted by the agent");
    else if (event === "error") this.add("note", `error: ${data?.message ?? ""}`);
    else if (event === "response.state" && data?.state === "REJECTED") this.add("note", `rejected: ${data.reason ?? ""}`);
  }

  life({ change, code }) {
    if (change === "ended") this.add("note", `the connection has ended (${code})`);
    else if (change === "connected") this.add("note", "connected");
  }

  answer(responseId, words) {
    const line = this.answers.get(responseId);
    if (line?.isConnected) {
      line.textContent += words;
      this.follow();
    } else {
      this.answers.set(responseId, this.add("avatar", words));
    }
  }

  add(who, words) {
    const line = document.createElement("p");
    line.className = who;
    line.textContent = words;
    const isAtEnd = this.isAtEnd();
    this.log.append(line);
    if (this.log.childElementCount > MOST_LINES) this.log.firstElementChild.remove();
    if (isAtEnd) this.log.scrollTop = this.log.scrollHeight;
    return line;
  }

  isAtEnd() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_PX;
  }

  follow() {
    if (this.isAtEnd()) this.log.scrollTop = this.log.scrollHeight;
  }

  event({ ts, dir, name, json }) {
    const line = document.createElement("li");
    const time = new Date(ts * 1000).toISOString().slice(11, 23);
    line.textContent = `${time} ${dir === "send" ? "\u2190" : "\u2192"} ${name ?? "text"} ${JSON.stringify(json?.data ?? json?.pld ?? {}).slice(0, 200)}`;
    this.events.prepend(line);
    if (this.events.childElementCount > MOST_LINES) this.events.lastElementChild.remove();
  }
}
