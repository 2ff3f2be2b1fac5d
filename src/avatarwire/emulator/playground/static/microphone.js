// The user's voice: what the microphone hears, as 16 kHz mono samples.

export class Microphone {
  constructor({ heard, level }) {
    this.handlers = { heard, level };
  }

  get isOn() {
    return this.context !== undefined;
  }

  async start({ cancelEcho }) {
    if (navigator.mediaDevices === undefined) {
      throw new Error("a browser gives a page the microphone on this machine's own address, or over https, alone");
    }
    // First of all, so that nothing is lost that is heard.
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/playground/microphone-worklet.js");
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: cancelEcho, noiseSuppression: false, autoGainControl: false },
    });
    const node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      this.handlers.heard(data.samples);
      this.handlers.level(data.level);
    };
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close();
    this.stream = this.context = undefined;
    this.handlers.level(0);
  }
}
