// What makes pages live. Each of them does its work without it, too.
"use strict";

const EVERY_MS = 2000;
const SECOND_MS = 1000;

// The waiting page: the dots, the time that is left, and what to do when the answer is there.
function live(page) {
  const { state, over } = page.dataset;
  const left = page.querySelector("[data-left]");
  let ends = left ? Date.now() + Number(left.dataset.left) * SECOND_MS : 0;

  function tick() {
    const seconds = Math.max(0, Math.ceil((ends - Date.now()) / SECOND_MS));
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  function show(now) {
    if (now.verdict !== "waiting") {
      location.replace(over);
      return true;
    }
    ends = Date.now() + now.seconds * SECOND_MS;
    const reached = now.reached;
    for (const [index, step] of [...page.querySelectorAll("[data-step]")].entries()) {
      step.classList.toggle("reached", index < reached);
      step.classList.toggle("next", index === reached);
      const word = step.querySelector("[data-told]");
      const told = index < reached ? word.dataset.yes : word.dataset.no;
      if (word.textContent !== told) {
        word.textContent = told;
      }
    }
    const status = page.querySelector("[role=status]");
    if (status.textContent !== now.status) {
      status.textContent = now.status;
    }
    return false;
  }

  async function look() {
    let done = false;
    try {
      const answer = await fetch(state, { cache: "no-store", credentials: "same-origin" });
      if (answer.status === 403) {
        location.replace(over);
        done = true;
      } else if (answer.ok) {
        done = show(await answer.json());
      }
    } catch {
      // No network now: the next look may have one.
    }
    if (!done) {
      setTimeout(look, EVERY_MS);
    }
  }

  if (left) {
    setInterval(tick, SECOND_MS);
  }
  setTimeout(look, EVERY_MS);
}

// A code that may be sent in some seconds: then its button comes to life.
function countdown(place) {
  const ends = Date.now() + Number(place.dataset.countdown) * SECOND_MS;
  const timer = setInterval(() => {
    const seconds = Math.ceil((ends - Date.now()) / SECOND_MS);
    place.textContent = `${Math.floor(seconds / 60)}:${String(Math.max(0, seconds) % 60).padStart(2, "0")}`;
    if (seconds <= 0) {
      clearInterval(timer);
      location.reload();
    }
  }, SECOND_MS);
}

// A password that may be looked at.
function reveal(button) {
  const typed = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = typed.type === "text";
    typed.type = shown ? "password" : "text";
    button.firstElementChild.textContent = shown ? button.dataset.show : button.dataset.hide;
  });
  typed.form.addEventListener("submit", () => {
    typed.type = "password";
  });
}

// A page that goes on by itself when it has been read.
function forward(link) {
  setTimeout(() => location.replace(link.href), Number(link.dataset.forward) * SECOND_MS);
}

for (const [selector, begin] of [
  ["[data-state]", live],
  ["[data-countdown]", countdown],
  ["[data-reveal]", reveal],
  ["[data-forward]", forward],
]) {
  for (const found of document.querySelectorAll(selector)) {
    begin(found);
  }
}
