// The error browser: filters, the list in portions, and the keys.

const PORTION = 50; // rows added at once: thousands would make the page slow

const data = JSON.parse(document.getElementById("data").textContent);
const clips = data.clips.map((clip) => counted(clip, data.language));
const filters = document.getElementById("filters");
const list = document.getElementById("clips");
const more = document.getElementById("more");
let shown = clips;

function fillChoices() {
  for (const name of ["group", "source"]) {
    const counts = new Map();
    for (const clip of clips) counts.set(clip[name], (counts.get(clip[name]) || 0) + 1);
    const select = filters.elements[name];
    select.parentElement.hidden = counts.size < 2;
    for (const value of [...counts.keys()].sort()) {
      // The sign tells the empty name from no choice.
      select.append(make("option", { value: "=" + value }, `${value || "(none)"} (${counts.get(value)})`));
    }
  }
  const drop = (select, value) => select.querySelector(`option[value="${value}"]`).remove();
  if (clips.every((clip) => clip.confidence === null)) {
    filters.elements.confidence.parentElement.hidden = true;
    drop(filters.elements.order, "confidence");
  }
  if (clips.every((clip) => clip.snr === null)) drop(filters.elements.order, "snr");
  if (clips.every((clip) => clip.said > 0)) drop(filters.elements.kind, "silent");
  if (clips.every((clip) => !clip.capped)) drop(filters.elements.kind, "capped");
}

function noteSounds() {
  const silent = clips.filter((clip) => soundOf(clip.id) === null).length;
  if (silent === 0) return;
  document.getElementById("sound-note").textContent = silent === clips.length
    ? "This page holds no sound."
    : `${grouped(silent)} of ${grouped(clips.length)} clips, those with fewest errors, have no sound, to keep this page small.`;
}

function apply() {
  for (const item of list.children) if (item.sound) item.sound.pause();
  shown = selected(clips, Object.fromEntries(new FormData(filters)), data.language);
  list.replaceChildren();
  addPortion();
  showStatus(totals(shown));
}

function addPortion() {
  list.append(...shown.slice(list.children.length, list.children.length + PORTION).map((clip) => row(clip, data.language)));
  const left = shown.length - list.children.length;
  more.hidden = left === 0;
  more.textContent = `Show ${Math.min(left, PORTION)} more of ${grouped(left)}`;
}

function showStatus(total) {
  const rate = total.words ? percent(total.errors / total.words) : "–";
  const kinds = `${grouped(total.substitution)} replaced, ${grouped(total.deletion)} missing, ${grouped(total.insertion)} added`;
  const silent = total.silent ? ` · ${grouped(total.silent)} without speech, ${grouped(total.invented)} words made up` : "";
  document.getElementById("status").replaceChildren(
    `${grouped(total.clips)} of ${grouped(clips.length)} clips · WER of these `,
    make("b", { id: "selection-wer" }, rate),
    ` (${grouped(total.errors)} errors in ${grouped(total.words)} words: ${kinds})${silent}`,
  );
}

function current() {
  return list.querySelector(".current");
}

function move(step) {
  const rows = [...list.children];
  const next = current() ? rows.indexOf(current()) + step : 0;
  if (next >= rows.length && !more.hidden) addPortion();
  const item = list.children[Math.min(Math.max(next, 0), list.children.length - 1)];
  if (!item) return;
  item.querySelector(".head").focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}

list.addEventListener("focusin", (event) => {
  if (current()) current().classList.remove("current");
  event.target.closest(".clip").classList.add("current");
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open) return;
  const target = event.target;
  if (target.matches("input, select, audio")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const onRow = target.matches(".clip .head");
  const actions = {
    "/": () => filters.elements.text.focus(),
    "?": () => document.getElementById("help").showModal(),
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: onRow && (() => move(1)),
    ArrowUp: onRow && (() => move(-1)),
    " ": onRow && (() => current().querySelector(".play").click()),
  };
  if (!Object.hasOwn(actions, event.key) || !actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
});

// Some browsers press a button when the key comes up.
document.addEventListener("keyup", (event) => {
  if (event.key === " " && event.target.matches(".clip .head")) event.preventDefault();
});

fillChoices();
noteSounds();
filters.addEventListener("input", apply);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(apply));
more.addEventListener("click", addPortion);
document.getElementById("help-open").addEventListener("click", () => document.getElementById("help").showModal());
apply();
