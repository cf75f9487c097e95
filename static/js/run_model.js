// What is known of a run: begun from what the server wrote into the page, kept true by its events.
// The fields of a row are those of Row in apps/workflows/serializers/run_page/rows.py.
const ENDS = { "node.completed": "completed", "node.failed": "failed", "node.cancelled": "cancelled" };
const RUN_STATUS = {
  "run.started": "running", "run.paused": "paused", "run.resumed": "running",
  "run.completed": "completed", "run.failed": "failed", "run.cancelled": "cancelled",
};
export const EVENTS = [
  ...Object.keys(ENDS), ...Object.keys(RUN_STATUS),
  "node.queued", "node.started", "node.waiting", "node.retrying", "node.degraded", "node.progress", "node.skipped", "edge.taken", "context.changed",
  "llm.called", "tool.called",
];
const OVER = new Set(["completed", "failed", "cancelled"]);
const WAITS = { approval: "for a person", event: "for an event", child: "for a run" };
const LEFT = { worker_lost: "lost", agent_ended: "completed" }; // how the piece before another turn in the queue ended
const ROOM = 14; // letters that the end of a row has room for

export class Model {
  constructor(state, describe) {
    this.describe = describe; // gives title, kind and attempts of a node
    this.take(state);
  }

  /** Begin (again) from what the server says. */
  take(state) {
    this.start = state.start;
    this.ahead = state.now - Date.now(); // the server's clock, for bars that still grow
    this.seq = state.seq;
    this.status = state.status;
    this.end = state.end;
    this.nodes = state.nodes;
    this.taken = new Map(Object.entries(state.taken));
    this.rows = state.rows;
    this.byKey = new Map(state.rows.map((row) => [row.key, row]));
    this.latest = new Map(state.rows.map((row) => [row.node, row]));
    this.skipped = new Set();
    this.incomplete = false; // something happened that only the server can tell
    this.added = false;
    this.changed = new Set(this.rows);
    this.edges = new Set(this.taken.keys());
  }

  get isOver() {
    return OVER.has(this.status);
  }

  /** Milliseconds since the run was accepted, by the server's clock. */
  get now() {
    return Date.now() + this.ahead - this.start;
  }

  get done() {
    return new Set(this.rows.filter((row) => OVER.has(row.status)).map((row) => row.node)).size;
  }

  /** Work in an event; one that is known already changes nothing. */
  hear(event) {
    if (event.seq <= this.seq) return;
    this.seq = event.seq;
    const at = Date.parse(event.at) - this.start;
    if (event.type in RUN_STATUS) return this.#turn(event, at);
    if (event.type === "edge.taken") return this.#take(String(event.data.edge));
    if (event.type === "node.skipped") return this.skipped.add(event.node);
    if (!event.type.startsWith("node.")) return;
    if (event.index !== null) return this.#item(event);
    const row = this.#row(event, at);
    this.#work(row, event, at);
    this.changed.add(row);
  }

  #turn(event, at) {
    this.status = RUN_STATUS[event.type];
    this.end = this.isOver ? at : null;
    if (event.type === "run.resumed") this.incomplete = true; // what had failed begins anew
  }

  #take(edge) {
    this.taken.set(edge, (this.taken.get(edge) ?? 0) + 1);
    this.edges.add(edge);
  }

  #item(event) {
    const row = this.byKey.get(`${event.node}#${event.visit}`);
    if (!row?.items) return (this.incomplete = true);
    if (event.type === "node.completed") row.items.done += 1;
    if (event.type === "node.failed") row.items.failed += 1;
    this.changed.add(row);
  }

  #row(event, at) {
    const key = `${event.node}#${event.visit}`;
    const known = this.byKey.get(key);
    if (known) return known;
    const { title, kind, attempts } = this.describe(event.node);
    const row = {
      key, node: event.node, visit: event.visit, kind, attempts, status: "queued", waits_for: "",
      title: event.visit > 1 ? `${title} #${event.visit}` : title,
      attempt: 0, lost: 0, due: null, took: null, told: "", deferred: false, degraded: false, segments: [{ kind: "queue", start: at, end: null, outcome: "" }], items: null,
    };
    this.rows.push(row);
    this.byKey.set(key, row);
    this.latest.set(event.node, row);
    this.added = true;
    return row;
  }

  #work(row, event, at) {
    const last = row.segments.at(-1);
    const begin = (kind, outcome) => row.segments.push({ kind, start: at, end: null, outcome });
    const close = (outcome) => last && last.end === null && ((last.end = at), last.kind === "run" && (last.outcome = outcome));
    switch (event.type) {
      case "node.queued":
        row.status = "queued";
        if (event.data.reason) close(LEFT[event.data.reason] ?? "released"), begin("queue", "");
        return;
      case "node.started":
        row.status = "running";
        row.told = "";
        row.attempt = event.data.attempt ?? 1;
        row.began ??= at;
        return close("failed"), begin("run", "running");
      case "node.waiting":
        row.status = "waiting";
        row.waits_for = event.data.waits_for ?? "";
        row.began ??= at;
        if (row.waits_for === "items") this.incomplete = true;
        if (row.waits_for === "agent") {
          row.status = "running"; // whoever has its task works on it
          row.told = "";
          return close("lost" in event.data ? "lost" : "waiting"), begin("run", "running");
        }
        return close("waiting"), begin("wait", "waiting");
      case "node.retrying":
        row.status = "retrying";
        row.attempt = event.data.attempt ?? row.attempt;
        row.deferred = event.data.reason === "deferred"; // that counts as no try
        row.due = at + (event.data.delay ?? 0) * 1000;
        return close("failed"), begin("queue", "");
      case "node.degraded":
        row.status = "queued";
        return close("failed"), begin("queue", "");
      case "node.progress":
        row.told = inWords(event.data);
        return;
      default:
        row.status = ENDS[event.type];
        row.degraded = Boolean(event.data.degraded);
        row.took = at - (row.began ?? row.segments.find((one) => one.kind !== "queue")?.start ?? at);
        close(row.status);
    }
  }
}

/** The words at a visit, as `note_of` in rows.py has them; while it runs they count. */
export function noteOf(row, now) {
  if (row.items && !OVER.has(row.status)) {
    return `${row.items.done}/${row.items.total} items${row.items.failed ? `, ${row.items.failed} failed` : ""}`;
  }
  if (row.status === "retrying") {
    const left = Math.ceil((row.due - now) / 1000);
    return `${row.deferred ? (left > 0 ? "back" : "comes back") : `try ${row.attempt + 1}/${row.attempts}`}${left > 0 ? ` in ${left} s` : ""}`;
  }
  if (row.status === "waiting") return WAITS[row.waits_for] ?? "waiting";
  if (row.degraded) return "degraded";
  if (row.took !== null) return duration(row.took);
  if (row.status === "running" && row.told) return clipped(row.told);
  if (row.status === "running") return duration(now - row.segments.at(-1).start);
  return row.status;
}

// As `report_in_words` in history.py and `clipped` in rows.py.
function inWords({ fraction, message }) {
  const parts = typeof fraction === "number" ? [`${Math.round(fraction * 100)} %`] : [];
  return [...parts, ...(message ? [message] : [])].join(": ");
}

function clipped(words) {
  return words.length <= ROOM ? words : `${words.slice(0, ROOM - 1).trimEnd()}…`;
}

export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
