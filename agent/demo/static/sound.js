// What the shop's loudspeaker would say: the agent's own recordings. Silent until the visitor has
// pressed a button, because browsers want it so.

const PAUSE_S = 2.5;
const clips = new Map(); // name -> promise of an AudioBuffer, or of null where there is none
let audio = null;
let free = 0; // on the audio clock: when the last sound and its pause are over

export function turnOn() {
  const Audio = window.AudioContext || window.webkitAudioContext;
  if (Audio && !audio) audio = new Audio();
}

function load(name) {
  if (!clips.has(name)) {
    clips.set(name, fetch("/" + name + ".wav")
      .then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(new Error(name))))
      .then((bytes) => audio.decodeAudioData(bytes))
      .catch(() => null));
  }
  return clips.get(name);
}

export function ring(cause, language) {
  if (!audio || audio.currentTime < free) return;
  free = Infinity; // until it is known how long it takes
  Promise.all([load(cause === "sos" ? "siren" : "chime"), load(language + "-" + cause)]).then((sounds) => {
    let at = audio.currentTime + 0.05;
    for (const sound of sounds.filter(Boolean)) {
      const player = audio.createBufferSource();
      player.buffer = sound;
      player.connect(audio.destination);
      player.start(at);
      at += sound.duration;
    }
    free = at + PAUSE_S;
  });
}
