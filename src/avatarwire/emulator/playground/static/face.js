// A drawn face: its mouth is as wide open as the sound is loud.

const LOUDEST = 0.25;
const KEPT = 0.55; // of the last opening, each time: a mouth is not as quick as sound

export class Face {
  constructor(face, mouth) {
    this.face = face;
    this.mouth = mouth;
    this.opening = 0;
    this.drawn = null;
  }

  draw(level) {
    const wanted = Math.min(1, level / LOUDEST) ** 0.6;
    this.opening = wanted > this.opening ? wanted : this.opening * KEPT + wanted * (1 - KEPT);
    const height = Math.round(this.opening * 22);
    if (height === this.drawn) return;
    this.drawn = height;
    const half = 20 - height * 0.2;
    this.mouth.setAttribute(
      "d",
      `M${120 - half} 163q${half} ${8 - height * 0.55} ${2 * half} 0q${-half} ${8 + height * 1.6} ${-2 * half} 0z`,
    );
    this.mouth.dataset.opening = String(height);
  }

  tell(state) {
    this.face.setAttribute("aria-label", `The avatar, ${state.toLowerCase().replaceAll("_", " ")}`);
  }
}
