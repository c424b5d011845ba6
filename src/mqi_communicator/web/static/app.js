"use strict";
// The page comes whole from the server. This makes it live: when the server says that something is new, the page is
// fetched once more and the parts marked data-live are exchanged. Without JavaScript the page works, and is reloaded.
(() => {
  const parts = () => document.querySelectorAll("[data-live][id]");
  if (!document.getElementById("as-of")) return; // not signed in

  const here = document.body.dataset.page; // not the address: an order that was refused is shown at another
  const lost = document.getElementById("lost");
  const QUIET_MS = 25000; // the server says a word every 10 s
  const PAUSE_MS = 2000; // between two looks
  let mark = "", looked = Date.now(), heard = Date.now(), busy = false, again = 0;

  const say = (words) => {
    if (lost.textContent !== words) lost.textContent = words;
    lost.hidden = !words;
  };

  // Exchange one part; what a person has opened, chosen, scrolled or focused there stays so.
  const exchange = (old, fresh) => {
    if (old.innerHTML === fresh.innerHTML && old.hidden === fresh.hidden) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...old.querySelectorAll("details[id]")].filter((one) => one.open).map((one) => one.id);
    const shut = [...old.querySelectorAll("details[id]")].filter((one) => !one.open).map((one) => one.id);
    const chosen = [...old.querySelectorAll("input[type=radio]:checked")].map((one) => one.id);
    const picked = [...old.querySelectorAll("select[id]")].map((one) => [one.id, one.value]);
    const scrolled = [...old.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
    old.innerHTML = fresh.innerHTML;
    old.hidden = fresh.hidden;
    const inside = (id) => (id ? old.querySelector(`#${CSS.escape(id)}`) : null);
    open.forEach((id) => { const one = inside(id); if (one) one.open = true; });
    shut.forEach((id) => { const one = inside(id); if (one) one.open = false; });
    chosen.forEach((id) => { const one = inside(id); if (one) one.checked = true; });
    picked.forEach(([id, value]) => { const one = inside(id); if (one) one.value = value; });
    old.querySelectorAll(".scroll").forEach((one, i) => { if (scrolled[i]) [one.scrollLeft, one.scrollTop] = scrolled[i]; });
    const focus = inside(focused);
    if (focus) focus.focus({ preventScroll: true });
  };

  const look = async () => {
    if (busy) return;
    busy = true;
    looked = Date.now();
    try {
      const answer = await fetch(here, { headers: { Accept: "text/html" }, redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) { location.assign(here); return; }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      parts().forEach((old) => {
        const fresh = page.getElementById(old.id);
        if (fresh) exchange(old, fresh);
      });
      // parts that were not there when the page was loaded: a case gets beams, checks, results
      page.querySelectorAll("main section[data-live][id]").forEach((fresh) => {
        if (document.getElementById(fresh.id)) return;
        let before = fresh.previousElementSibling;
        while (before && !(before.id && document.getElementById(before.id))) before = before.previousElementSibling;
        if (before) document.getElementById(before.id).after(document.importNode(fresh, true));
        else {
          let after = fresh.nextElementSibling;
          while (after && !(after.id && document.getElementById(after.id))) after = after.nextElementSibling;
          if (after) document.getElementById(after.id).before(document.importNode(fresh, true));
        }
      });
    } catch { /* the stream tells that the server is gone */ } finally { busy = false; }
  };

  const soon = () => {
    if (again || here === "/history") return;
    again = setTimeout(() => { again = 0; look(); }, Math.max(0, PAUSE_MS - (Date.now() - looked)));
  };

  const listen = () => {
    const stream = new EventSource("/live");
    stream.addEventListener("state", (event) => {
      heard = Date.now();
      say("");
      const news = JSON.parse(event.data);
      const now = `${news.mark} ${news.running}`;
      if (now !== mark || Date.now() - looked > 8000) soon();
      mark = now;
    });
    stream.addEventListener("error", () => {
      const since = new Date(heard).toLocaleTimeString();
      say(`The dashboard does not answer. What you see is from ${since}, and may no longer be so.`);
      if (stream.readyState !== EventSource.CLOSED) return; // it tries again by itself
      look(); // perhaps somebody was signed out: then this leads to the page for signing in
      setTimeout(listen, 3000);
    });
  };
  listen();
  setInterval(() => {
    if (Date.now() - heard > QUIET_MS)
      say(`The dashboard has been silent since ${new Date(heard).toLocaleTimeString()}. What you see may no longer be so.`);
  }, 5000);

  // One order a click: a second press while the first is under way would be a second order.
  document.querySelectorAll("form[data-order]").forEach((form) => {
    form.addEventListener("submit", () => { form.querySelector("button").disabled = true; });
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-order] button").forEach((one) => { one.disabled = false; });
  });
  const problem = document.getElementById("problem");
  if (problem) { problem.tabIndex = -1; problem.focus(); }
})();
