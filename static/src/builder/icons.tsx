/** The few pictures that the builder needs, drawn as in the sprite of the other pages (Lucide, ISC). */

const PATHS: Record<string, string> = {
  agent: "M12 8V4H8M4 8h16v12H4zM2 14h2M20 14h2M15 13v2M9 13v2",
  tool: "M14.7 6.3a1 1 0 0 0 0 1.4l1.6 1.6a1 1 0 0 0 1.4 0l3.8-3.8a6 6 0 0 1-7.9 7.9l-6.9 6.9a2.1 2.1 0 0 1-3-3l6.9-6.9a6 6 0 0 1 7.9-7.9z",
  set: "M8 3H7a2 2 0 0 0-2 2v5a2 2 0 0 1-2 2 2 2 0 0 1 2 2v5a2 2 0 0 0 2 2h1M16 21h1a2 2 0 0 0 2-2v-5a2 2 0 0 1 2-2 2 2 0 0 1-2-2V5a2 2 0 0 0-2-2h-1",
  map: "M4 6h5M4 12h5M4 18h5M13 6l3-2v4zM13 12l3-2v4zM13 18l3-2v4zM19 6h1M19 12h1M19 18h1",
  workflow: "M3 3h8v8H3zM7 11v4a2 2 0 0 0 2 2h4M13 13h8v8h-8z",
  approval: "M16 21v-2a4 4 0 0 0-4-4H6a4 4 0 0 0-4 4v2M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8M16 11l2 2 4-4",
  wait: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M12 7v5l3 2",
  fail: "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9zM12 8v4M12 16h.01",
  note: "M15 3H5a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h14a2 2 0 0 0 2-2V9zM15 3v6h6",
  plus: "M5 12h14M12 5v14",
  search: "M11 19a8 8 0 1 0 0-16 8 8 0 0 0 0 16M21 21l-4.3-4.3",
  undo: "M9 14 4 9l5-5M4 9h10.5a5.5 5.5 0 0 1 0 11H11",
  redo: "m15 14 5-5-5-5M20 9H9.5a5.5 5.5 0 0 0 0 11H13",
  play: "m6 3 14 9-14 9z",
  check: "m5 12 5 5L20 7",
  alert: "M12 3 2 20h20zM12 10v4M12 17h.01",
  pin: "M12 17v5M5 17h14v-1.8a2 2 0 0 0-1.1-1.8l-1.8-.9A2 2 0 0 1 15 10.8V6a2 2 0 0 0 0-4H9a2 2 0 0 0 0 4v4.8a2 2 0 0 1-1.1 1.7l-1.8.9A2 2 0 0 0 5 15.2z",
  trash: "M3 6h18M8 6V4h8v2M6 6l1 15h10l1-15",
  copy: "M9 9h12v12H9zM5 15H3V3h12v2",
  tidy: "M3 3h7v7H3zM14 3h7v7h-7zM14 14h7v7h-7zM3 14h7v7H3z",
  group: "M3 7V5a2 2 0 0 1 2-2h2M17 3h2a2 2 0 0 1 2 2v2M21 17v2a2 2 0 0 1-2 2h-2M7 21H5a2 2 0 0 1-2-2v-2M7 7h6v6H7zM11 11h6v6h-6z",
  fold: "M7 20l5-5 5 5M7 4l5 5 5-5",
  unfold: "M7 15l5 5 5-5M7 9l5-5 5 5",
  close: "M18 6 6 18M6 6l12 12",
  running: "M21 12a9 9 0 1 1-6.2-8.6",
  completed: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18m-4-9 3 3 5-6",
  failed: "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9zM12 8v4M12 16h.01",
  waiting: "M9 5v14M15 5v14",
  retrying: "M3 12a9 9 0 1 0 3-6.7L3 8M3 3v5h5",
  queued: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18",
  skipped: "M4 12h3M10.5 12h3M17 12h3",
  cancelled: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18M6 6l12 12",
  fit: "M8 3H3v5M16 3h5v5M8 21H3v-5M16 21h5v-5",
  braces: "M4 20 10 4M14 8h6M14 14h4",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  keys: "M2 6h20v12H2zM6 10h.01M10 10h.01M14 10h.01M18 10h.01M7 14h10",
};

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg className="b-icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" data-icon={name}>
      <path d={PATHS[name] ?? PATHS.set} />
    </svg>
  );
}
