// Moments in the reader's own time zone, and in words where they are near.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

// words says how far a moment is away, within a week.
export function words(date, now = new Date()) {
  const seconds = Math.round((date - now) / 1000);
  if (Math.abs(seconds) < 45) return "just now";
  if (Math.abs(seconds) > 7 * 86400) return exact.format(date);
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return relative.format(Math.round(seconds / length), unit);
  }
  return relative.format(Math.sign(seconds), "minute");
}

export function ready(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    element.title = exact.format(date);
    element.textContent = words(date);
  }
}
