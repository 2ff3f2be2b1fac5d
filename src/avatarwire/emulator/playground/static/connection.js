// The page's one connection: JSON and sound from the platform, commands and the user's voice to it.

const AGAIN_MS = 1000;
// What waits here when the connection is slow is the user's voice; more than this is stale.
const MOST_WAITING_BYTES = 64000;

export class Connection {
  constructor({ message, sound, changed }) {
    this.handlers = { message, sound, changed };
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/playground/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.handlers.changed(true);
    this.socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.handlers.message(JSON.parse(data));
      else this.handlers.sound(data);
    };
    this.socket.onclose = () => {
      this.handlers.changed(false);
      setTimeout(() => this.open(), AGAIN_MS);
    };
  }

  send(type, fields = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, ...fields }));
  }

  // Returns whether there was room for it.
  sendVoice(samples) {
    const isReady = this.socket.readyState === WebSocket.OPEN && this.socket.bufferedAmount < MOST_WAITING_BYTES;
    if (isReady) this.socket.send(samples.buffer);
    return isReady;
  }
}
