// What makes pages live. Each of them does its work without it, too.
"use strict";

const SECOND_MS = 1000;
// Between two looks, in seconds: ever longer, and as at first again when something has happened.
const STEPS = [1, 2, 3, 5, 8, 15];
const SHORT_STEPS = 4; // So many of them where there is nowhere to wait.
const TOLD = 20; // While changes are told: in case one was not, as that of a freeze.
const HIDDEN = 60; // While nobody sees the page; its session would end without a sign of life.
const LEAST = 1; // Whoever says that something changed, and however often.
const LONGEST = 10; // For one look.
const SPREAD = 0.4; // Pages that lost the same process do not come all at once.

// Seconds until the next look.
function pause({ looks, told, hidden, waits }) {
  if (hidden) {
    return HIDDEN;
  }
  const last = (waits ? STEPS.length : SHORT_STEPS) - 1;
  const step = told ? TOLD : STEPS[Math.min(looks, last)];
  return step * (1 + SPREAD * (Math.random() - 0.5));
}

// Looks after each pause, and when `wait`, a stream of events, says that something changed: a hint,
// of which nothing but the word is believed. `ask` looks; it gives whether anything moved, or null
// when nothing is waited for any more, and throws when no answer came. Then `goOn` is called, once.
// `leftMs` gives how long it is until what is waited for is over by itself.
class Looking {
  constructor({ wait, ask, goOn, leftMs }) {
    Object.assign(this, { wait, ask, goOn, leftMs });
    this.stream = null;
    this.told = false; // Whether the stream is open.
    this.timer = 0;
    this.looks = 0; // Since something happened.
    this.lookedAt = -Infinity;
    this.looking = false;
    this.again = false; // Something changed while we looked.
    this.failed = false; // The last look.
    this.over = false;
  }

  begin() {
    document.addEventListener("visibilitychange", () => {
      this.looks = 0;
      if (document.visibilityState === "visible") {
        this.hear();
      } else if (!this.looking && !this.over) {
        this.plan();
      }
    });
    this.listen();
    this.plan();
  }

  // The browser itself opens a stream again that broke, but not one that was refused.
  listen() {
    if (!this.wait || (this.stream && this.stream.readyState !== EventSource.CLOSED)) {
      return;
    }
    this.stream = new EventSource(this.wait);
    this.stream.onmessage = () => this.hear();
    this.stream.onopen = () => {
      this.told = true;
    };
    this.stream.onerror = () => {
      if (this.told) {
        this.told = false;
        this.looks = 0;
        this.hear();
      }
    };
  }

  hear() {
    this.again = this.looking;
    if (!this.looking && !this.over) {
      this.lookIn(this.lookedAt + LEAST * SECOND_MS - performance.now());
    }
  }

  plan() {
    const seconds = pause({
      looks: this.looks,
      told: this.told && !this.failed,
      hidden: document.visibilityState === "hidden",
      waits: Boolean(this.wait),
    });
    const next = seconds * SECOND_MS;
    const left = this.leftMs();
    this.lookIn(left > 0 ? Math.min(next, left + SECOND_MS) : next);
  }

  lookIn(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), Math.max(0, ms));
  }

  async look() {
    this.looking = true;
    this.again = false;
    this.looks += 1;
    this.lookedAt = performance.now();
    let moved = false;
    try {
      moved = await this.ask(AbortSignal.timeout?.(LONGEST * SECOND_MS));
      this.looks = moved ? 0 : this.looks;
      this.failed = false;
    } catch {
      this.failed = true; // No network now: the next look may have one.
    }
    this.looking = false;
    if (this.over) {
      return;
    }
    if (moved === null) {
      this.end();
      this.goOn();
      return;
    }
    this.listen();
    if (this.again) {
      this.hear();
    } else {
      this.plan();
    }
  }

  end() {
    this.over = true;
    clearTimeout(this.timer);
    this.stream?.close();
  }
}

// The waiting page: the dots, the time that is left, and what to do when the answer is there.
function live(page) {
  const { state, over, wait } = page.dataset;
  const left = page.querySelector("[data-left]");
  let ends = left ? Date.now() + Number(left.dataset.left) * SECOND_MS : 0;

  function tick() {
    const seconds = Math.max(0, Math.ceil((ends - Date.now()) / SECOND_MS));
    left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  function show(now) {
    ends = Date.now() + now.seconds * SECOND_MS;
    const reached = now.reached;
    const steps = [...page.querySelectorAll("[data-step]")];
    const before = steps.filter((step) => step.classList.contains("reached")).length;
    for (const [index, step] of steps.entries()) {
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
    return steps.length > 0 && reached !== before;
  }

  async function ask(signal) {
    const answer = await fetch(state, { cache: "no-store", credentials: "same-origin", signal });
    const isOver = answer.status === 403;
    if (!isOver && !answer.ok) {
      throw new Error(String(answer.status));
    }
    const now = isOver ? null : await answer.json();
    // Opened before the signer was asked, the page has neither the text nor the number.
    const isAsked = !left && now?.seconds > 0;
    return now?.verdict !== "waiting" || isAsked ? null : show(now);
  }

  if (left) {
    setInterval(tick, SECOND_MS);
  }
  const goOn = () => location.replace(over);
  const looking = new Looking({ wait, ask, goOn, leftMs: () => ends - Date.now() });
  looking.begin();
  // Who calls it off goes where that leads: what came of it is no reason to go elsewhere meanwhile.
  addEventListener("submit", () => looking.end());
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
