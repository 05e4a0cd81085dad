// The status page: asks for the list while it is visible and keeps the elements up to date.
// All text goes in by textContent: prompts, ids and failures are other people's words.

import { ApiError, ask, hasToken, newKey, setToken } from "/static/api.js";

const POLL_MS = 1500;
const LONGEST_WAIT_MS = 15000;
const SAID_MS = 5000;
const SAID_BAD_MS = 15000;
const PAGE = 20;
const MOST = 100;

const STAGES = {
  started: "Started",
  generating_character: "Making the character",
  starting_video: "Starting video",
  awaiting_video: "Waiting for video",
  downloading_video: "Downloading video",
  undecided: "Needs a decision",
  complete: "Complete",
  failed: "Failed",
  canceled: "Canceled",
};
const STATUSES = {
  running: "Running",
  completed: "Complete",
  failed: "Failed",
  canceled: "Canceled",
  terminated: "Terminated",
  timed_out: "Timed out",
};
const TONES = {
  running: "run",
  completed: "good",
  failed: "bad",
  terminated: "bad",
  timed_out: "bad",
  canceled: "off",
};

const byId = (id) => document.getElementById(id);
const cards = new Map();
let limit = PAGE;
let failures = 0;
let timer = null;
let asking = false;
let again = false;
let silence = null;

// Elements

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Changes text only where it is another one, so that nothing is announced or selected again. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function button(text, label, action, kind = "") {
  const element = make("button", { type: "button", "aria-label": label }, text);
  if (kind) element.className = kind;
  element.addEventListener("click", action);
  return element;
}

/** Replaces children only where `key` is another one: focus and what was typed stay. */
function refill(element, key, fill) {
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...fill());
}

// Words

const money = (usd) => `$${Number(usd).toFixed(Number(usd) * 100 % 1 > 1e-6 ? 3 : 2)}`;
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function span(from, to) {
  const seconds = Math.max(0, Math.round((to - from) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function kindOf(operation) {
  if (operation.type === "single") return "single video";
  return operation.videos ? `series of ${operation.videos}` : "series";
}

function timesOf(operation) {
  const start = new Date(operation.startedAt);
  const end = operation.closedAt ? new Date(operation.closedAt) : new Date();
  const when = Date.now() - start < 12 * 3600e3 ? clock.format(start) : day.format(start);
  return `${when}, ${operation.closedAt ? "took" : "for"} ${span(start, end)}`;
}

function stageOf(operation) {
  const progress = operation.progress;
  if (operation.status !== "running" || !progress) return STATUSES[operation.status];
  const stage = STAGES[progress.stage] ?? progress.stage;
  const which = stage.endsWith("video") && operation.type === "series" && progress.video;
  const words = which ? `${stage} ${progress.video}` : stage;
  return progress.paused ? `Paused · ${words.toLowerCase()}` : words;
}

function toneOf(operation) {
  const progress = operation.progress;
  if (operation.status !== "running") return TONES[operation.status];
  if (!progress || progress.paused || progress.undecided || operation.alerts.length) return "warn";
  return "run";
}

// One operation

function newCard(id) {
  const parts = {
    name: make("h3"),
    sub: make("p", { class: "sub" }),
    stage: make("b"),
    percent: make("span", { class: "percent" }),
    bar: make("progress", { max: "100", "aria-label": `Progress of ${id}` }),
    cost: make("span"),
    waste: make("span", { class: "sub" }),
    acts: make("div", { class: "acts" }),
    alerts: make("ul", { class: "alerts", "aria-label": `Alerts of ${id}` }),
    decide: make("div"),
    summary: make("summary"),
    detail: make("div", { class: "scroll" }),
  };
  const name = make("div", { class: "name" }, parts.name, parts.sub);
  const state = make("div", { class: "state" }, parts.stage, parts.percent);
  const work = make("div", { class: "work" }, state, parts.bar);
  const cost = make("div", { class: "cost" }, parts.cost, parts.waste);
  parts.root = make(
    "article",
    { class: "op", "aria-label": `Operation ${id}` },
    make("div", { class: "line" }, name, work, cost, parts.acts),
    parts.alerts,
    parts.decide,
    make("details", {}, parts.summary, parts.detail),
  );
  write(parts.name, id);
  return parts;
}

function show(card, operation) {
  const progress = operation.progress;
  card.root.dataset.tone = toneOf(operation);
  write(card.sub, `${kindOf(operation)} · ${timesOf(operation)}`);
  write(card.stage, stageOf(operation));
  write(card.percent, progress ? `${progress.progressPercent}%` : "");
  card.bar.value = progress ? progress.progressPercent : 0;
  write(card.cost, progress ? money(progress.costUsd) : "–");
  const waste = progress ? Number(progress.possibleWasteUsd) : 0;
  write(card.waste, waste ? `+ ${money(waste)} unsure` : "");
  showActions(card, operation);
  showAlerts(card, operation);
  showDecision(card, operation);
  showDetail(card, operation);
}

function showActions(card, operation) {
  const id = operation.operationId;
  const act = (text, verb, kind) =>
    button(text, `${text} ${id}`, (event) => control(verb, id, event.currentTarget), kind);
  const paused = operation.progress?.paused ?? false;
  refill(card.acts, `${operation.status} ${paused}`, () => {
    if (operation.status === "running") {
      const first = paused ? act("Resume", "resume") : act("Pause", "pause");
      return [first, act("Cancel", "cancel", "danger")];
    }
    return operation.status === "completed" ? [] : [act("Restart", "restart")];
  });
}

function showAlerts(card, operation) {
  const sentences = [...operation.alerts];
  if (!operation.progress && operation.progressMissing) {
    sentences.push(`No progress is shown: ${operation.progressMissing}`);
  }
  card.alerts.hidden = sentences.length === 0;
  refill(card.alerts, JSON.stringify(sentences), () =>
    sentences.map((sentence) => make("li", {}, sentence)),
  );
}

function showDecision(card, operation) {
  const call = operation.status === "running" ? operation.progress?.undecided : null;
  const open = Boolean(call) && !call.settleAt;
  card.decide.className = open ? "decide" : "";
  refill(card.decide, open ? `${call.step} ${call.ambiguous} ${call.lost}` : "", () =>
    open ? decisionForm(operation.operationId, call) : [],
  );
}

function decisionForm(id, call) {
  const name = make("input", {
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "models/MODEL/operations/ID",
    value: call.providerOperation ?? "",
  });
  const send = (choice) => (event) => {
    const body = { step: call.step, choice };
    if (choice === "made") body.providerOperation = name.value.trim();
    control("decide", id, event.currentTarget, body);
  };
  const choices = [
    button(
      `${call.providerOperation ? "Buy" : "Send"} again (${money(call.costUsd)} more)`,
      `${call.providerOperation ? "Buy" : "Send"} ${call.step} again`,
      send("resend"),
    ),
    button("Give up", `Give ${id} up`, send("give_up"), "danger"),
  ];
  if (call.item !== "video") return [make("div", { class: "row" }, ...choices)];
  const made = call.providerOperation ? "Look again" : "It was made";
  choices.unshift(button(made, `${call.step}: ${made.toLowerCase()}`, send("made")));
  return [
    make("label", {}, "The provider's name for the video, if it has it", name),
    make("div", { class: "row" }, ...choices),
  ];
}

function showDetail(card, operation) {
  const points = operation.progress?.checkpoints ?? [];
  const files = operation.progress?.artifacts.length ?? 0;
  const words = [many(points.length, "checkpoint"), many(files, "file")];
  if (operation.attempts.length) words.push(operation.attempts.map(attemptWords).join(", "));
  write(card.summary, words.join(" · "));
  refill(card.detail, JSON.stringify([points, operation.attempts]), () => [
    table(
      ["Checkpoint", "Time", "Cost so far", "File"],
      points.map((point) => [
        point.name.replaceAll("_", " "),
        clock.format(new Date(point.at)),
        money(point.costUsd),
        point.artifact ? `${point.artifact.path} (${size(point.artifact.sizeBytes)})` : "",
      ]),
    ),
    ...(operation.attempts.length
      ? [table(["Activity", "Attempt", "Next", "Last failure"], operation.attempts.map(attemptRow))]
      : []),
  ]);
}

const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

function attemptWords(attempt) {
  return `${attempt.activity}, attempt ${attempt.attempt}`;
}

function attemptRow(attempt) {
  const of = attempt.maxAttempts ? ` of ${attempt.maxAttempts}` : "";
  const next = attempt.nextAttemptAt ? clock.format(new Date(attempt.nextAttemptAt)) : "";
  return [attempt.activity, `${attempt.attempt}${of}`, next, attempt.lastFailure ?? ""];
}

const size = (bytes) =>
  bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

const CLASSES = { "Cost so far": "number", File: "path", "Last failure": "long" };

function table(heads, rows) {
  const kinds = heads.map((head) => CLASSES[head] ?? "");
  const head = heads.map((text, i) => make("th", { scope: "col", class: kinds[i] }, text));
  const body = rows.map((row) =>
    make("tr", {}, ...row.map((text, i) => make("td", { class: kinds[i] }, text))),
  );
  return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

// The list

function showList(page) {
  const list = byId("list");
  const seen = new Set();
  let before = null;
  for (const operation of page.operations) {
    const id = operation.operationId;
    seen.add(id);
    if (!cards.has(id)) cards.set(id, newCard(id));
    const card = cards.get(id);
    show(card, operation);
    const place = before ? before.nextSibling : list.firstChild;
    if (place !== card.root) move(list, card.root, place);
    before = card.root;
  }
  for (const [id, card] of cards) {
    if (seen.has(id)) continue;
    card.root.remove();
    cards.delete(id);
  }
  byId("empty").hidden = page.operations.length > 0;
  byId("more").hidden = !page.nextPageToken || limit >= MOST;
  showSummary(page.operations);
}

/** Moves an element without taking the focus from what is in it. */
function move(list, element, place) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(element, place);
  focused?.focus();
}

function showSummary(operations) {
  const count = (test) => operations.filter(test).length;
  const spent = operations.reduce((sum, one) => sum + Number(one.progress?.costUsd ?? 0), 0);
  const figures = [
    ["running", count((one) => one.status === "running")],
    ["to decide", count((one) => one.progress?.stage === "undecided" && one.status === "running")],
    ["failed", count((one) => TONES[one.status] === "bad")],
    ["complete", count((one) => one.status === "completed")],
    ["paid for these", money(spent.toFixed(3))],
  ];
  refill(byId("summary"), JSON.stringify(figures), () =>
    figures.map(([what, figure]) =>
      make("div", {}, make("dt", {}, what), make("dd", {}, String(figure))),
    ),
  );
}

// Asking

function link(state, text) {
  byId("link").dataset.state = state;
  write(byId("link-text"), text);
}

function banner(text) {
  byId("banner").hidden = !text;
  write(byId("banner"), text);
}

function say(text, bad = false) {
  clearTimeout(silence);
  byId("said").toggleAttribute("data-bad", bad);
  write(byId("said"), text);
  if (text) silence = setTimeout(() => say(""), bad ? SAID_BAD_MS : SAID_MS);
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden || byId("token").open) return;
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  again = false;
  let wait = POLL_MS;
  try {
    showList(await ask("GET", `/api/operations?limit=${limit}`));
    failures = 0;
    banner("");
    link("live", "live");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return askForToken();
    failures += 1;
    wait = Math.min(LONGEST_WAIT_MS, POLL_MS * 2 ** failures);
    link("away", error.status ? "trouble" : "away");
    banner(`${error.message} Trying again in ${Math.round(wait / 1000)} s; what is shown may be old.`);
  } finally {
    asking = false;
  }
  timer = setTimeout(refresh, again ? 0 : wait);
}

async function control(verb, id, pressed, body) {
  pressed.disabled = true;
  try {
    await ask("POST", `/api/${verb}/${encodeURIComponent(id)}`, { body });
    say(`${id}: ${verb} accepted.`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) askForToken();
    say(`${id}: ${error.message}`, true);
  } finally {
    pressed.disabled = false;
  }
  refresh();
}

// Dialogs

function askForToken() {
  const dialog = byId("token");
  link("wait", "locked");
  write(byId("token-error"), hasToken() ? "This token is not the right one." : "");
  setToken(null);
  byId("forget").hidden = true;
  if (!dialog.open) dialog.showModal();
}

byId("token").addEventListener("cancel", (event) => event.preventDefault());
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(new FormData(event.target).get("token").trim());
  event.target.reset();
  byId("token").close();
  byId("forget").hidden = false;
  refresh();
});
byId("forget").addEventListener("click", () => {
  setToken(null);
  for (const card of cards.values()) card.root.remove();
  cards.clear();
  refresh();
});

let startKey = newKey();

function startRequest(form) {
  const given = new FormData(form);
  const videos = given.get("videos");
  const series = given.get("template") === "series";
  const lines = videos.split("\n").map((line) => line.trim()).filter(Boolean);
  const config = { characterPrompt: given.get("character").trim() };
  if (series) config.videoPrompts = lines;
  else config.videoPrompt = videos.trim();
  const body = { templateType: given.get("template"), config };
  const id = given.get("id").trim();
  if (id) return { body: { ...body, operationId: id } };
  return { body, headers: { "Idempotency-Key": startKey } }; // a second try starts no second one
}

byId("open-start").addEventListener("click", () => byId("start").showModal());
byId("start-cancel").addEventListener("click", () => byId("start").close());
byId("start-form").addEventListener("change", (event) => {
  if (event.target.name !== "template") return;
  const series = event.target.value === "series";
  write(byId("videos-label"), series ? "Videos, one on each line" : "Video");
});
// Another request is another operation: only the same one may be sent again under its key.
byId("start-form").addEventListener("input", () => (startKey = newKey()));
byId("start-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const pressed = event.submitter;
  if (pressed) pressed.disabled = true;
  write(byId("start-error"), "");
  try {
    const started = await ask("POST", "/api/template-workflow", startRequest(form));
    say(`${started.operationId}: started.`);
    startKey = newKey();
    form.reset();
    write(byId("videos-label"), "Video");
    byId("start").close();
    refresh();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    write(byId("start-error"), error.message);
    if (error.status === 401) askForToken();
  } finally {
    if (pressed) pressed.disabled = false;
  }
});

byId("more").addEventListener("click", () => {
  limit = Math.min(MOST, limit + PAGE);
  refresh();
});
document.addEventListener("visibilitychange", refresh);
byId("forget").hidden = !hasToken();
refresh();
