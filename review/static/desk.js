// Keys, focus and announcements. Every page works without it: each key presses something that is on the page.
//
//   data-key="c o"     presses this link or button; several keys are separated by spaces
//   data-go="q"        the same after g
//   data-reason        a button that needs a reason: without one the focus goes there first
//   data-focus         takes the focus when it appears

const STORED = "openness-keys-off";
const GO_MILLISECONDS = 1500;

let waitsForGo = 0;
let chosen = null;

const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function keysAreOff() {
  try {
    return localStorage.getItem(STORED) === "1";
  } catch {
    return false; // Storage is denied: keys are on.
  }
}

function isTyping(element) {
  return element instanceof HTMLElement &&
    (element.isContentEditable || /^(input|textarea|select)$/i.test(element.tagName)) &&
    !/^(checkbox|radio|button|submit)$/i.test(element.type || "");
}

function isShown(element) {
  return element.getClientRects().length > 0 && !element.disabled;
}

function isBusy() {
  return find(".htmx-request") !== null;
}

function pressed(key) {
  if (waitsForGo && Date.now() < waitsForGo) {
    waitsForGo = 0;
    return all("[data-go]").find((element) => element.dataset.go === key);
  }
  return all("[data-key]").find((element) => element.dataset.key.split(" ").includes(key) && isShown(element));
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (event.key === "Escape" && isTyping(event.target)) {
    // Back from a field to the keys, the text kept.
    event.target.blur();
    focusOn(find("#content h1") || find("#content"));
    return;
  }
  if (event.key === "Enter" && event.target.matches?.("[name=reason]") && !event.shiftKey) {
    sendReason(event);
    return;
  }
  if (keysAreOff() || isTyping(event.target) || find("dialog[open]") || isBusy()) return;
  if (event.key === "g") {
    waitsForGo = Date.now() + GO_MILLISECONDS;
    return;
  }
  const element = pressed(event.key);
  if (!element) return;
  event.preventDefault();
  if (element.matches("summary")) {
    element.parentElement.open = true;
    find("input, textarea", element.parentElement)?.focus();
  } else if (element.matches("[data-row]")) {
    element.focus();
  } else {
    element.click();
  }
}

// A class, a rejection, a deferral: the reason first.
function onClick(event) {
  const button = event.target.closest?.("button");
  if (!button) return;
  if (button.matches("[data-help]")) {
    find("#help")?.showModal();
    return;
  }
  if (button.matches("[data-reason]")) {
    const reason = find("[name=reason]", button.form);
    if (!reason || reason.value.trim()) return;
    event.preventDefault();
    choose(button);
    reason.focus();
  }
}

function choose(button) {
  chosen = button;
  for (const other of all("[data-reason]", button.form)) other.setAttribute("aria-pressed", String(other === button));
  const hint = find("[data-hint]", button.form);
  if (hint) hint.textContent = `${button.dataset.reason}: say why, then press Enter.`;
}

function sendReason(event) {
  const form = event.target.form;
  if (!chosen || chosen.form !== form) return;
  event.preventDefault();
  if (event.target.value.trim()) {
    form.requestSubmit(chosen);
  }
}

// Rows of a list: j and k go from one to the next.
function walk(step) {
  const rows = all("[data-rows] a[data-row]");
  if (!rows.length) return false;
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + step))].focus();
  return true;
}

function onWalk(event) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  if (keysAreOff() || isTyping(event.target) || find("dialog[open]")) return;
  const step = { j: 1, k: -1 }[event.key];
  if (step && walk(step)) event.preventDefault();
}

function focusOn(element) {
  if (!element) return;
  if (!element.hasAttribute("tabindex")) element.setAttribute("tabindex", "-1");
  element.focus({ preventScroll: false });
}

function settle(within) {
  chosen = null;
  for (const box of all("[data-keys-off]", within)) box.checked = keysAreOff();
}

document.addEventListener("keydown", onWalk);
document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-keys-off]")) {
    try {
      if (event.target.checked) localStorage.setItem(STORED, "1");
      else localStorage.removeItem(STORED);
    } catch {
      // Storage is denied: the choice lasts as long as the page, which is to say not at all.
    }
  }
});

// After a part of the page was exchanged the focus would be nowhere.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target?.id !== "content" && event.detail.elt?.id !== "content") return;
  settle(document);
  focusOn(find("#content [data-focus]") || find("#content h1"));
});

// What cannot be had by a script is had the plain way, sign-in pages above all.
document.addEventListener("htmx:sendError", () => {
  const said = find("#said");
  if (said) said.innerHTML = "<p>The desk does not answer. Nothing was sent; try again.</p>";
});

settle(document);
const first = find("#content [data-focus]");
if (first) focusOn(first);
