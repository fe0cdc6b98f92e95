// How long revealed values stay, kept in this browser, and the small menu for it.
const name = "heartlock.values";
const defaults = { after: 60, away: true, keys: true };

export function read() {
  try {
    return { ...defaults, ...JSON.parse(localStorage.getItem(name) ?? "{}") };
  } catch {
    return { ...defaults }; // the browser keeps nothing for us
  }
}

export function settings(root, changed = () => {}) {
  const now = read();
  const menu = root.querySelector("[data-value-settings]");
  for (const radio of menu.querySelectorAll("[name=hide-after]")) radio.checked = Number(radio.value) === now.after;
  const away = menu.querySelector("[name=hide-away]");
  const keys = menu.querySelector("[name=keys]");
  away.checked = now.away;
  if (keys) keys.checked = now.keys;
  menu.addEventListener("change", () => {
    now.after = Number(menu.querySelector("[name=hide-after]:checked").value);
    now.away = away.checked;
    if (keys) now.keys = keys.checked;
    try {
      localStorage.setItem(name, JSON.stringify(now));
    } catch { /* it holds for this page */ }
    changed();
  });
  return now;
}

// Hider takes values out of the page when their time has come: after the seconds of
// the settings, when the tab is hidden, and when the page is left.
export class Hider {
  constructor(now) {
    this.now = now;
    this.shown = new Map(); // what hides it -> timer
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && this.now.away) this.all();
    });
    addEventListener("pagehide", () => this.all());
  }

  // later has hide called once, at its time.
  later(hide) {
    this.done(hide);
    const timer = this.now.after ? setTimeout(() => { this.shown.delete(hide); hide(); }, this.now.after * 1000) : 0;
    this.shown.set(hide, timer);
  }

  done(hide) {
    clearTimeout(this.shown.get(hide));
    this.shown.delete(hide);
  }

  // anew starts all times again, after the settings have changed.
  anew() { for (const hide of [...this.shown.keys()]) this.later(hide); }

  all() {
    for (const [hide, timer] of [...this.shown]) {
      clearTimeout(timer);
      this.shown.delete(hide);
      hide();
    }
  }
}
