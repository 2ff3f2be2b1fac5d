// The last half minute, drawn: the user, what arrived, what was played, states, gaps.

const SHOWN_S = 30;
const AHEAD_S = 1;
const LABELS_PX = 64;
const LANE_PX = 28;
const LANES = ["user", "sent", "played", "state"];

export class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.colours = undefined));
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const names = ["ink", "soft", "line", "user", "sent", "played", "late", "stale", "gap", "halo"];
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  draw(story, now) {
    const { canvas, context } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const dots = window.devicePixelRatio;
    if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
      canvas.width = Math.round(width * dots);
      canvas.height = Math.round(height * dots);
    }
    this.colours ??= this.readColours();
    context.setTransform(dots, 0, 0, dots, 0, 0);
    context.clearRect(0, 0, width, height);
    const begun = now - SHOWN_S + AHEAD_S;
    this.x = (time) => LABELS_PX + ((time - begun) / SHOWN_S) * (width - LABELS_PX);
    this.grid(now, begun, width, height);
    for (const { from, to } of story.gaps) this.block(0, from, to ?? now, "gap", LANES.length, 0.35);
    for (const { from, to } of story.user) this.block(0, from, to, "user");
    for (const each of story.sent) this.block(1, each.at, each.at + each.lengthS * 0.8, each.isStale ? "stale" : "sent");
    this.late(story.played, story);
    for (const { from, to } of story.played) this.block(2, from, to, "played");
    this.states(story.states, now);
    context.fillStyle = this.colours.ink;
    context.fillRect(this.x(now), 0, 1, height);
  }

  grid(now, begun, width, height) {
    const { context, colours } = this;
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    LANES.forEach((name, lane) => {
      context.fillStyle = colours.soft;
      context.fillText(name, 0, lane * LANE_PX + LANE_PX / 2);
      context.fillStyle = colours.line;
      context.fillRect(LABELS_PX, (lane + 1) * LANE_PX - 1, width - LABELS_PX, 1);
    });
    const step = width < 600 ? 15 : 5;
    for (let second = Math.ceil(begun / step) * step; second < now; second += step) {
      context.fillStyle = colours.line;
      context.fillRect(this.x(second), 0, 1, height - 20);
      context.fillStyle = colours.soft;
      const words = new Date(second * 1000).toLocaleTimeString([], { hourCycle: "h23" });
      const x = this.x(second) + 3;
      if (x + context.measureText(words).width < width) context.fillText(words, x, height - 10);
    }
  }

  block(lane, from, to, colour, lanes = 1, alpha = 1) {
    const left = Math.max(LABELS_PX, this.x(from));
    const right = this.x(to);
    if (right <= LABELS_PX) return;
    this.context.globalAlpha = alpha;
    this.context.fillStyle = this.colours[colour];
    this.context.fillRect(left, lane * LANE_PX + 4, Math.max(1, right - left), lanes * LANE_PX - 9);
    this.context.globalAlpha = 1;
  }

  // A hole between two pieces of one turn is sound that came too late.
  late(played, story) {
    for (let index = 1; index < played.length; index += 1) {
      const [before, after] = [played[index - 1], played[index]];
      const isHole = after.from - before.to > 0.002 && story.turnAt(before.from) === story.turnAt(after.from);
      if (isHole) this.block(2, before.to, after.from, "late");
    }
  }

  states(states, now) {
    const { context, colours } = this;
    states.forEach(({ at, state }, index) => {
      const to = states[index + 1]?.at ?? now;
      this.block(3, at, to, "halo");
      const left = Math.max(LABELS_PX, this.x(at)) + 3;
      context.fillStyle = colours.ink;
      const words = state.toLowerCase().replaceAll("_", " ");
      if (left + context.measureText(words).width < this.x(to)) context.fillText(words, left, 3 * LANE_PX + LANE_PX / 2);
    });
  }
}
