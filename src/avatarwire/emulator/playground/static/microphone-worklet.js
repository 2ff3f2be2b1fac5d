// Takes the microphone's sound to 16 kHz by a windowed sinc, and hands it over in pieces of 20 ms.

const RATE = 16000;
const PIECE = 320;
const CROSSINGS = 24; // of the sinc to each side: what would alias is some 70 dB down
const PASSED = 0.94; // of half the lower rate
const STEPS = 512; // in which the kernel is kept, for each crossing

function kernel() {
  const values = new Float32Array(CROSSINGS * STEPS + 2);
  for (let index = 0; index <= CROSSINGS * STEPS; index += 1) {
    const x = index / STEPS;
    const window = 0.42 + 0.5 * Math.cos((Math.PI * x) / CROSSINGS) + 0.08 * Math.cos((2 * Math.PI * x) / CROSSINGS);
    values[index] = (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)) * window;
  }
  return values;
}

class MicrophoneProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.kernel = kernel();
    this.scale = Math.min(1, RATE / sampleRate) * PASSED; // crossings for each sample of the input
    this.reach = Math.ceil(CROSSINGS / this.scale);
    this.input = new Float32Array(this.reach); // what came before is silence
    this.place = this.reach; // of the next sample of the output, in the input
    this.output = [];
  }

  process([channels]) {
    if (channels.length === 0) return true;
    const input = new Float32Array(this.input.length + channels[0].length);
    input.set(this.input);
    input.set(channels[0], this.input.length);
    while (this.place + this.reach < input.length) {
      this.output.push(this.sampleAt(input, this.place));
      this.place += sampleRate / RATE;
    }
    const done = Math.max(0, Math.floor(this.place) - this.reach);
    this.input = input.slice(done);
    this.place -= done;
    while (this.output.length >= PIECE) this.hand(this.output.splice(0, PIECE));
    return true;
  }

  sampleAt(input, place) {
    const first = Math.ceil(place - this.reach);
    let sum = 0;
    for (let index = Math.max(0, first); index <= place + this.reach; index += 1) {
      const x = Math.abs(index - place) * this.scale * STEPS;
      if (x < CROSSINGS * STEPS) sum += input[index] * this.kernel[Math.round(x)];
    }
    return sum * this.scale;
  }

  hand(piece) {
    const samples = Int16Array.from(piece, (sample) => Math.max(-1, Math.min(1, sample)) * 32767);
    const level = Math.sqrt(piece.reduce((sum, sample) => sum + sample * sample, 0) / piece.length);
    this.port.postMessage({ samples, level }, [samples.buffer]);
  }
}

registerProcessor("microphone", MicrophoneProcessor);
