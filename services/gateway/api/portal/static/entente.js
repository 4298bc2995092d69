// The portal's one script. Every page works without it. With it: pages follow what happens, a registration is checked
// while it is typed, countdowns run. Nothing is shown that the server did not render.
"use strict";
(() => {
  const PAUSE_MS = 300, CHECK_MS = 600, SAY_MS = 5000, TICK_MS = 30000, WAIT_MAX_MS = 2000, AGAIN_MS = 1000, AGAIN_MAX_MS = 30000;
  const now = document.querySelector('meta[name="entente-now"]');
  const ahead = now ? Date.parse(now.content) - Date.now() : 0;
  const live = document.getElementById("live");
  const byId = (id) => document.getElementById(id);

  // An address that says "done" or "at" is about the page as it was opened.
  const opened = location.href, address = new URL(opened);
  const done = address.searchParams.get("at") || "";
  if (address.searchParams.has("done") || address.searchParams.has("at")) {
    address.searchParams.delete("done");
    address.searchParams.delete("at");
    history.replaceState(null, "", address);
  }

  // The menu is open beside the page, and closed above it on a phone.
  const nav = document.querySelector("details.nav");
  const wide = matchMedia("(min-width: 50.01rem)");
  const fit = () => { if (nav) nav.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
  if (wide.matches) nav?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.me[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(wide.matches ? "details.me[open]" : "details.me[open], details.nav[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });

  // A form that was refused says so to who cannot see it.
  document.querySelector('[role="alert"]')?.focus();

  // What happens is said at most once in five seconds.
  let saidAt = 0;
  const say = (text) => {
    if (Date.now() - saidAt < SAY_MS || !byId("said")) return;
    saidAt = Date.now();
    byId("said").textContent = text;
  };

  // Fragments: replaced by what the server renders now, unless somebody is typing in them, or has typed something.
  const FIELDS = "input, select, textarea";
  const filled = (field) => {
    if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
    if (!field.matches("select")) return field.value !== field.defaultValue;
    return field.selectedIndex !== Math.max([...field.options].findIndex((one) => one.defaultSelected), 0);
  };
  const typing = (part) => part.contains(document.activeElement) && document.activeElement.matches(FIELDS);
  const busy = (part) => typing(part) || [...part.querySelectorAll(FIELDS)].some(filled);
  const swap = (part, fresh) => {
    const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const before = part.innerHTML;
    part.innerHTML = fresh.innerHTML;
    for (const id of open) if (byId(id)) byId(id).open = true;
    tick();
    localise();
    fingerprints();
    if (focused) part.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    if (before === part.innerHTML) return false;
    part.classList.remove("fresh");
    void part.offsetWidth;
    part.classList.add("fresh");
    return true;
  };
  const fetched = async (url, options) => {
    const answer = await fetch(url, { credentials: "same-origin", ...options });
    if (answer.status >= 500) throw new Error("the server cannot answer now");
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };
  // True once the page shows all that happened up to the places; it is asked again until then.
  const refresh = async (ids, places) => {
    const at = Object.entries(places).map(([source, position]) => `${source}=${position}`).join(", ");
    const page = await fetched(location.href, { headers: { "entente-at-least": at } });
    if (!page.querySelector('meta[name="entente-now"]')) return gone();
    let changed = false;
    for (const id of ids) {
      const part = byId(id), fresh = page.getElementById(id);
      if (part && fresh && !busy(part)) changed = swap(part, fresh) || changed;
    }
    if (changed) say(live.dataset.changed);
    return !page.querySelector('meta[name="entente-late"]');
  };

  // The live stream: an event refreshes the fragments that it concerns.
  const waiting = { ids: new Set(), places: {}, timer: 0, since: 0, running: false, failed: 0 };
  let stream = null;
  const off = () => { live.textContent = live.dataset.off; };
  const pause = (times) => Math.min(AGAIN_MS * 2 ** times, AGAIN_MAX_MS);
  // Somebody who is not signed in any more is told nothing more.
  const gone = () => { stream?.close(); stream = null; off(); return true; };
  const concerns = (part, event, text) => {
    if (!part.dataset.live.split(" ").includes(event.source)) return false;
    const about = (part.dataset.about || "").split(" ").filter(Boolean);
    return about.length === 0 || about.some((id) => text.includes(id));
  };
  const flush = async () => {
    if (waiting.running || waiting.ids.size === 0) return;
    const ids = [...waiting.ids], places = { ...waiting.places };
    waiting.ids.clear();
    waiting.since = 0;
    waiting.running = true;
    const shown = await refresh(ids, places).catch(off);
    waiting.running = false;
    waiting.failed = shown ? 0 : waiting.failed + 1;
    if (!shown) for (const id of ids) waiting.ids.add(id);
    if (waiting.ids.size) waiting.timer = setTimeout(flush, shown ? PAUSE_MS : pause(waiting.failed - 1));
    else if (stream?.readyState === EventSource.OPEN) live.textContent = live.dataset.on;
  };
  const happened = (message) => {
    const event = JSON.parse(message.data);
    waiting.places[event.source] = event.position;
    for (const part of document.querySelectorAll("[data-live]")) if (concerns(part, event, message.data)) waiting.ids.add(part.id);
    if (waiting.ids.size === 0) return;
    waiting.since = waiting.since || Date.now();
    clearTimeout(waiting.timer);
    waiting.timer = setTimeout(flush, Date.now() - waiting.since > WAIT_MAX_MS ? 0 : PAUSE_MS);
  };
  const names = document.querySelector('meta[name="entente-events"]');
  if (names && document.querySelector("[data-live]")) {
    let cursor = document.querySelector('meta[name="entente-cursor"]').content, failed = 0;
    // The browser opens a cut stream again; one that was refused stays shut, and is asked for again here.
    const open = () => {
      stream = new EventSource(cursor ? `/v1/stream?cursor=${encodeURIComponent(cursor)}` : "/v1/stream");
      const heard = (message) => { cursor = message.lastEventId || cursor; happened(message); };
      for (const name of names.content.split(" ")) stream.addEventListener(name, heard);
      stream.addEventListener("open", () => { failed = 0; live.textContent = live.dataset.on; });
      stream.addEventListener("error", () => {
        off();
        if (stream?.readyState === EventSource.CLOSED) setTimeout(() => { if (stream) open(); }, pause(failed++));
      });
    };
    open();
    addEventListener("pagehide", () => stream?.close());
    // The events of what the reader has just done were told before this page: a page that lags behind them asks again.
    if (document.querySelector('meta[name="entente-late"]')) {
      waiting.places = Object.fromEntries(done.split(",").map((place) => place.trim().split("=")));
      for (const part of document.querySelectorAll("[data-live]")) waiting.ids.add(part.id);
      waiting.timer = setTimeout(flush, PAUSE_MS);
    }
  }

  // A page without live parts that lags behind what the reader has just done is asked for whole, as it was opened.
  const again = async (times) => {
    const page = await fetched(opened).catch(() => null), main = byId("main");
    if (page && !page.querySelector('meta[name="entente-now"]')) return;
    const typing = busy(main);
    if (page && !typing) swap(main, page.getElementById("main"));
    if (!page || typing || page.querySelector('meta[name="entente-late"]')) setTimeout(again, pause(times), times + 1);
  };
  if (done && document.querySelector('meta[name="entente-late"]') && !document.querySelector("[data-live]")) again(0);

  // A registration is checked while it is typed; an answer that comes late is not shown.
  for (const form of document.querySelectorAll("form[data-preview]")) {
    let timer = 0, asked = 0;
    const check = async () => {
      const filled = [...form.elements].every((field) => !field.required || (field.value && field.checkValidity()));
      const chosen = [...form.querySelectorAll("fieldset[data-required]")].every((group) => group.querySelector(":checked"));
      if (!filled || !chosen || !byId("preview")) return;
      const mine = ++asked;
      try {
        const page = await fetched(form.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        const fresh = page.getElementById("preview");
        if (mine === asked && fresh) swap(byId("preview"), fresh);
      } catch {
        // The button still checks.
      }
    };
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, CHECK_MS); });
  }

  // A document is named by its fingerprint, which is taken here: the file itself goes nowhere.
  const fingerprints = () => {
    if (crypto.subtle) for (const one of document.querySelectorAll("[data-fingerprint]")) one.hidden = false;
  };
  document.addEventListener("change", async ({ target }) => {
    const file = target.closest("[data-fingerprint]") && target.files[0];
    if (!file) return;
    const digits = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    target.form.elements.sha256.value = [...digits].map((one) => one.toString(16).padStart(2, "0")).join("");
  });
  fingerprints();

  // Countdowns, by the server's clock.
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  const UNITS = [["day", 86400000], ["hour", 3600000], ["minute", 60000]];
  const tick = () => {
    for (const one of document.querySelectorAll("time[data-until]")) {
      const left = Date.parse(one.dataset.until) - Date.now() - ahead;
      const [unit, size] = UNITS.find(([, ms]) => Math.abs(left) >= ms) || UNITS[2];
      one.textContent = words.format(Math.trunc(left / size), unit);
    }
  };
  tick();
  setInterval(tick, TICK_MS);

  // A deadline is in the programme's zone; where the reader's clock shows another time, that stands beside it.
  const shape = { dateStyle: "medium", timeStyle: "short" };
  const yours = new Intl.DateTimeFormat(navigator.language, shape);
  const zone = document.querySelector('meta[name="entente-zone"]');
  const theirs = zone && new Intl.DateTimeFormat(navigator.language, { ...shape, timeZone: zone.content });
  const localise = () => {
    for (const one of document.querySelectorAll("time[data-yours]")) {
      const at = new Date(one.dateTime);
      if (theirs && yours.format(at) !== theirs.format(at)) one.textContent += ` (${yours.format(at)} ${one.dataset.yours})`;
      delete one.dataset.yours;
    }
  };
  localise();
})();
