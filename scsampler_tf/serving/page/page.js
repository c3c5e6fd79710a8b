// Sends a video to the server and shows its answer. Names and labels are set as text, never as HTML.

import { Timeline, clock } from "./timeline.js";

const MOST_LABELS = 10;
const byId = (id) => document.getElementById(id);
const player = byId("player");
const timeline = new Timeline(byId("timeline"), seek);
let offer = { models: [], max_bytes: Infinity };
let sending = null;

function seek(seconds) {
  timeline.show(seconds);
  // A little into the clip, so that its first picture is shown and not the last of the clip before it.
  if (player.readyState > 0) player.currentTime = Math.min(seconds + 0.001, player.duration || seconds);
}

function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

function made(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function told(sentence) {
  byId("error").textContent = sentence;
  byId("status").textContent = "";
  byId("work").hidden = true;
}

async function loadModels() {
  try {
    offer = await (await fetch("page/models.json")).json();
  } catch {
    told("The server cannot be reached; start it and load this page again.");
    return;
  }
  byId("model").replaceChildren(...offer.models.map((model) => made("option", model.name)));
  byId("model-row").hidden = offer.models.length < 2;
  if (!offer.models.length) told("The server has no model that takes videos; export one and load this page again.");
}

function refusal(file) {
  if (!offer.models.length) return "The server has no model that takes videos; export one and load this page again.";
  if (!file.size) return `${file.name} is empty; choose another file.`;
  if (file.size > offer.max_bytes) {
    const megabytes = Math.floor(offer.max_bytes / 2 ** 20);
    return `${file.name} is too large; the server takes ${megabytes} MiB.`;
  }
  return "";
}

function send(file) {
  sending?.abort();
  byId("answer").hidden = true;
  byId("error").textContent = "";
  const refused = refusal(file);
  if (refused) return told(refused);
  const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
  sending = request;
  request.open("POST", `upload/${encodeURIComponent(byId("model").value)}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.upload.onprogress = (event) => (byId("progress").value = event.loaded / event.total);
  request.upload.onload = () => {
    byId("progress").removeAttribute("value"); // from here on nobody knows how long it takes
    byId("status").textContent = `Looking for the moments of ${file.name} ...`;
  };
  request.onload = () => answered(request, file);
  request.onerror = () => told("The connection broke while the video was sent; try again.");
  request.onabort = () => told("");
  byId("status").textContent = `Sending ${file.name} ...`;
  byId("progress").value = 0;
  byId("work").hidden = false;
  request.send(file);
}

function answered(request, file) {
  let answer;
  try {
    answer = JSON.parse(request.responseText);
  } catch {
    return told("The server answered with something else than expected; try again.");
  }
  if (request.status !== 200) return told(sentence(answer.error ?? "the video was refused", file));
  byId("work").hidden = true;
  byId("status").textContent = "";
  show(answer, file);
}

// The server does not know the file's name; it says "upload".
function sentence(error, file) {
  const named = error.startsWith("upload: ") ? `${file.name}: ${error.slice(8)}` : error;
  return `${named[0].toUpperCase()}${named.slice(1)}.`;
}

function show(answer, file) {
  byId("label").textContent = `${answer.label} (${percent(answer.probability)})`;
  byId("duration").textContent = clock(answer.duration_s);
  byId("audio-key").hidden = !answer.has_audio;
  if (player.src) URL.revokeObjectURL(player.src);
  byId("unplayable").hidden = true;
  player.hidden = false;
  player.src = URL.createObjectURL(file);
  byId("answer").hidden = false;
  timeline.draw(answer);
  byId("moments").replaceChildren(...answer.moments.map(momentItem));
  const best = Object.entries(answer.probabilities).sort((a, b) => b[1] - a[1]).slice(0, MOST_LABELS);
  byId("probabilities").replaceChildren(...best.map(probabilityItem));
  const notes = [
    ...answer.damage.map((line) => `Damaged, readable part used: ${line}`),
    ...answer.remarks,
    `${answer.moments.length} of ${answer.clips} clips were classified by ${answer.model.name}, version ${answer.model.version}.`,
  ];
  byId("notes").replaceChildren(...notes.map((line) => made("p", line)));
  byId("status").textContent = `${file.name}: ${answer.label}`;
}

function momentItem(moment) {
  const item = document.createElement("li");
  const times = `${clock(moment.start_s)} to ${clock(moment.end_s)}`;
  const button = made("button", `${times}: ${moment.label} ${percent(moment.probability)}`);
  button.type = "button";
  button.addEventListener("click", () => seek(moment.start_s));
  item.append(button);
  return item;
}

function probabilityItem([label, value]) {
  const item = document.createElement("li");
  const bar = document.createElement("meter");
  bar.value = value;
  bar.setAttribute("aria-label", label);
  item.append(made("span", label), bar, made("output", percent(value)));
  return item;
}

byId("file").addEventListener("click", (event) => {
  event.target.value = ""; // so that the same file can be chosen again
});
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) send(file);
});
byId("form").addEventListener("submit", (event) => event.preventDefault());
byId("cancel").addEventListener("click", () => sending?.abort());
player.addEventListener("timeupdate", () => timeline.show(player.currentTime));
player.addEventListener("error", () => {
  byId("unplayable").hidden = false;
  player.hidden = true;
});
player.addEventListener("loadedmetadata", () => {
  byId("unplayable").hidden = player.videoWidth > 0; // a codec of which it can play the sound alone
});

// Anywhere on the page: a video dropped beside the field must not replace the page.
for (const type of ["dragenter", "dragover"]) {
  document.addEventListener(type, (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) send(file);
});

loadModels();
