"use strict";
let facts = JSON.parse(document.getElementById("facts").textContent);
const MOST_DRAWN = 250; // teams in the picture at once; the filter chooses others
const MOST_ROWS = 40; // teams in the timeline at once, those with the latest runs
const STEPS = [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000]; // seconds between ticks
const STATE = { READY: "good", DELETED: "good", ENDED: "good", WAITING: "wait", HELD: "wait", PAUSED: "wait" };
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function ago(moment) {
  if (!moment) return "never";
  const seconds = (Date.parse(facts.generated) - Date.parse(moment)) / 1000;
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (Math.abs(seconds) >= length) return `${Math.floor(Math.abs(seconds) / length)} ${unit}${seconds < 0 ? "" : " ago"}`;
  return `${Math.max(0, Math.floor(seconds))} s ago`;
}

// a moment as JSON or Python writes it, with whatever offset
const instant = moment => Date.parse(moment.replace(" ", "T"));
const utc = milliseconds => new Date(milliseconds).toISOString().replace("T", " ").slice(0, 19);

const state = text => element("span", { class: STATE[text] || "bad" }, text || "not reconciled yet");
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
const amount = (number, units) => counted(number, units.replace(/s$/, ""));
const lines = values => values.flatMap((value, place) => (place ? [element("br"), value] : [value]));
const place = id => id.replace(/^(cluster|dataset)#/, "");

// ---- what somebody has chosen stays, whatever is shown again ------------------------------------------------------

const sorting = new Map(); // by a table's caption, the column by which it is sorted, and whether down
let followed = ""; // the node of the picture whose ways are followed
const keyed = key => document.querySelector(`[data-key="${CSS.escape(key)}"]`);

// notes the focus and how far each part is scrolled; returns what puts both back
function held() {
  const focus = document.activeElement && document.activeElement.dataset.key;
  const parts = [...document.querySelectorAll(".scroll")].map(part => [part.dataset.key, part.scrollLeft, part.scrollTop]);
  const [left, top] = [scrollX, scrollY];
  return () => {
    for (const [key, partLeft, partTop] of parts) if (keyed(key)) keyed(key).scrollTo(partLeft, partTop);
    if (focus && keyed(focus)) keyed(focus).focus({ preventScroll: true });
    scrollTo(left, top);
  };
}

const scrolling = (name, ...parts) => element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name, "data-key": name }, ...parts);

// ---- a table whose columns sort -------------------------------------------------------------------------------

function table(caption, columns, rows) {
  const body = element("tbody");
  const heads = columns.map(column => element("th", { scope: "col" }, element("button", { type: "button", "data-key": `${caption}: ${column.title}` }, column.title)));
  const shown = row => element("tr", {}, ...columns.map((column, at) =>
    element(at ? "td" : "th", at ? {} : { scope: "row" }, ...[column.show(row)].flat())));
  const fill = ordered => body.replaceChildren(...ordered.map(shown));
  const sort = (at, down) => {
    heads.forEach(other => other.removeAttribute("aria-sort"));
    heads[at].setAttribute("aria-sort", down > 0 ? "ascending" : "descending");
    const key = row => columns[at].sort ? columns[at].sort(row) : [columns[at].show(row)].flat().map(part => part.textContent || part).join();
    fill([...rows].sort((one, other) => (key(one) < key(other) ? -down : key(one) > key(other) ? down : 0)));
    sorting.set(caption, { title: columns[at].title, down });
  };
  heads.forEach((head, at) => head.firstChild.addEventListener("click", () =>
    sort(at, head.getAttribute("aria-sort") === "ascending" ? -1 : 1)));
  const { title, down } = sorting.get(caption) || {};
  const by = columns.findIndex(column => column.title === title);
  if (by < 0) fill(rows); else sort(by, down);
  return scrolling(`${caption}: table`,
    element("table", {}, element("caption", { class: "soft" }, counted(rows.length, "row")), element("thead", {}, element("tr", {}, ...heads)), body));
}

let wanted = ""; // the filter, in lower case
// what a section without content says; with a filter it says nothing of the rest
const without = (sentence, filtered) => (wanted ? filtered : sentence);
const outside = (number, noun, look) => (number ? [element("p", { class: look }, `Outside of the filter: ${counted(number, noun)}.`)] : []);

function section(id, none, ...parts) {
  const into = document.getElementById(id);
  into.replaceChildren(into.querySelector("h2"), ...(parts.length ? parts : [element("p", { class: "soft" }, none)]));
  return into;
}

// ---- what each section shows ----------------------------------------------------------------------------------

function showUnexpected(seen) {
  const doors = facts.unexpected.filter(door => seen(door.team, door.who));
  const unread = facts.unread.filter(text => seen(text.split(":")[0], ""));
  const parts = unread.map(text => element("p", { class: "wait" }, `Not read: ${text}`));
  const unproven = facts.teams.filter(row => !row.read_at && seen(row.team, row.members.join(" "))).map(row => row.team);
  if (unproven.length) parts.push(element("p", { class: "wait" }, `No access report yet, so that nothing is known of: ${unproven.join(", ")}`));
  if (doors.length) parts.unshift(table("Unexpected access", [
    { title: "team", show: door => door.team },
    { title: "who", show: door => door.who },
    { title: "may", show: door => door.may.join(", ") },
    { title: "of", show: door => `${door.where} ${door.what}` },
    { title: "close it with", show: door => element("code", {}, door.closed_by || "") },
  ], doors));
  const none = without("None: every door into a team's namespace and data is granted by a record.", "None among what the filter shows.");
  const into = section("unexpected", facts.teams.length ? none : "No teams: nothing was read.", ...parts);
  const unknown = facts.unread.length - unread.length + facts.teams.filter(row => !row.read_at).length - unproven.length;
  into.append(...outside(facts.unexpected.length - doors.length, "unexpected door", "bad"), ...outside(unknown, "missing reading", "wait"));
  into.classList.toggle("some", facts.unexpected.length > 0);
}

function showTeams(teams) {
  section("teams", without("No teams.", "No team matches the filter."), ...(teams.length ? [table("Teams", [
    { title: "team", show: row => row.team },
    { title: "state", show: row => state(row.state) },
    { title: "members", show: row => lines(row.members) },
    { title: "quota", show: row => lines(row.quota) },
    { title: "datasets", show: row => lines(row.datasets) },
    { title: "proof read", show: row => ago(row.read_at), sort: row => row.read_at || "" },
    { title: "why not ready", show: row => row.reason || "" },
  ], teams)] : []));
}

function showMatrix(teams) {
  const columns = facts.places.map(each => each.id);
  const cells = new Map();
  for (const access of facts.access) {
    const key = `${access.team} ${access.place}`;
    if (!cells.has(key)) cells.set(key, new Set());
    for (const may of access.may) cells.get(key).add(access.granted ? may.replace(/^AmazonSagemakerHyperpod|^AmazonEKS|Policy$/g, "") : `${may} (unexpected)`);
  }
  section("matrix", without("No team has access to anything.", "No team of the filter has access to anything."), ...(teams.length && columns.length ? [table("Teams by clusters and datasets", [
    { title: "team", show: row => row.team },
    ...columns.map(id => ({ title: place(id), show: row => [...(cells.get(`${row.team} ${id}`) || ["–"])].sort().join(", ") })),
  ], teams)] : []));
}

// what a team uses, borrows and lends at the moment, in words
function now(row) {
  const [least, most] = [row.lent_at_least, row.lent_at_most];
  return `${amount(row.used, row.unit)} in use` + (row.borrowed ? `, of these ${row.borrowed} borrowed` : "") +
    (most ? `, ${least === most ? most : `${least} to ${most}`} lent` : "");
}

function showCapacity(seen) {
  const parts = [];
  for (const cluster of facts.capacity) {
    if (cluster.problem) { parts.push(element("p", { class: "bad" }, `${cluster.cluster}: ${cluster.problem}`)); continue; }
    const lending = facts.lending.find(each => each.cluster === cluster.cluster) || { problem: "it was not read" };
    for (const type of cluster.instance_types) {
      const rowsOf = name => (lending.teams || []).filter(row => row.team === name && row.instance_type === type.instance_type);
      const barOf = name => rowsOf(name).find(row => row.unit === type.unit);
      const whole = Math.max(type.capacity, type.guaranteed, ...type.teams.map(team => team.guaranteed + ((barOf(team.team) || {}).borrowed || 0)), 1);
      const rows = type.teams.filter(team => seen(team.team, "")).flatMap(team => {
        const lends = Math.min(team.lends || 0, team.guaranteed);
        const moment = lending.problem ? "" : rowsOf(team.team).map(now).join("; ") || "unknown: Kueue has no queue of it for this type";
        const label = `${team.team}: ${team.guaranteed} of ${type.capacity} ${type.unit} guaranteed` + (lends ? `, lends up to ${lends}` : "") +
          (team.borrow_limit ? `, borrows up to ${team.borrow_limit}` : "") + `; now ${moment || `unknown: ${lending.problem}`}`;
        const part = (kind, amount) => element("i", { class: kind, style: `width:${100 * Math.max(0, amount) / whole}%` });
        const row = barOf(team.team);
        const own = row ? Math.min(row.used - row.borrowed, team.guaranteed) : 0;
        const lent = row ? Math.min(row.lent_at_least, team.guaranteed - own) : 0;
        return [element("span", {}, team.team),
          element("span", { class: "bar", role: "img", "aria-label": label },
            ...(row ? [part("own", own), part("lent", lent), part("idle", team.guaranteed - own - lent), part("borrowed", row.borrowed)]
              : [part("own", team.guaranteed - lends), part("lends", lends)])),
          element("span", { class: "soft" }, amount(team.guaranteed, type.unit) + (lends ? `, lends up to ${lends}` : "") + (team.borrow_limit ? `, borrows up to ${team.borrow_limit}` : ""),
            ...(moment ? [element("br"), `now: ${moment}`] : []))];
      });
      parts.push(element("h3", {}, `${cluster.cluster}: ${type.instance_type}`),
        element("p", { class: type.over_committed ? "bad" : "soft" }, `${type.guaranteed} of ${type.capacity} ${type.unit} guaranteed` +
          (type.over_committed ? `, over-committed by ${type.over_committed}` : "") + "."),
        lending.problem ? element("p", { class: "wait" }, `What is lent and borrowed now is unknown: ${lending.problem}. Purple: may be lent while idle.`)
          : element("p", { class: "soft" }, `By Kueue at ${utc(instant(lending.read_at))} UTC. Blue: own, in use. Purple: lent. Pale: idle. Amber: borrowed.`),
        element("div", { class: "bars" }, ...rows));
    }
  }
  section("capacity", "No cluster was read.", ...parts);
}

function showExpirations(seen) {
  const all = facts.expirations.filter(each => each.at >= facts.generated);
  const ahead = all.filter(each => seen(each.team, each.what));
  section("expirations", without("Nothing ends by itself.", "Nothing of what the filter shows ends by itself."), ...(ahead.length ? [table("Expirations", [
    { title: "when", show: each => each.at },
    { title: "in", show: each => ago(each.at), sort: each => each.at },
    { title: "team", show: each => each.team },
    { title: "what ends", show: each => each.what },
  ], ahead)] : [])).append(...outside(all.length - ahead.length, "expiration", "soft"));
}

function showRuns(seen) {
  const runs = facts.runs.filter(run => seen(run.team, run.trigger.by || ""));
  section("runs", without("No runs.", "No runs of what the filter shows."), ...(runs.length ? [...timeline(runs, document.getElementById("runs").clientWidth - 2), table("Latest changes", [
    { title: "when", show: run => utc(instant(run.started)) },
    { title: "team", show: run => run.team },
    { title: "outcome", show: run => state(run.outcome) },
    { title: "what", show: run => run.summary || "" },
    { title: "revoked", show: run => String(run.revoked), sort: run => run.revoked },
    { title: "seconds", show: run => (run.seconds === null ? "runs" : run.seconds.toFixed(1)), sort: run => run.seconds || 0 },
    { title: "started by", show: run => `${run.trigger.event} ${run.trigger.change || ""} ${run.who}` },
  ], runs)] : [])).append(...outside(facts.runs.length - runs.length, "run", "soft"));
}

// ---- the timeline: a row for each team, a mark for each run -------------------------------------------------------

function described(run) {
  const revoked = run.revoked ? `, ${counted(run.revoked, "revocation")}` : "";
  return `${run.team}, ${utc(instant(run.started))} UTC: ` + (run.seconds === null ? "still running" : `${run.outcome} in ${run.seconds.toFixed(1)} s`) + revoked;
}

function ticks(begin, end, most) {
  const step = 1000 * (STEPS.find(seconds => (end - begin) / 1000 / seconds <= most) || STEPS.at(-1));
  const moments = [];
  for (let at = Math.ceil(begin / step) * step; at <= end; at += step) moments.push(at);
  if (!moments.length) moments.push(begin);
  const time = at => (step < 60000 ? utc(at).slice(11) : step < 86400000 ? utc(at).slice(11, 16) : "");
  return moments.map((at, place) => {
    const day = utc(at).slice(5, 10);
    return { at, text: place && time(at) && utc(moments[place - 1]).slice(5, 10) === day ? time(at) : `${day} ${time(at)}`.trim() };
  });
}

function timeline(runs, room) {
  const width = Math.max(room, 320);
  const [left, right, top, line] = [Math.min(200, width * .3), width - 50, 30, 22];
  const teams = [...new Set(runs.map(run => run.team))];
  const rows = teams.slice(0, MOST_ROWS);
  const shown = runs.filter(run => rows.includes(run.team));
  const begins = run => instant(run.started);
  const ends = run => Math.max(begins(run), instant(run.stopped || facts.generated));
  const [first, last] = [Math.min(...shown.map(begins)), Math.max(...shown.map(ends))];
  const x = moment => left + 10 + (right - left - 10) * (moment - first) / Math.max(last - first, 1000);
  const y = row => top + (row + .5) * line;
  const svg = drawn("svg", { class: "timeline", viewBox: `0 0 ${width} ${y(rows.length)}`, role: "group", "aria-label": "Timeline of the latest runs, a row for each team. Arrow keys move from run to run." });
  for (const { at, text } of ticks(first, last, Math.max(2, Math.floor((right - left) / 110))))
    svg.append(drawn("line", { x1: x(at), x2: x(at), y1: top - 8, y2: y(rows.length) }), drawn("text", { x: x(at), y: 14, "text-anchor": "middle" }, text));
  const most = Math.floor(left / 7); // letters that fit
  rows.forEach((team, row) => svg.append(drawn("line", { x1: 0, x2: width, y1: y(row) + line / 2, y2: y(row) + line / 2 }),
    drawn("text", { x: 4, y: y(row) + 4 }, team.length > most ? `${team.slice(0, most - 1)}…` : team)));
  const reading = element("p", { class: "soft" }, "Point at a mark, or move to it with the arrow keys, to read what it is.");
  const marks = shown.map(run => {
    const [row, text, from, to] = [rows.indexOf(run.team), described(run), x(begins(run)), x(ends(run))];
    const mark = drawn("g", { class: `mark${run.revoked ? " revoked" : ""}${run.seconds === null ? " running" : ""}`, role: "img", tabindex: "-1", "aria-label": text, "data-key": `${run.team} ${run.started}` },
      drawn("title", {}, text), drawn("rect", { x: from, y: y(row) - 2, width: to - from, height: 4 }),
      run.revoked ? drawn("polygon", { points: `${from - 8},${y(row)} ${from},${y(row) - 8} ${from + 8},${y(row)} ${from},${y(row) + 8}` })
        : drawn("circle", { cx: from, cy: y(row), r: 5 }));
    for (const event of ["focus", "mouseenter", "click"]) mark.addEventListener(event, () => reading.replaceChildren(text));
    return { mark, row, from, revoked: run.revoked };
  }).sort((one, other) => one.row - other.row || one.from - other.from);
  // a revocation lies above the other runs of its moment
  svg.append(...[...marks].sort((one, other) => Math.min(one.revoked, 1) - Math.min(other.revoked, 1)).map(({ mark }) => mark));
  let current = 0;
  const move = to => {
    marks[current].mark.setAttribute("tabindex", "-1");
    marks[current = to].mark.setAttribute("tabindex", "0");
  };
  const beside = row => marks.reduce((best, { from, row: its }, at) =>
    its === row && (best < 0 || Math.abs(from - marks[current].from) < Math.abs(marks[best].from - marks[current].from)) ? at : best, -1);
  const keys = { ArrowLeft: () => current - 1, ArrowRight: () => current + 1, ArrowUp: () => beside(marks[current].row - 1),
    ArrowDown: () => beside(marks[current].row + 1), Home: () => 0, End: () => marks.length - 1 };
  move(0);
  marks.forEach(({ mark }, at) => mark.addEventListener("focus", () => move(at)));
  svg.addEventListener("keydown", event => {
    if (!keys[event.key]) return;
    event.preventDefault();
    const to = keys[event.key]();
    if (marks[to]) marks[to].mark.focus();
  });
  const legend = element("p", { class: "soft" }, element("span", { class: "plain" }, "●"), " run, ", element("span", { class: "bad" }, "◆"),
    " run that revoked access, ○ or ◇ still running. The line behind a mark is as long as the run took.");
  const more = teams.length > rows.length ? [element("p", { class: "soft" }, `${rows.length} of ${teams.length} teams with runs are in the timeline: filter to see others.`)] : [];
  return [legend, ...more, scrolling("Timeline", svg), reading];
}

// ---- the picture: units, accounts, teams, clusters and data ------------------------------------------------------------

function showPicture(teams) {
  const names = new Set(teams.slice(0, MOST_DRAWN).map(row => row.team));
  const accounts = new Map(facts.accounts.map(each => [each.account, each.name || each.account]));
  const units = new Map(facts.accounts.map(each => [each.account, (each.path || []).join("/")]));
  const edges = new Map();
  const link = (from, to, granted) => edges.set(`${from} ${to}`, { from, to, granted: granted && (edges.get(`${from} ${to}`) || { granted: true }).granted });
  for (const access of facts.access) {
    if (!names.has(access.team)) continue;
    if (access.place.startsWith("cluster#") && access.account) {
      link(`a:${access.account}`, `t:${access.team}`, access.granted);
      if (units.get(access.account)) link(`u:${units.get(access.account)}`, `a:${access.account}`, true);
    }
    link(`t:${access.team}`, `p:${access.place}`, access.granted);
  }
  const used = new Set([...edges.values()].flatMap(edge => [edge.from, edge.to]));
  for (const name of names) used.add(`t:${name}`);
  const columns = ["u", "a", "t", "p"].map(kind => [...used].filter(id => id.startsWith(`${kind}:`)).sort());
  const height = 40 + 26 * Math.max(...columns.map(column => column.length), 1);
  const at = new Map();
  columns.forEach((column, number) => column.forEach((id, row) =>
    at.set(id, { x: 20 + number * 300, y: 34 + (row + .5) * (height - 40) / column.length })));
  const bad = new Set([...edges.values()].filter(edge => !edge.granted).flatMap(edge => [edge.from, edge.to]));
  const svg = drawn("svg", { viewBox: `0 0 1160 ${height}`, role: "group", "aria-label": "Units, accounts, teams, and the clusters and data that they reach" });
  ["units", "accounts", "teams", "clusters and data"].forEach((title, number) => svg.append(drawn("text", { x: 20 + number * 300, y: 16 }, title)));
  const paths = [...edges.values()].map(edge => {
    const [from, to] = [at.get(edge.from), at.get(edge.to)];
    const path = drawn("path", { d: `M${from.x + 220},${from.y} C${from.x + 290},${from.y} ${to.x - 70},${to.y} ${to.x},${to.y}`, class: edge.granted ? "" : "unexpected" });
    svg.append(path);
    return { ...edge, path };
  });
  const title = id => id.startsWith("u:") ? id.slice(2).split("/").pop() : id.startsWith("a:") ? `${accounts.get(id.slice(2)) || ""} ${id.slice(2)}`.trim() : place(id.slice(2));
  const nodes = [...at].map(([id, { x, y }]) => {
    const node = drawn("g", { class: `node${bad.has(id) ? " bad" : ""}`, tabindex: "0", role: "button", "aria-pressed": "false", "aria-label": title(id), "data-key": id },
      drawn("rect", { x, y: y - 10, width: 220, height: 20, rx: 4 }), drawn("text", { x: x + 8, y: y + 4 }, title(id).slice(0, 34)));
    svg.append(node);
    return { id, node };
  });
  const follow = () => {
    const chosen = at.has(followed) ? followed : "";
    svg.classList.toggle("chosen", Boolean(chosen));
    const near = new Set([chosen]);
    for (const edge of paths) if (edge.from === chosen || edge.to === chosen) near.add(edge.from).add(edge.to);
    for (const edge of paths) edge.path.classList.toggle("near", edge.from === chosen || edge.to === chosen);
    for (const { id, node } of nodes) {
      node.classList.toggle("near", near.has(id));
      node.setAttribute("aria-pressed", String(id === chosen));
    }
  };
  const choose = id => { followed = followed === id ? "" : id; follow(); };
  follow();
  for (const { id, node } of nodes) {
    node.addEventListener("click", () => choose(id));
    node.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(id); } });
  }
  const more = teams.length > names.size ? [element("p", { class: "soft" }, `${names.size} of ${teams.length} teams are drawn: filter to see others.`)] : [];
  section("picture", "Nothing to draw.", ...more, ...(used.size ? [scrolling("Picture", svg)] : []));
}

// ---- all of it ----------------------------------------------------------------------------------------------------

function show() {
  wanted = document.getElementById("search").value.trim().toLowerCase();
  const within = new Set();
  if (wanted) for (const access of facts.access)
    if (`${access.who} ${access.account}`.toLowerCase().includes(wanted)) within.add(access.team);
  const named = new Set(facts.accounts.filter(each => `${each.name || ""} ${(each.path || []).join("/")}`.toLowerCase().includes(wanted)).flatMap(each => each.teams));
  const seen = (team, text) => !wanted || team.toLowerCase().includes(wanted) || text.toLowerCase().includes(wanted) || within.has(team) || named.has(team);
  const teams = facts.teams.filter(row => seen(row.team, row.members.join(" ")));
  document.getElementById("count").textContent = (wanted ? `${teams.length} of ` : "") + counted(facts.teams.length, "team") + (wanted ? `, by the filter “${wanted}”` : "");
  const put = held();
  showUnexpected(seen); showPicture(teams); showTeams(teams); showMatrix(teams); showCapacity(seen); showExpirations(seen); showRuns(seen);
  put();
}

function about() {
  const oldest = facts.teams.map(row => row.read_at).filter(Boolean).sort()[0];
  document.getElementById("about").textContent = `podshare in account ${facts.installation.account}, ${facts.installation.region}; ` +
    `made ${facts.generated.replace("T", " ").slice(0, 19)} UTC from access that was read back from AWS and Kubernetes` +
    (oldest ? `; the oldest reading is from ${oldest.replace("T", " ").slice(0, 19)} UTC` : "") + ".";
}

function renew(others) {
  facts = others;
  about();
  show();
}

const search = document.getElementById("search");
let pending = 0;
search.addEventListener("input", () => {
  history.replaceState(null, "", `#${encodeURIComponent(search.value)}`); // the address names what is shown
  clearTimeout(pending);
  pending = setTimeout(show, 120);
});
try { search.value = decodeURIComponent(location.hash.slice(1)); } catch { search.value = location.hash.slice(1); }
renew(facts);
