// What happened in the session that is watched: turns, and what is drawn on the line of time.
// Times are the platform's, in seconds since 1970.

export const KEPT_S = 60;
const MOST_TURNS = 100;
// Sound and records of one moment are told by two ways; so much they may differ.
const SAME_S = 0.02;
// Where a platform has no turns, sound after such a silence begins another.
const NEW_VOICE_S = 0.5;

export class Story {
  constructor() {
    this.turns = [];
    this.played = []; // { from, to } of sound that is heard, each piece
    this.sent = []; // { at, lengthS, isStale }
    this.user = []; // { from, to }
    this.gaps = []; // { from, to }; to is undefined while there is no connection
    this.states = []; // { at, state }
    this.missed = 0;
    this.hasTurns = true;
  }

  record(record) {
    switch (record.kind) {
      case "snapshot":
        this.hasTurns = record.platform !== "akool";
        break;
      case "turn":
        this.turn(record);
        break;
      case "life":
        this.life(record);
        break;
      case "audio":
        if (record.rate !== undefined) this.audio(record);
        break;
    }
  }

  sound(from, lengthS) {
    const last = this.played.at(-1);
    if (!this.hasTurns && !(from - last?.to < NEW_VOICE_S)) {
      this.open({ turn: `voice ${this.turns.length + 1}`, ts: from - SAME_S });
    }
    const follows = last !== undefined && Math.abs(from - last.to) < 0.001;
    if (follows && last.to - last.from < 1) last.to = from + lengthS;
    else this.played.push({ from, to: from + lengthS });
  }

  silence(at) {
    this.played = this.played.filter((each) => each.from < at);
    for (const each of this.played) each.to = Math.min(each.to, at);
  }

  life({ ts, change, state, code }) {
    if (change === "state") this.states.push({ at: ts, state });
    const gap = this.gaps.at(-1);
    if (change === "ended") this.gaps.push({ from: ts, code });
    else if (change === "connected" && gap !== undefined) gap.to ??= ts;
  }

  audio({ ts, dir, n, rate, level }) {
    const lengthS = n / rate;
    if (dir === "send") {
      if (level > 0.01) this.user.push({ from: ts - lengthS, to: ts });
      return;
    }
    const turn = this.turnAt(ts);
    const isStale = turn?.ended !== undefined && ts > turn.ended && turn.reason !== "completed";
    this.sent.push({ at: ts, lengthS, isStale });
    if (turn === undefined) return;
    if (isStale) turn.staleS += lengthS;
    else turn.sentS += lengthS;
  }

  turn(record) {
    const turn = this.turns.findLast((each) => each.id === record.turn && each.ended === undefined);
    if (record.change === "opened") this.open(record);
    else if (record.change === "ended" && turn !== undefined) {
      turn.ended = record.ts;
      turn.reason = record.reason;
      turn.late = record.underruns;
      turn.lateS = record.underrun_ms / 1000;
    }
  }

  open({ turn, ts }) {
    this.turns.push({ id: turn, opened: ts, sentS: 0, staleS: 0, playedS: 0, late: 0, lateS: 0 });
    if (this.turns.length > MOST_TURNS) this.turns.shift();
  }

  // What the agent itself says of a turn, when it is run beside the platform.
  written({ turn: id, written_ms, dropped_ms }) {
    const turn = this.hasTurns ? this.turns.findLast((each) => each.id === id) : this.turns.at(-1);
    if (turn !== undefined) Object.assign(turn, { writtenS: written_ms / 1000, unsentS: dropped_ms / 1000 });
  }

  turnAt(at) {
    return this.turns.findLast((each) => each.opened <= at + SAME_S);
  }

  // Sound that was played, by turn; what is no longer shown is kept as a sum.
  count(now) {
    for (const turn of this.turns) turn.playedS = turn.keptS ?? 0;
    for (const { from, to } of this.played) {
      const turn = this.turnAt(from);
      if (turn !== undefined) turn.playedS += Math.max(0, Math.min(to, now) - from);
    }
  }

  forget(now) {
    const oldest = now - KEPT_S;
    for (const { from, to } of this.played.filter((each) => each.to < oldest)) {
      const turn = this.turnAt(from);
      if (turn !== undefined) turn.keptS = (turn.keptS ?? 0) + to - from;
    }
    this.played = this.played.filter((each) => each.to >= oldest);
    this.sent = this.sent.filter((each) => each.at >= oldest);
    this.user = this.user.filter((each) => each.to >= oldest);
    this.gaps = this.gaps.filter((each) => (each.to ?? now) >= oldest);
    const first = this.states.findLastIndex((each) => each.at < oldest);
    if (first > 0) this.states.splice(0, first);
  }
}
