// Keeps "2 min ago" true. The words are those of `ago_words` in apps/common/templatetags/ui.py.
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const EVERY_MS = 5000;

export function words(seconds) {
  const distance = Math.abs(seconds);
  if (distance < 5) return "now";
  const [unit, size] = UNITS.find(([, size]) => distance >= size);
  const text = `${Math.floor(distance / size)} ${unit}`;
  return seconds < 0 ? `in ${text}` : `${text} ago`;
}

export function keepTimes() {
  setInterval(() => {
    if (document.hidden) return;
    for (const element of document.querySelectorAll("time[data-ago]")) {
      const text = words((Date.now() - Date.parse(element.dateTime)) / 1000);
      if (element.textContent !== text) element.textContent = text;
    }
  }, EVERY_MS);
}
