// Keeps the page up to date: polls the project's state and, when its stamp changes, replaces the other parts.
"use strict";

const BUSY = 1500, IDLE = 5000, PATIENCE = 8000; // milliseconds: between polls, and until a timeout
let timer = null, pending = null;

async function text(url) {
  const signal = AbortSignal.any([pending.signal, AbortSignal.timeout(PATIENCE)]);
  const answer = await fetch(url, { cache: "no-store", signal: signal, headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.status);
  return answer.text();
}

// Replaces the parts that changed. False if a part stayed as it was because one of its controls has the focus.
async function replaceParts() {
  const page = new DOMParser().parseFromString(await text(location.pathname), "text/html");
  const used = document.activeElement?.matches("a, button, select") ? document.activeElement : null;
  let all = true;
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh || fresh.innerHTML === part.dataset.last) continue;
    if (part.contains(used)) {
      all = false;
      continue;
    }
    const opened = [...part.querySelectorAll("details")].map((each) => each.open);
    const at = [...part.querySelectorAll("summary")].indexOf(document.activeElement);
    if (typeof forget === "function") forget(part);
    part.dataset.last = part.innerHTML = fresh.innerHTML;
    part.querySelectorAll("details").forEach((each, i) => { each.open = opened[i] ?? false; });
    part.querySelectorAll("summary")[at]?.focus();
    if (typeof drawAll === "function") drawAll(part);
  }
  return all;
}

async function poll() {
  const now = document.querySelector("[data-now]");
  if (!now) {
    await replaceParts();
    return IDLE;
  }
  const found = JSON.parse(await text(now.dataset.now));
  if (now.dataset.html !== found.html) now.innerHTML = now.dataset.html = found.html;
  const spoken = document.getElementById("announcement"); // read aloud by screen readers when it changes
  if (spoken.dataset.last && spoken.dataset.last !== found.announcement) spoken.textContent = found.announcement;
  spoken.dataset.last = found.announcement;
  if (found.stamp !== now.dataset.stamp && await replaceParts()) now.dataset.stamp = found.stamp;
  return found.busy ? BUSY : IDLE;
}

async function keepPolling() {
  pending?.abort(); // a request from before the computer slept may never be answered
  const mine = pending = new AbortController();
  clearTimeout(timer);
  let pause = IDLE, lost = false;
  try {
    pause = await poll();
  } catch {
    lost = true; // backend or network down: the next poll may succeed
  }
  if (mine !== pending) return; // another poll has started
  document.querySelector(".stale").hidden = !lost;
  if (!document.hidden) timer = setTimeout(keepPolling, pause);
}

// Poll at once after sleep, a change of tabs, or a network outage.
document.addEventListener("visibilitychange", () => { if (!document.hidden) keepPolling(); });
addEventListener("online", keepPolling);
addEventListener("pageshow", keepPolling);
