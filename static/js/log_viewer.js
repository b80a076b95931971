/* The log viewer. It keeps all lines as text and only those around the reader in the page; follows a live log by
   server-sent events, by asking every few seconds where the server has no place for that, and goes on behind the last
   id after a break. docs/logs.md describes the events. */
(() => {
    "use strict";
    const ROWS_MAX = 2000; // in the page at once, selected ones included
    const ROWS_SPARE = 40; // above and below what is seen
    const BLOCK = 256;
    const HEIGHT_MAX = 12e6; // pixels; browsers end somewhere above. Longer logs scroll in larger steps.
    const TEXT_MAX = 10000; // characters of a line that are shown
    const LINE_MAX = 1e6; // characters of a line that are kept
    const SCAN_ROWS = 20000; // searched at a time
    const POLL_MS = 3000;
    const POLLS = 10; // then the stream is tried again
    const NAMES = { err: "err", system: "info" };

    const number = (value) => value.toLocaleString("en");
    const plain = (text) => (/[\x00-\x08\x0b-\x1f\x7f]/.test(text) ? text.replace(ESCAPES, "").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "") : text);

    function make(name, className, text) {
        const element = document.createElement(name);
        if (className) element.className = className;
        if (text !== undefined) element.textContent = text;
        return element;
    }

    function clock(at) {
        const date = new Date(at);
        const pad = (value, width = 2) => String(value).padStart(width, "0");
        return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
    }

    /* ANSI: SGR becomes classes, every other sequence nothing. */
    const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-Z\\^-~]|\[[0-?]*$|$)/g;
    const FLAGS = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };

    function sgr(style, codes) {
        const parts = codes.split(/[;:]/).map(Number);
        for (let at = 0; at < parts.length; at += 1) {
            const code = parts[at];
            if (code === 0) style = {};
            else if (FLAGS[code]) style = { ...style, [FLAGS[code]]: true };
            else if (code === 22) style = { ...style, bold: false, dim: false };
            else if (FLAGS[code - 20] && code > 22) style = { ...style, [FLAGS[code - 20]]: false };
            else if (code === 39) style = { ...style, fg: undefined };
            else if (code === 49) style = { ...style, bg: undefined };
            else if (code === 38 || code === 48) {
                const key = code === 38 ? "fg" : "bg";
                if (parts[at + 1] === 5) style = { ...style, [key]: indexed(parts[at + 2]) };
                else if (parts[at + 1] === 2) style = { ...style, [key]: `rgb(${parts.slice(at + 2, at + 5).join(" ")})` };
                at += parts[at + 1] === 5 ? 2 : 4;
            } else {
                const bright = code >= 90;
                const base = bright ? code - 60 : code;
                if (base >= 30 && base <= 37) style = { ...style, fg: base - 30 + 8 * bright };
                else if (base >= 40 && base <= 47) style = { ...style, bg: base - 40 + 8 * bright };
            }
        }
        return Object.values(style).some((value) => value || value === 0) ? style : null;
    }

    function indexed(code) {
        if (code < 16) return code;
        if (code > 231) return `rgb(${Array(3).fill((code - 232) * 10 + 8).join(" ")})`;
        const level = (value) => (value % 6 ? (value % 6) * 40 + 55 : 0);
        return `rgb(${[Math.floor((code - 16) / 36), Math.floor((code - 16) / 6), code - 16].map(level).join(" ")})`;
    }

    function paint(parent, raw, style) {
        let from = 0;
        const add = (text) => {
            if (!text) return;
            if (!style) return parent.append(text);
            const span = make("span", "", text);
            for (const [key, value] of Object.entries(style)) {
                if (value === true) span.classList.add(`ansi-${key}`);
                else if (typeof value === "number") span.classList.add(`ansi-${key}`, `ansi-${key}-${value}`);
                else if (value) span.classList.add(`ansi-${key}`, `ansi-${key}-rgb`), span.style.setProperty(`--ansi-${key}`, value);
            }
            parent.append(span);
        };
        for (const found of raw.matchAll(ESCAPES)) {
            add(plain(raw.slice(from, found.index)));
            from = found.index + found[0].length;
            if (found[0].startsWith("\x1b[") && found[0].endsWith("m")) style = sgr(style || {}, found[0].slice(2, -1));
        }
        add(plain(raw.slice(from)));
        return style;
    }

    class Viewer {
        constructor(root) {
            this.root = root;
            const part = (name) => root.querySelector(`[data-${name}]`);
            [this.view, this.space, this.list, this.state, this.count, this.empty, this.latest, this.query, this.found] = //
                ["view", "space", "list", "state", "count", "empty", "latest", "query", "found"].map(part);
            this.probe = this.view.querySelector(".log__probe");
            this.url = new URL(root.dataset.stream, location.href);
            this.lastId = "";
            this.polls = 0;
            this.follow = true;
            this.wanted = null; // lines of the address that are still to be shown
            this.marked = [0, 0];
            this.clear();
            for (const name of ["wrap", "times"]) {
                const button = part(name);
                this[name] = this.remembered(name) ?? (name === "wrap" && innerWidth < 700);
                button.addEventListener("click", () => this.toggle(name, button));
                button.setAttribute("aria-pressed", this[name]);
                root.classList.toggle(`log--${name}`, this[name]);
            }
            this.listen(part);
            this.readAddress();
            this.open();
        }

        listen(part) {
            const { root, view } = this;
            view.addEventListener("scroll", () => this.scrolled(), { passive: true });
            this.latest.addEventListener("click", () => (this.setFollow(true), view.focus({ preventScroll: true })));
            this.list.addEventListener("click", (event) => this.clickedNumber(event));
            this.query.addEventListener("input", () => this.search());
            part("next").addEventListener("click", () => this.goToHit(1));
            part("previous").addEventListener("click", () => this.goToHit(-1));
            part("search").addEventListener("submit", (event) => event.preventDefault());
            root.addEventListener("keydown", (event) => this.pressed(event));
            view.addEventListener("copy", (event) => this.copied(event));
            view.addEventListener("pointerdown", () => this.selectAll(false));
            new ResizeObserver(() => this.measure()).observe(view);
            document.fonts.ready.then(() => this.measure());
            const on = (target, name, act) => {
                const listener = (event) => (root.isConnected ? act(event) : (this.close(), target.removeEventListener(name, listener)));
                target.addEventListener(name, listener);
            };
            on(window, "hashchange", () => this.readAddress());
            on(document, "visibilitychange", () => (document.hidden ? this.close() : this.open()));
            on(window, "pagehide", () => this.close());
            on(window, "pageshow", () => this.open());
            on(document, "htmx:afterSwap", () => {});
            on(document, "selectionchange", () => this.follow && this.selection() && this.setFollow(false));
        }

        remembered(name) {
            try {
                return JSON.parse(localStorage.getItem(`log.${name}`));
            } catch {
                return null;
            }
        }

        toggle(name, button) {
            this[name] = !this[name];
            button.setAttribute("aria-pressed", this[name]);
            this.root.classList.toggle(`log--${name}`, this[name]);
            try {
                localStorage.setItem(`log.${name}`, this[name]);
            } catch {
                // Storage is closed to us: the choice holds for this page.
            }
            this.measure(true);
        }

        /* The connection */

        open() {
            if (this.source || this.ended || this.timer || document.hidden) return;
            if (!this.lastId) this.tell("connecting");
            if (this.lastId) this.url.searchParams.set("after", this.lastId);
            this.url.searchParams.delete("poll");
            const source = (this.source = new EventSource(this.url));
            source.onopen = () => ((this.polls = 0), this.tell("live"));
            source.onerror = () => {
                if (source.readyState !== EventSource.CLOSED) return this.tell("reconnecting");
                this.close(); // the server answered with an error
                this.poll();
            };
            for (const name of ["chunk", "gap", "status", "progress", "interim", "reset", "end"]) {
                source.addEventListener(name, (event) => this.heard(name, JSON.parse(event.data), event.lastEventId));
            }
        }

        close() {
            this.source?.close();
            clearTimeout(this.timer);
            this.source = this.timer = null;
        }

        async poll() {
            this.timer = -1;
            let wait = POLL_MS;
            try {
                this.url.searchParams.set("after", this.lastId);
                this.url.searchParams.set("poll", "1");
                const answer = await fetch(this.url, { headers: { Accept: "application/json" } });
                if (answer.status === 503) wait = (Number(answer.headers.get("Retry-After")) || 3) * 1000;
                else if (!answer.ok || answer.redirected) return this.tell("gone");
                else {
                    const { events } = await answer.json();
                    for (const { event, data, id } of events) this.heard(event, data, id);
                    if (events.some(({ event }) => event === "chunk")) wait = Math.min(wait, 1000);
                    if (!this.ended) this.tell("asking");
                }
            } catch {
                this.tell("reconnecting");
            }
            if (this.ended || this.timer === null) return;
            this.polls += 1;
            this.timer = setTimeout(() => {
                this.timer = null;
                if (this.polls % POLLS) this.poll();
                else this.open();
            }, wait);
        }

        heard(name, data, id) {
            if (!this.root.isConnected) return this.close();
            if (id) this.lastId = id;
            if (name === "chunk") this.add(data);
            else if (name === "gap") this.addGap(data);
            else if (name === "reset") this.clear();
            else if (name === "progress") this.progress = data;
            else if (name !== "interim") this.status = data;
            if (name === "end") {
                this.ended = true;
                this.close();
                this.unfinished = {};
                this.tell("ended");
            }
            this.frame ??= requestAnimationFrame(() => this.flush());
        }

        tell(state) {
            const texts = {
                connecting: "Connecting…",
                live: this.root.dataset.live === "true" ? "Live" : "Reading…",
                asking: "Live, asking every few seconds",
                reconnecting: "Reconnecting…",
                ended: this.hasGap ? "Ended, a part was left out" : "Ended",
                gone: "This log cannot be read any more. Reload the page.",
            };
            this.root.dataset.connection = state;
            if (this.state.textContent !== texts[state]) this.state.textContent = texts[state];
        }

        /* The lines */

        clear() {
            this.text = []; // as written, after carriage returns
            this.line = []; // number; 0 for a gap
            this.channel = [];
            this.at = [];
            this.styles = new Map(); // row → ANSI style that an earlier line left on
            this.style = {}; // channel → ANSI style now
            this.unfinished = {}; // channel → row of its unfinished line
            this.rows = new Uint16Array(4096); // how many rows on the screen
            this.blocks = [];
            this.total = 0;
            this.nodes?.forEach((node) => node.remove());
            this.nodes = new Map();
            this.hits = [];
            this.hit = -1;
            this.scanned = 0;
            this.hasGap = this.ended = false;
        }

        add({ at, c: channel, n: first, d: text, m: marks = [] }) {
            const lines = text.split("\n");
            let mark = 0;
            for (let place = 0; place < lines.length; place += 1) {
                const isLast = place === lines.length - 1;
                if (isLast && !lines[place]) break;
                if (mark < marks.length && marks[mark][0] === first + place) [, at, channel] = marks[mark++];
                let row = this.unfinished[channel];
                if (row === undefined || this.line[row] !== first + place) row = this.push(first + place, channel, at, lines[place]);
                else this.change(row, this.text[row] + lines[place]);
                if (isLast) this.unfinished[channel] = row;
                else this.finish(row, channel);
            }
        }

        addGap({ n, bytes, lines }) {
            this.hasGap = true;
            this.unfinished = {};
            const which = lines > 0 ? `Lines ${number(n)} to ${number(n + lines - 1)} (${sizeInWords(bytes)}) were` : `${sizeInWords(bytes)} were`;
            this.push(0, "gap", 0, `${which} left out: of a log this large, the beginning and the end are kept`);
        }

        push(line, channel, at, text) {
            const row = this.text.length;
            if (row === this.rows.length) {
                const larger = new Uint16Array(row * 2);
                larger.set(this.rows);
                this.rows = larger;
            }
            this.line.push(line);
            this.channel.push(channel);
            this.at.push(at);
            this.text.push(text);
            if (row % BLOCK === 0) this.blocks.push(0);
            if (NAMES[channel] && !this.hasVoices) {
                this.hasVoices = true;
                this.root.classList.add("log--voices");
                this.columns = 0; // there is less room for the text now
            }
            if (this.style[channel]) this.styles.set(row, this.style[channel]);
            if (text.includes("\r")) this.change(row, text);
            else this.resize(row, this.estimate(text));
            return row;
        }

        change(row, text) {
            // What a carriage return goes back over is gone, once something is written there.
            const back = text.replace(/\r+$/, "").lastIndexOf("\r");
            this.text[row] = text.slice(back + 1, back + 1 + LINE_MAX);
            this.resize(row, this.estimate(this.text[row]));
            this.nodes.get(row)?.remove();
            this.nodes.delete(row);
        }

        finish(row, channel) {
            delete this.unfinished[channel];
            const text = this.text[row];
            if (!text.includes("\x1b[")) return;
            const reset = Math.max(text.lastIndexOf("\x1b[0m"), text.lastIndexOf("\x1b[m")); // nothing before it matters
            let style = this.style[channel];
            for (const found of text.slice(Math.max(0, reset)).matchAll(/\x1b\[([\d;:]*)m/g)) style = sgr(style || {}, found[1]);
            this.style[channel] = style;
        }

        /* Where rows are: heights in blocks, so that neither a scroll nor a new line looks at all of them. */

        estimate(text) {
            if (!this.wrap || text.length <= this.columns) return 1;
            return Math.min(Math.ceil(Math.min(plain(text).length, TEXT_MAX) / this.columns) || 1, 65535);
        }

        resize(row, rows) {
            const more = rows - this.rows[row];
            this.rows[row] = rows;
            this.blocks[Math.floor(row / BLOCK)] += more;
            this.total += more;
        }

        before(row) {
            let sum = 0;
            const block = Math.floor(row / BLOCK);
            for (let each = 0; each < block; each += 1) sum += this.blocks[each];
            for (let each = block * BLOCK; each < row; each += 1) sum += this.rows[each];
            return sum;
        }

        rowAt(offset) {
            let block = 0;
            while (block < this.blocks.length - 1 && offset >= this.blocks[block]) offset -= this.blocks[block++];
            let row = block * BLOCK;
            while (row < this.text.length - 1 && offset >= this.rows[row]) offset -= this.rows[row++];
            return row;
        }

        measure(isForced) {
            const top = this.rowAt(this.top() / this.height);
            const text = this.probe.querySelector(".log__text");
            const columns = Math.max(10, Math.floor((text.clientWidth / text.firstChild.getBoundingClientRect().width) * 100) || 80);
            const height = parseFloat(getComputedStyle(this.view).lineHeight);
            const isChanged = height !== this.height || (this.wrap && columns !== this.columns) || isForced;
            const chosen = isChanged && this.selection();
            this.columns = columns;
            this.height = height;
            if (isChanged) {
                this.blocks.fill(0);
                this.total = 0;
                this.rows.fill(0);
                this.text.forEach((each, row) => this.resize(row, this.estimate(each)));
                this.nodes.forEach((node) => node.remove());
                this.nodes.clear();
                if (!this.follow) this.scrollTo(this.before(top) * height);
            }
            this.draw();
            if (chosen && this.nodes.has(chosen.from.row) && this.nodes.has(chosen.to.row)) {
                const end = ({ row, column }) => place(this.nodes.get(row).querySelector(".log__text"), column);
                getSelection().setBaseAndExtent(...end(chosen.from), ...end(chosen.to));
            }
        }

        scale() {
            const whole = this.total * this.height;
            const seen = this.view.clientHeight;
            return whole > HEIGHT_MAX ? (whole - seen) / (HEIGHT_MAX - seen) : 1;
        }

        top() {
            return this.view.scrollTop * this.scale();
        }

        scrollTo(top) {
            this.space.style.height = `${Math.min(this.total * this.height, HEIGHT_MAX)}px`;
            this.view.scrollTop = top / this.scale();
            this.lastTop = this.view.scrollTop;
        }

        /* Drawing */

        flush() {
            this.frame = null;
            const { status, progress } = this;
            this.status = this.progress = null;
            if (progress) this.root.dispatchEvent(new CustomEvent("mercato:progress", { bubbles: true, detail: progress }));
            if (status) this.root.dispatchEvent(new CustomEvent("mercato:status", { bubbles: true, detail: status }));
            const rows = this.text.length;
            const last = this.line[rows - 1] || 0;
            this.count.textContent = rows ? `${number(last)} ${last === 1 ? "line" : "lines"}` : "";
            const digits = Math.max(2, String(last).length);
            if (digits !== this.digits || !this.columns) {
                this.digits = digits;
                this.root.style.setProperty("--log-digits", digits);
                this.measure();
            }
            this.empty.hidden = rows > 0;
            if (this.ended) this.empty.textContent = "Nothing was written to this log.";
            if (this.wanted) this.showWanted();
            this.scan();
            this.draw();
        }

        draw() {
            if (!this.text.length || !this.height) return;
            if (this.follow) this.scrollTo(this.total * this.height);
            else this.space.style.height = `${Math.min(this.total * this.height, HEIGHT_MAX)}px`;
            const top = this.top();
            const seen = this.view.clientHeight / this.height;
            let from = this.rowAt(Math.max(0, top / this.height - ROWS_SPARE));
            let to = this.rowAt(top / this.height + seen + ROWS_SPARE) + 1;
            const chosen = this.selection();
            if (chosen && Math.max(to, chosen.to.row + 1) - Math.min(from, chosen.from.row) <= ROWS_MAX) {
                from = Math.min(from, chosen.from.row);
                to = Math.max(to, chosen.to.row + 1);
            }
            const first = this.rowAt(top / this.height);
            const offset = top - this.before(first) * this.height;
            const isMoved = this.fill(from, Math.min(to, from + ROWS_MAX));
            if (isMoved && !this.follow) this.scrollTo(this.before(first) * this.height + offset);
            else if (isMoved) this.scrollTo(this.total * this.height);
            const shift = this.view.scrollTop - this.top() + this.before(from) * this.height;
            this.list.style.transform = `translateY(${shift}px)`;
            this.latest.hidden = this.follow || this.isAtEnd();
            this.paintHits();
        }

        fill(from, to) {
            for (const [row, node] of this.nodes) {
                if (row >= from && row < to) continue;
                node.remove();
                this.nodes.delete(row);
            }
            const fresh = [];
            let next = this.list.firstElementChild;
            for (let row = from; row < to; row += 1) {
                const node = this.nodes.get(row);
                if (node) next = node.nextElementSibling;
                else {
                    const made = this.render(row);
                    this.nodes.set(row, made);
                    this.list.insertBefore(made, next);
                    fresh.push([row, made]);
                }
            }
            if (!this.wrap) return false;
            const measured = fresh.map(([row, node]) => [row, Math.max(1, Math.round(node.getBoundingClientRect().height / this.height))]);
            const wrong = measured.filter(([row, rows]) => rows !== this.rows[row]);
            for (const [row, rows] of wrong) this.resize(row, rows);
            return wrong.length > 0;
        }

        render(row) {
            const channel = this.channel[row];
            const node = make("div", `log__line log__line--${channel}`);
            node.dataset.row = row;
            const line = this.line[row];
            node.classList.toggle("log__line--marked", line > 0 && line >= this.marked[0] && line <= this.marked[1]);
            node.classList.toggle("log__line--hit", this.hits[this.hit] === row);
            node.classList.toggle("log__line--step", channel === "system" && this.text[row].startsWith("== "));
            const link = make(line ? "a" : "span", "log__number", line || "⋯");
            if (line) Object.assign(link, { href: `#L${line}`, tabIndex: -1 });
            node.append(link);
            if (this.times) {
                const time = make("time", "log__time", line ? clock(this.at[row]) : "");
                if (line) time.title = time.dateTime = new Date(this.at[row]).toISOString();
                node.append(time);
            }
            const isFirst = channel !== this.channel[row - 1]; // its neighbours below have the same mark, and no word
            node.append(make("span", "log__channel", (isFirst && NAMES[channel]) || ""));
            const text = make("span", "log__text");
            const raw = this.text[row].replace(/\r+$/, "");
            paint(text, raw.slice(0, TEXT_MAX), this.styles.get(row));
            if (raw.length > TEXT_MAX) text.append(make("em", "log__more", " … this line goes on; download the log to see all of it"));
            node.append(text);
            return node;
        }

        /* Following, and going to a line */

        isAtEnd() {
            return this.view.scrollTop + this.view.clientHeight >= this.view.scrollHeight - this.height / 2;
        }

        scrolled() {
            // What this script scrolled to is in lastTop already: the rest is the reader's doing.
            const moved = this.view.scrollTop - this.lastTop;
            this.lastTop = this.view.scrollTop;
            if (moved > 0 && this.isAtEnd()) this.follow = true;
            else if (moved < -1) this.follow = false;
            this.drawing ??= requestAnimationFrame(() => ((this.drawing = null), this.draw()));
        }

        setFollow(isOn) {
            this.follow = isOn;
            this.draw();
        }

        show(row) {
            this.follow = false;
            const top = this.before(row) * this.height;
            const isSeen = top >= this.top() && top + this.height * 2 < this.top() + this.view.clientHeight;
            if (!isSeen) this.scrollTo(Math.max(0, top - this.view.clientHeight / 3));
            this.draw();
        }

        rowOf(line) {
            let [low, high] = [0, this.text.length - 1];
            while (low < high) {
                const middle = (low + high + 1) >> 1;
                if ((this.line[middle] || this.line[middle - 1] + 1) <= line) low = middle;
                else high = middle - 1;
            }
            return low;
        }

        readAddress() {
            const [, from, to] = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash) || [];
            if (!from) return;
            const lines = [Number(from), Number(to || from)].sort((one, other) => one - other);
            this.wanted = this.marked = lines;
            this.follow = false;
            this.frame ??= requestAnimationFrame(() => this.flush());
        }

        showWanted() {
            const last = this.line[this.text.length - 1] || 0;
            if (last < this.wanted[0] && !this.ended) return;
            const [line] = this.wanted;
            this.wanted = null;
            this.nodes.forEach((node) => node.remove());
            this.nodes.clear();
            if (this.text.length) this.show(this.rowOf(line));
        }

        clickedNumber(event) {
            const link = event.target.closest("a.log__number");
            if (!link || event.ctrlKey || event.metaKey) return;
            event.preventDefault();
            const line = Number(link.textContent);
            const from = event.shiftKey && this.marked[0] ? this.marked[0] : line;
            const [low, high] = [Math.min(from, line), Math.max(from, line)];
            history.replaceState(history.state, "", low === high ? `#L${low}` : `#L${low}-L${high}`);
            getSelection().removeAllRanges();
            this.readAddress();
        }

        /* Search */

        search() {
            this.hits = [];
            this.hit = -1;
            this.scanned = 0;
            this.needle = this.query.value.toLowerCase();
            this.begin = this.rowAt(this.top() / this.height);
            this.scan();
        }

        scan() {
            if (!this.needle) {
                this.found.textContent = "";
                return this.paintHits();
            }
            const end = Math.min(this.text.length, ...Object.values(this.unfinished));
            const stop = Math.min(end, this.scanned + SCAN_ROWS);
            for (; this.scanned < stop; this.scanned += 1) {
                if (plain(this.text[this.scanned]).toLowerCase().includes(this.needle)) this.hits.push(this.scanned);
            }
            if (this.hit < 0 && this.hits.length && (this.hits.at(-1) >= this.begin || this.scanned === end)) {
                const after = this.hits.findIndex((row) => row >= this.begin);
                this.hit = after < 0 ? -1 : after - 1;
                this.goToHit(1);
            } else this.tellHits();
            if (this.scanned < end) setTimeout(() => this.scan());
            this.paintHits();
        }

        tellHits() {
            const all = number(this.hits.length);
            this.found.textContent = this.hits.length ? `${this.hit < 0 ? "" : `${number(this.hit + 1)} of `}${all} ${all === "1" ? "line" : "lines"}` : "No line";
        }

        goToHit(step) {
            if (!this.hits.length) return;
            this.nodes.get(this.hits[this.hit])?.classList.remove("log__line--hit");
            this.hit = (this.hit + step + this.hits.length) % this.hits.length;
            this.nodes.get(this.hits[this.hit])?.classList.add("log__line--hit");
            this.tellHits();
            this.show(this.hits[this.hit]);
        }

        paintHits() {
            if (!CSS.highlights) return;
            const ranges = [];
            for (const [row, node] of this.needle ? this.nodes : []) {
                const text = node.querySelector(".log__text");
                const whole = text.textContent.toLowerCase();
                for (let at = whole.indexOf(this.needle); at >= 0; at = whole.indexOf(this.needle, at + this.needle.length)) {
                    const range = new Range();
                    range.setStart(...place(text, at));
                    range.setEnd(...place(text, at + this.needle.length));
                    ranges.push(range);
                }
            }
            CSS.highlights.set("log-hit", new Highlight(...ranges));
        }

        /* Selecting and copying. The text comes from the lines themselves, whether they are in the page or not. */

        selection() {
            const chosen = getSelection();
            if (chosen.isCollapsed || !chosen.rangeCount || !this.list.contains(chosen.anchorNode) || !this.list.contains(chosen.focusNode)) return null;
            const range = chosen.getRangeAt(0);
            const end = (node, offset) => {
                const line = (node.nodeType === Node.ELEMENT_NODE ? node.children[offset] || node : node.parentElement).closest("[data-row]");
                if (!line) return null;
                const text = line.querySelector(".log__text");
                const before = new Range();
                before.selectNodeContents(text);
                if (before.comparePoint(node, offset) <= 0) {
                    if (text.contains(node)) before.setEnd(node, offset);
                    else before.collapse(true);
                }
                return { row: Number(line.dataset.row), column: before.toString().length };
            };
            const [from, to] = [end(range.startContainer, range.startOffset), end(range.endContainer, range.endOffset)];
            return from && to && { from, to };
        }

        selectAll(isOn) {
            this.root.classList.toggle("log--all", isOn);
        }

        copied(event) {
            const shown = (row) => plain(this.text[row].replace(/\r+$/, ""));
            const chosen = this.selection();
            let lines = [];
            if (this.root.classList.contains("log--all")) lines = this.text.map((_, row) => shown(row));
            else if (chosen) {
                for (let { row } = chosen.from; row <= chosen.to.row; row += 1) lines.push(shown(row));
                lines.push(lines.pop().slice(0, chosen.to.column));
                lines[0] = lines[0].slice(chosen.from.column);
            } else if (this.marked[0]) {
                for (let row = this.rowOf(this.marked[0]); row <= this.rowOf(this.marked[1]); row += 1) lines.push(shown(row));
            } else return;
            event.clipboardData.setData("text/plain", lines.join("\n"));
            event.preventDefault();
        }

        pressed(event) {
            const isTyping = event.target === this.query;
            const isCommand = event.ctrlKey || event.metaKey;
            const act = (run) => (event.preventDefault(), run());
            const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
            if (isTyping && key === "Enter") return act(() => this.goToHit(event.shiftKey ? -1 : 1));
            if (isTyping && key === "Escape") return act(() => ((this.query.value = ""), this.search(), this.view.focus()));
            if (isTyping || event.altKey) return;
            if (isCommand && key === "f") return act(() => (this.query.focus(), this.query.select()));
            if (isCommand && key === "a" && event.target === this.view) return act(() => this.selectAll(true));
            if (isCommand) return;
            this.selectAll(false);
            const press = (name) => this.root.querySelector(`[data-${name}]`).click();
            if (key === "/") act(() => this.query.focus());
            else if (key === "n") act(() => this.goToHit(event.shiftKey ? -1 : 1));
            else if (key === "w") act(() => press("wrap"));
            else if (key === "t") act(() => press("times"));
            else if (key === "End" || event.key === "G") act(() => this.setFollow(true));
            else if (key === "Home" || event.key === "g") act(() => (this.scrollTo(0), (this.follow = false), this.draw()));
        }
    }

    function place(text, offset) {
        const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
        let node = walker.nextNode();
        while (node && offset > node.length) [offset, node] = [offset - node.length, walker.nextNode()];
        return node ? [node, offset] : [text, 0];
    }

    htmx.onLoad((part) => {
        const roots = [...part.querySelectorAll("[data-stream]")];
        if (part.matches?.("[data-stream]")) roots.push(part);
        for (const root of roots) root.viewer ??= new Viewer(root);
    });
})();
