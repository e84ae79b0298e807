// A chime while the shop's alert is ringing; silent until the visitor has pressed a button.

let audio = null;
let last = 0;

export function turnOn() {
  const Audio = window.AudioContext || window.webkitAudioContext;
  if (Audio && !audio) audio = new Audio();
}

function tone(at, hertz, seconds, loud) {
  const wave = audio.createOscillator();
  const gain = audio.createGain();
  wave.type = "sine";
  wave.frequency.value = hertz;
  gain.gain.setValueAtTime(0.0001, at);
  gain.gain.exponentialRampToValueAtTime(loud, at + 0.015);
  gain.gain.exponentialRampToValueAtTime(0.0001, at + seconds);
  wave.connect(gain);
  gain.connect(audio.destination);
  wave.start(at);
  wave.stop(at + seconds + 0.05);
}

export function ring(kind) {
  if (!audio || performance.now() - last < 2600) return;
  last = performance.now();
  const now = audio.currentTime;
  const notes = kind === "sos" ? [880, 660, 880, 660] : [659, 784, 1047];
  notes.forEach((hertz, n) => tone(now + n * 0.17, hertz, 0.5, kind === "sos" ? 0.22 : 0.14));
}
