// Plays samples at the frames of the context that they are told for; says nothing, and waits for nobody.

class VoiceProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.pieces = [];
    this.port.onmessage = ({ data }) => {
      if (data.cut === undefined) this.pieces.push(data);
      else this.cut(data.cut);
    };
  }

  cut(frame) {
    this.pieces = this.pieces
      .map((piece) => ({ frame: piece.frame, samples: piece.samples.subarray(0, Math.max(0, frame - piece.frame)) }))
      .filter((piece) => piece.samples.length > 0);
  }

  process(_inputs, [[output]]) {
    for (const { frame, samples } of this.pieces) {
      const from = Math.max(frame, currentFrame);
      const to = Math.min(frame + samples.length, currentFrame + output.length);
      if (from < to) output.set(samples.subarray(from - frame, to - frame), from - currentFrame);
    }
    const end = currentFrame + output.length;
    while (this.pieces.length > 0 && this.pieces[0].frame + this.pieces[0].samples.length <= end) this.pieces.shift();
    return true;
  }
}

registerProcessor("voice", VoiceProcessor);
