"use strict";
// The server renders complete pages. This script keeps a page current: when the server reports a change, it fetches the
// page again and replaces the parts marked data-live. Without JavaScript the page works, and must be reloaded by hand.
(() => {
  const parts = () => document.querySelectorAll("[data-live][id]");
  if (!document.getElementById("as-of")) return; // not signed in

  const pageUrl = document.body.dataset.page; // not the address: a refused order is shown at another one
  const openCase = /^\/case\/([a-z0-9]+)/.exec(pageUrl); // others see who has a case open
  const connectionAlarm = document.getElementById("lost");
  const SILENCE_MS = 25000; // the server sends a heartbeat every 10 s
  const PAUSE_MS = 2000; // between two refreshes
  let lastState = "", refreshedAt = Date.now(), receivedAt = Date.now(), busy = false, timer = 0;

  const showAlarm = (text) => {
    if (connectionAlarm.textContent !== text) connectionAlarm.textContent = text;
    connectionAlarm.hidden = !text;
  };

  // Replace one part, keeping what the user has opened, selected, scrolled or focused in it.
  const replacePart = (old, fresh) => {
    if (old.innerHTML === fresh.innerHTML && old.hidden === fresh.hidden) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...old.querySelectorAll("details[id]")].filter((one) => one.open).map((one) => one.id);
    const closed = [...old.querySelectorAll("details[id]")].filter((one) => !one.open).map((one) => one.id);
    const checked = [...old.querySelectorAll("input[type=radio]:checked")].map((one) => one.id);
    const selected = [...old.querySelectorAll("select[id]")].map((one) => [one.id, one.value]);
    const scrolled = [...old.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
    old.innerHTML = fresh.innerHTML;
    old.hidden = fresh.hidden;
    if (!("live" in fresh.dataset)) delete old.dataset.live; // a form to sign: it stays with what was shown
    const inside = (id) => (id ? old.querySelector(`#${CSS.escape(id)}`) : null);
    open.forEach((id) => { const one = inside(id); if (one) one.open = true; });
    closed.forEach((id) => { const one = inside(id); if (one) one.open = false; });
    checked.forEach((id) => { const one = inside(id); if (one) one.checked = true; });
    selected.forEach(([id, value]) => { const one = inside(id); if (one) one.value = value; });
    old.querySelectorAll(".scroll").forEach((one, i) => { if (scrolled[i]) [one.scrollLeft, one.scrollTop] = scrolled[i]; });
    const focus = inside(focused);
    if (focus) focus.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (busy) return;
    busy = true;
    refreshedAt = Date.now();
    try {
      const response = await fetch(pageUrl, { headers: { Accept: "text/html" }, redirect: "manual" });
      if (response.type === "opaqueredirect" || response.status === 401) { location.assign(pageUrl); return; }
      if (!response.ok) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      parts().forEach((old) => {
        const fresh = page.getElementById(old.id);
        if (fresh) replacePart(old, fresh);
      });
      // parts with a version are replaced as a whole when it changes: a script works in them
      page.querySelectorAll("main section[data-once][id]").forEach((fresh) => {
        const old = document.getElementById(fresh.id);
        if (!old || old.dataset.once === fresh.dataset.once) return;
        old.replaceWith(document.importNode(fresh, true));
        document.getElementById(fresh.id).dispatchEvent(new Event("part-replaced", { bubbles: true }));
      });
      // parts that did not exist when the page was loaded, such as beams, checks and results of a case
      page.querySelectorAll("main section:is([data-live], [data-once])[id]").forEach((fresh) => {
        if (document.getElementById(fresh.id)) return;
        let before = fresh.previousElementSibling;
        while (before && !(before.id && document.getElementById(before.id))) before = before.previousElementSibling;
        if (before) document.getElementById(before.id).after(document.importNode(fresh, true));
        else {
          let after = fresh.nextElementSibling;
          while (after && !(after.id && document.getElementById(after.id))) after = after.nextElementSibling;
          if (after) document.getElementById(after.id).before(document.importNode(fresh, true));
        }
        const added = document.getElementById(fresh.id);
        if (added) added.dispatchEvent(new Event("part-replaced", { bubbles: true }));
      });
    } catch { /* the stream reports that the server is gone */ } finally { busy = false; }
  };

  const scheduleRefresh = () => {
    if (timer || pageUrl === "/history") return;
    timer = setTimeout(() => { timer = 0; refresh(); }, Math.max(0, PAUSE_MS - (Date.now() - refreshedAt)));
  };

  const listen = () => {
    const stream = new EventSource(openCase ? `/live?case=${openCase[1]}` : "/live");
    stream.addEventListener("state", (event) => {
      receivedAt = Date.now();
      showAlarm("");
      const state = JSON.parse(event.data);
      const current = `${state.mark} ${state.running}`;
      if (current !== lastState || Date.now() - refreshedAt > 8000) scheduleRefresh();
      lastState = current;
    });
    stream.addEventListener("error", () => {
      const since = new Date(receivedAt).toLocaleTimeString();
      showAlarm(`The dashboard is not responding. This page shows the state of ${since} and may be out of date.`);
      if (stream.readyState !== EventSource.CLOSED) return; // it reconnects automatically
      refresh(); // if the session has ended, this leads to the sign-in page
      setTimeout(listen, 3000);
    });
  };
  listen();
  setInterval(() => {
    if (Date.now() - receivedAt > SILENCE_MS)
      showAlarm(`No update since ${new Date(receivedAt).toLocaleTimeString()}. This page may be out of date.`);
  }, 5000);

  // One order per click: a second click during the first request would send a second order.
  document.querySelectorAll("form[data-order]").forEach((form) => {
    form.addEventListener("submit", () => { form.querySelector("button").disabled = true; });
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-order] button").forEach((one) => { one.disabled = false; });
  });
  const problem = document.getElementById("problem");
  if (problem) { problem.tabIndex = -1; problem.focus(); }
})();
