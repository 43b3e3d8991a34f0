// Keeps the page up to date: asks for what changes all the time and, when its stamp changes, takes over the other parts.
"use strict";

const BUSY = 1500, IDLE = 5000, PATIENCE = 8000; // milliseconds: between looks, and for an answer
let timer = null, asking = null;

async function text(url) {
  const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(PATIENCE)]);
  const answer = await fetch(url, { cache: "no-store", signal: signal, headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.status);
  return answer.text();
}

// False if something that somebody is using stayed as it was.
async function takeOver() {
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

async function look() {
  const now = document.querySelector("[data-now]");
  if (!now) {
    await takeOver();
    return IDLE;
  }
  const found = JSON.parse(await text(now.dataset.now));
  if (now.dataset.html !== found.html) now.innerHTML = now.dataset.html = found.html;
  const said = document.getElementById("said");
  if (said.dataset.last && said.dataset.last !== found.said) said.textContent = found.said; // is read aloud
  said.dataset.last = found.said;
  if (found.stamp !== now.dataset.stamp && await takeOver()) now.dataset.stamp = found.stamp;
  return found.busy ? BUSY : IDLE;
}

async function keepLooking() {
  asking?.abort(); // an answer that was on its way when the computer fell asleep may never come
  const mine = asking = new AbortController();
  clearTimeout(timer);
  let pause = IDLE, lost = false;
  try {
    pause = await look();
  } catch {
    lost = true; // the backend is restarted, or the network away: the next look may do
  }
  if (mine !== asking) return; // another look has begun
  document.querySelector(".stale").hidden = !lost;
  if (!document.hidden) timer = setTimeout(keepLooking, pause);
}

// At once after sleep, after another tab, after the network was away.
document.addEventListener("visibilitychange", () => { if (!document.hidden) keepLooking(); });
addEventListener("online", keepLooking);
addEventListener("pageshow", keepLooking);
