// Which clips are shown, in which order, and what they add up to. Nothing here touches the page.

function kindOf(step) {
  if (typeof step === "string") return "hit";
  if (step[0] === "") return "insertion";
  return step[1] === "" ? "deletion" : "substitution";
}

function counted(clip, language) {
  const counts = { hit: 0, substitution: 0, deletion: 0, insertion: 0 };
  for (const step of clip.words) counts[kindOf(step)] += 1;
  const errors = counts.substitution + counts.deletion + counts.insertion;
  const said = counts.hit + counts.substitution + counts.deletion;
  const texts = [clip.id, clip.reference, clip.hypothesis, clip.words.flat().join(" ")].join("\n");
  return { ...clip, ...counts, errors, said, wer: said ? errors / said : null, text: texts.toLocaleLowerCase(language) };
}

const KINDS = {
  "": () => true,
  errors: (clip) => clip.errors > 0,
  none: (clip) => clip.errors === 0,
  substitution: (clip) => clip.substitution > 0,
  deletion: (clip) => clip.deletion > 0,
  insertion: (clip) => clip.insertion > 0,
  silent: (clip) => clip.said === 0,
  capped: (clip) => clip.capped,
};

// What is unknown comes last, whatever the order.
const ORDERS = {
  errors: (clip) => -clip.errors,
  wer: (clip) => (clip.wer === null ? null : -clip.wer),
  longest: (clip) => -clip.duration,
  shortest: (clip) => clip.duration,
  confidence: (clip) => clip.confidence,
  snr: (clip) => clip.snr,
  id: (clip) => clip.id,
};

function selected(clips, filter, language) {
  const wanted = filter.text.trim().toLocaleLowerCase(language);
  const number = (text, otherwise) => (text === "" || Number.isNaN(Number(text)) ? otherwise : Number(text));
  const [shortest, longest] = [number(filter.shortest, 0), number(filter.longest, Infinity)];
  const confidence = number(filter.confidence, null);
  const key = ORDERS[filter.order];
  return clips
    .filter((clip) => KINDS[filter.kind](clip)
      && clip.text.includes(wanted)
      && (filter.group === "" || "=" + clip.group === filter.group)
      && (filter.source === "" || "=" + clip.source === filter.source)
      && clip.duration >= shortest && clip.duration <= longest
      && (confidence === null || (clip.confidence !== null && clip.confidence < confidence)))
    .sort((a, b) => compared(key(a), key(b)) || compared(a.said, b.said) || compared(a.id, b.id));
}

function compared(a, b) {
  if (a === b) return 0;
  if (a === null || b === null) return a === null ? 1 : -1;
  return a < b ? -1 : 1;
}

// As the metrics count: clips without speech have no rate and stand apart.
function totals(clips) {
  const sum = (list, key) => list.reduce((total, clip) => total + clip[key], 0);
  const spoken = clips.filter((clip) => clip.said > 0), silent = clips.filter((clip) => clip.said === 0);
  return {
    clips: clips.length, words: sum(spoken, "said"), errors: sum(spoken, "errors"),
    substitution: sum(spoken, "substitution"), deletion: sum(spoken, "deletion"), insertion: sum(spoken, "insertion"),
    silent: silent.length, invented: sum(silent, "insertion"),
  };
}

function percent(rate) {
  return rate === null ? "–" : (100 * rate).toFixed(2) + "\u00a0%";
}

function grouped(number) {
  return number.toLocaleString("en");
}
