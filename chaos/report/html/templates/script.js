"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Whoever follows a link to something folded sees it.
  const reveal = (target) => {
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    reveal(target);
    target.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();

  // Print shows all of it.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    folded.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((each) => { each.open = false; }));

  // Commands can be copied.
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  };
  for (const button of all(".copy")) {
    const code = button.previousElementSibling;
    button.hidden = false;
    button.setAttribute("aria-label", `Copy: ${code.textContent}`);
    button.addEventListener("click", async () => {
      if (!(await copy(code.textContent))) getSelection().selectAllChildren(code);
      button.textContent = getSelection().toString() ? "Selected" : "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // What a drawing shows is told at once, by mouse, touch or arrow keys.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);
  let lit = null;
  const hide = () => {
    tip.hidden = true;
    lit?.classList.remove("lit");
    lit = null;
  };
  const show = (item) => {
    hide();
    lit = item;
    item.classList.add("lit");
    tip.textContent = item.dataset.told;
    tip.hidden = false;
    const box = item.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const left = Math.min(Math.max(12, box.left), innerWidth - size.width - 12);
    const above = box.top - size.height - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
  };
  for (const title of all("svg title")) {
    title.parentElement.dataset.told = title.textContent;
    title.remove();
  }
  const told = (event) => event.target.closest?.("[data-told]");
  addEventListener("pointerover", (event) => (told(event) ? show(told(event)) : hide()));
  addEventListener("pointerdown", (event) => (told(event) ? show(told(event)) : hide()));
  // The place is kept: focus by keyboard scrolls the page, and that is told of later.
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  const left = (item) => item.getBoundingClientRect().left;
  for (const box of all(".chart .scroll")) {
    box.addEventListener("blur", hide);
    box.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      const items = all("[data-told]", box).sort((a, b) => left(a) - left(b));
      const from = items.indexOf(lit);
      const next = items[from < 0 ? (step > 0 ? 0 : items.length - 1) : from + step];
      if (!next) return;
      const edge = box.getBoundingClientRect();
      const x = left(next) - edge.left;
      if (x < 110 || x > edge.width - 40) box.scrollLeft += x - edge.width / 2;
      show(next);
    });
  }

  // From one thing that did not pass to the next.
  addEventListener("keydown", (event) => {
    const step = { n: 1, p: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    const places = all("[data-trouble]");
    const at = places.findIndex((place) => place === document.activeElement || place.contains(document.activeElement));
    const next = places[at < 0 ? (step > 0 ? 0 : places.length - 1) : at + step];
    if (!next) return;
    const focus = next.querySelector("summary") ?? next;
    focus.focus({ preventScroll: true });
    next.scrollIntoView();
  });
})();
