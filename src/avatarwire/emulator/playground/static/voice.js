// The avatar's voice: each piece of sound is played when the platform plays it, by its clock, and
// DELAY_S later. What follows at once follows without a gap, sample by sample.

const DELAY_S = 0.1;
const HEADER_BYTES = 20;
const SAME_S = 0.001;
const LEVEL_S = 0.02;
// A piece that comes too late is put off so far, and what follows it too.
const PUT_OFF_S = 0.03;

const seconds = () => performance.now() / 1000;

export class Voice {
  constructor() {
    this.rate = 24000;
    this.isWanted = false;
    this.late = 0;
    this.reset();
  }

  // Forget what is to come: another session is watched.
  reset() {
    this.offsetS = Infinity;
    this.anchor = null;
    this.nextAtS = NaN;
    this.nextFrame = 0;
    this.levels = [];
    this.node?.port.postMessage({ cut: 0 });
  }

  get isRunning() {
    return this.isWanted && this.context?.state === "running" && this.node !== undefined;
  }

  // Browsers let a page be heard once somebody has clicked or typed in it.
  async start() {
    this.isWanted = true;
    if (this.context?.sampleRate !== this.rate) await this.make();
    await this.context.resume();
  }

  async stop() {
    this.isWanted = false;
    await this.context?.suspend();
    this.reset();
  }

  async make() {
    this.node = undefined;
    this.context?.close();
    const context = (this.context = new AudioContext({ sampleRate: this.rate, latencyHint: "interactive" }));
    await context.audioWorklet.addModule("/playground/voice-worklet.js");
    if (context !== this.context) return;
    const node = new AudioWorkletNode(context, "voice", { numberOfInputs: 0, outputChannelCount: [1] });
    node.connect(context.destination);
    this.node = node;
    this.anchor = null;
    this.nextAtS = NaN;
    this.nextFrame = 0;
  }

  // Takes one message; returns when, by the platform's clock, it is heard and for how long.
  take(buffer) {
    const header = new DataView(buffer, 0, HEADER_BYTES);
    const atS = header.getFloat64(0, true);
    const nowS = header.getFloat64(8, true);
    const rate = header.getUint32(16, true);
    const pcm = new Int16Array(buffer, HEADER_BYTES);
    const samples = Float32Array.from(pcm, (sample) => sample / 32768);
    const lengthS = samples.length / rate; // before they are handed over
    // The quickest message shows best what the clocks differ by.
    this.offsetS = Math.min(this.offsetS, seconds() - nowS);
    this.keepLevels(samples, rate, atS);
    if (rate !== this.rate) {
      this.rate = rate;
      if (this.isWanted) this.start();
    } else if (this.isRunning) {
      this.play(samples, atS);
    }
    return { atS, lengthS };
  }

  play(samples, atS) {
    const frameNow = this.context.currentTime * this.rate;
    const due = Math.round(frameNow + (atS + this.offsetS + DELAY_S - seconds()) * this.rate);
    const follows = Math.abs(atS - this.nextAtS) < SAME_S;
    let frame = follows ? this.nextFrame : Math.max(due, this.nextFrame);
    const isLate = frame < frameNow;
    if (isLate) {
      this.late += 1;
      frame = Math.round(frameNow + PUT_OFF_S * this.rate);
    }
    if (!follows || isLate) this.anchor = { frame, atS };
    this.nextFrame = frame + samples.length;
    this.nextAtS = atS + samples.length / this.rate;
    this.node.port.postMessage({ frame, samples }, [samples.buffer]);
  }

  // Nothing is heard from then on, unless it comes anew.
  silence(atS) {
    this.levels = this.levels.filter((each) => each.atS < atS);
    if (this.anchor === null || this.node === undefined) return;
    const cut = Math.round(this.anchor.frame + (atS - this.anchor.atS) * this.rate);
    this.node.port.postMessage({ cut });
    this.nextFrame = Math.min(this.nextFrame, Math.max(cut, 0));
    this.nextAtS = NaN;
  }

  keepLevels(samples, rate, atS) {
    const step = Math.round(LEVEL_S * rate);
    for (let at = 0; at < samples.length; at += step) {
      const piece = samples.subarray(at, at + step);
      const power = piece.reduce((sum, sample) => sum + sample * sample, 0) / piece.length;
      this.levels.push({ atS: atS + at / rate, level: Math.sqrt(power) });
    }
  }

  // How loud the sound is that is heard now, from 0 to 1.
  level() {
    const nowS = seconds() - this.offsetS - DELAY_S;
    while (this.levels.length > 0 && this.levels[0].atS < nowS - LEVEL_S) this.levels.shift();
    const [first] = this.levels;
    return first !== undefined && first.atS <= nowS ? first.level : 0;
  }
}
