// One clip in the list: its facts, its words side by side, and on opening its sound and texts.

// Texts become text nodes, whatever they hold.
function make(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function row(clip, language) {
  const play = make("button", { type: "button", class: "play", "aria-label": "Play " + clip.id }, "▶");
  const found = soundOf(clip.id) !== null;
  if (!found) {
    play.disabled = true;
    play.title = "no sound in this page";
  }
  const head = make("button", { type: "button", class: "head", "aria-expanded": "false" }, ...facts(clip));
  const words = make("p", { class: "words", lang: language }, ...clip.words.map(word));
  if (clip.words.length === 0) words.append(make("span", { class: "note", lang: "en" }, "no speech, and nothing written"));
  const item = make("li", { class: "clip", "data-id": clip.id }, play, head, words);
  play.addEventListener("click", () => toggleSound(item, clip));
  head.addEventListener("click", () => toggleDetail(item, clip, language));
  return item;
}

function facts(clip) {
  const rate = clip.wer === null ? "no speech" : percent(clip.wer);
  const wrong = clip.said ? `${clip.errors} of ${clip.said} words` : `${clip.insertion} words made up`;
  const found = [
    make("span", { class: clip.errors ? "wer" : "wer right" }, rate),
    make("span", {}, wrong),
    make("span", {}, clip.duration.toFixed(2) + "\u00a0s"),
  ];
  if (clip.group) found.push(make("span", {}, clip.group));
  if (clip.confidence !== null) found.push(make("span", {}, "confidence " + clip.confidence.toFixed(2)));
  if (clip.capped) found.push(make("span", { class: "wer" }, "cut off"));
  found.push(make("span", { class: "id" }, clip.id));
  return found;
}

function word(step) {
  const kind = kindOf(step);
  const hidden = (text) => make("span", { class: "sr", lang: "en" }, text);
  if (kind === "hit") return make("span", { class: "step" }, make("span", {}, step));
  if (kind === "deletion") return make("span", { class: "step gone" }, hidden("missing: "), make("del", {}, step[0]));
  if (kind === "insertion") return make("span", { class: "step more" }, hidden("added: "), make("ins", {}, step[1]));
  const parts = [hidden("replaced: "), make("del", {}, step[0]), hidden(" by "), make("ins", {}, step[1])];
  return make("span", { class: "step sub" }, ...parts);
}

function soundIn(item, clip) {
  if (!item.sound) {
    item.sound = make("audio", { controls: "", preload: "auto", src: addressOf(clip.id), "aria-label": "Sound of " + clip.id });
    const play = item.querySelector(".play");
    const say = (sign, action) => {
      play.textContent = sign;
      play.setAttribute("aria-label", action + " " + clip.id);
    };
    item.sound.addEventListener("play", () => {
      say("❚❚", "Pause");
      // One voice at a time.
      for (const other of document.querySelectorAll(".clip")) {
        if (other !== item && other.sound) other.sound.pause();
      }
    });
    item.sound.addEventListener("pause", () => say("▶", "Play"));
  }
  return item.sound;
}

function toggleSound(item, clip) {
  if (soundOf(clip.id) === null) return;
  const sound = soundIn(item, clip);
  if (sound.paused) sound.play();
  else sound.pause();
}

function toggleDetail(item, clip, language) {
  const head = item.querySelector(".head");
  const opened = head.getAttribute("aria-expanded") === "false";
  head.setAttribute("aria-expanded", String(opened));
  const detail = item.querySelector(".detail");
  if (detail) detail.hidden = !opened;
  else item.append(detailOf(item, clip, language));
}

function detailOf(item, clip, language) {
  const detail = make("div", { class: "detail" });
  if (soundOf(clip.id) === null) detail.append(make("p", { class: "note" }, "This page holds no sound of this clip."));
  else detail.append(soundIn(item, clip), picturesOf(soundIn(item, clip), clip));
  detail.append(texts(clip, language));
  return detail;
}

function texts(clip, language) {
  const known = [["Said", clip.reference || "(nothing)"], ["Written", clip.hypothesis || "(nothing)"]];
  const other = [
    clip.source && "source " + clip.source,
    clip.snr !== null && `signal to noise ${clip.snr.toFixed(1)} dB`,
    `${clip.substitution} replaced, ${clip.deletion} missing, ${clip.insertion} added`,
  ].filter(Boolean).join("; ");
  const list = make("dl", { class: "texts" });
  for (const [name, text] of known) list.append(make("dt", {}, name), make("dd", { lang: language }, text));
  list.append(make("dt", {}, "Facts"), make("dd", {}, other));
  return list;
}

function picturesOf(sound, clip) {
  const wave = make("canvas", { class: "wave", role: "img", "aria-label": "Waveform" });
  const spectrum = make("canvas", { class: "spectrum", role: "img", "aria-label": "Spectrogram, 0 to 8 kHz" });
  const line = make("div", { class: "head-line" });
  const hertz = make("div", { class: "hertz", "aria-hidden": "true" }, ...["8 kHz", "4", "0"].map((t) => make("span", {}, t)));
  const pictures = make("div", { class: "pictures" }, wave, spectrum, line, hertz);
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => make("span", {}, (share * clip.duration).toFixed(2)));
  marks[4].append(" s");
  follow(sound, pictures, line);
  // Sizes are known once the row stands in the page.
  requestAnimationFrame(async () => {
    try {
      const samples = await samplesOf(clip.id);
      drawWave(wave, samples);
      drawSpectrogram(spectrum, samples);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      pictures.replaceWith(make("p", { class: "note" }, "This browser cannot decode the sound: " + error.message));
    }
  });
  return make("div", {}, pictures, make("div", { class: "seconds", "aria-hidden": "true" }, ...marks));
}

// The line runs with the sound, and a click moves the sound.
function follow(sound, pictures, line) {
  const show = () => {
    line.style.left = 100 * sound.currentTime / (sound.duration || 1) + "%";
    if (!sound.paused && !sound.ended) requestAnimationFrame(show);
  };
  for (const event of ["play", "seeked", "pause"]) sound.addEventListener(event, show);
  pictures.addEventListener("click", (event) => {
    const box = pictures.getBoundingClientRect();
    sound.currentTime = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * (sound.duration || 0);
  });
}
