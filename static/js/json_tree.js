/* JSON as a tree. Children are made when a node opens; long lists come in ranges; numbers keep all their digits.
   One tab stop: arrows walk and open, Enter toggles; the bar above copies the path or the value of the chosen node. */
(() => {
    "use strict";
    const RANGE = 100; // entries of a range; ranges of ranges above RANGE * RANGE
    const TEXT_MAX = 240;
    const OPEN_MAX = 60; // a node with at most so many entries is open from the start, while there is room
    const OPEN_ROWS = 80;
    const PREVIEW = 64;
    const EXACT = 15; // digits that a double keeps

    class Digits {
        constructor(text) {
            this.text = text;
        }
    }

    function parse(text) {
        const long = new RegExp(`[\\d.]{${EXACT + 1},}|\\d[eE]`).test(text);
        if (!long) return JSON.parse(text);
        return JSON.parse(text, (_, value, context) =>
            typeof value === "number" && context?.source !== undefined && String(value) !== context.source ? new Digits(context.source) : value,
        );
    }

    function write(value, indent) {
        return JSON.stringify(value, (_, each) => (each instanceof Digits ? (JSON.rawJSON?.(each.text) ?? Number(each.text)) : each), indent);
    }

    function make(name, className, text) {
        const element = document.createElement(name);
        if (className) element.className = className;
        if (text !== undefined) element.textContent = text;
        return element;
    }

    const isContainer = (value) => typeof value === "object" && value !== null && !(value instanceof Digits);
    const count = (value) => (Array.isArray(value) ? value.length : Object.keys(value).length);
    const grouped = (number) => number.toLocaleString("en");

    function step(key) {
        if (typeof key === "number") return `[${key}]`;
        return /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    }

    function kind(value) {
        if (value === null) return "null";
        return value instanceof Digits ? "number" : typeof value;
    }

    function preview(value) {
        const size = count(value);
        const noun = Array.isArray(value) ? (size === 1 ? "item" : "items") : size === 1 ? "key" : "keys";
        const keys = Array.isArray(value) ? null : Object.keys(value);
        const parts = [];
        let length = 0;
        for (let place = 0; place < size && length < PREVIEW; place += 1) {
            const each = keys ? value[keys[place]] : value[place];
            let text = isContainer(each) ? (Array.isArray(each) ? "[…]" : "{…}") : each instanceof Digits ? each.text : JSON.stringify(typeof each === "string" ? each.slice(0, 24) : each);
            if (keys) text = `${keys[place]}: ${text}`;
            length += text.length + 2;
            if (length > PREVIEW && parts.length) break;
            parts.push(text);
        }
        const more = parts.length < size ? ", …" : "";
        const body = parts.join(", ") + more;
        const shown = make("span", "json-tree__preview");
        shown.append(make("span", "json-tree__content", `${Array.isArray(value) ? `[${body}]` : `{${body}}`}  `), `${grouped(size)} ${noun}`);
        return shown;
    }

    class Tree {
        constructor(host, source) {
            this.host = host;
            this.source = source;
            this.text = source.textContent;
            this.nodes = new WeakMap(); // treeitem → { value, path, entries }
            this.rows = 0;
            const value = parse(this.text);
            this.bar = this.makeBar();
            this.list = make("ul", "json-tree__list");
            this.list.setAttribute("role", "tree");
            this.list.setAttribute("aria-label", host.dataset.name === "$" ? "JSON" : host.dataset.name);
            this.list.append(this.item("", value, "$", 1));
            source.hidden = true;
            host.prepend(this.bar, this.list);
            this.openBreadthFirst();
            const first = this.list.firstElementChild;
            first.tabIndex = 0;
            this.list.addEventListener("click", (event) => this.clicked(event));
            this.list.addEventListener("keydown", (event) => this.pressed(event));
            this.list.addEventListener("focusin", (event) => this.choose(event.target.closest("[role=treeitem]")));
        }

        makeBar() {
            const bar = make("div", "json-tree__bar");
            this.path = make("output", "json-tree__path", "$");
            const button = (label, act) => {
                const each = make("button", "button button--quiet button--small", label);
                each.type = "button";
                if (act) each.addEventListener("click", act);
                bar.append(each);
                return each;
            };
            bar.append(this.path);
            this.copyPath = button("Copy path");
            this.copyValue = button("Copy value");
            this.raw = button("Raw", () => this.showRaw());
            this.raw.setAttribute("aria-pressed", "false");
            for (const each of [this.copyPath, this.copyValue]) {
                each.classList.add("copy");
                const label = make("span", "copy__label", each.textContent);
                each.replaceChildren(label);
            }
            this.copyPath.dataset.copy = "$";
            this.copyValue.addEventListener("click", () => this.fillValue()); // before copy.js, which listens further out
            this.copyValue.dataset.copy = this.text;
            return bar;
        }

        fillValue() {
            const node = this.chosen && this.nodes.get(this.chosen);
            if (!node || node.path === "$") this.copyValue.dataset.copy = this.text;
            else this.copyValue.dataset.copy = typeof node.value === "string" ? node.value : write(node.value, 2);
        }

        showRaw() {
            const isRaw = this.source.hidden;
            this.source.hidden = !isRaw;
            this.list.hidden = isRaw;
            this.raw.setAttribute("aria-pressed", String(isRaw));
        }

        item(key, value, path, level, entries) {
            const item = make("li", "json-tree__item");
            item.setAttribute("role", "treeitem");
            item.setAttribute("aria-level", level);
            item.tabIndex = -1;
            const row = make("div", "json-tree__row");
            if (key !== "") row.append(make("span", typeof key === "number" ? "json-tree__index" : "json-tree__key", entries ? key : String(key)), make("span", "json-tree__colon", entries ? "" : ": "));
            this.nodes.set(item, { value, path, entries });
            if (entries || (isContainer(value) && count(value))) {
                item.setAttribute("aria-expanded", "false");
                if (!entries) row.append(preview(value));
            } else row.append(this.leaf(value));
            item.append(row);
            return item;
        }

        leaf(value) {
            if (isContainer(value)) return make("span", "json-tree__preview", Array.isArray(value) ? "[]" : "{}");
            const text = value instanceof Digits ? value.text : JSON.stringify(value);
            const shown = make("span", `json-tree__value json-tree__value--${kind(value)}`);
            if (text.length <= TEXT_MAX) shown.textContent = text;
            else {
                shown.textContent = `${text.slice(0, TEXT_MAX)}…`;
                const more = make("button", "json-tree__more", `show all ${grouped(text.length - 2)} characters`);
                more.type = "button";
                more.tabIndex = -1;
                more.addEventListener("click", () => {
                    shown.textContent = text;
                    more.remove();
                });
                const both = document.createDocumentFragment();
                both.append(shown, " ", more);
                return both;
            }
            return shown;
        }

        children(node, level) {
            const { value, path } = node;
            const keys = Array.isArray(value) ? null : (node.keys ??= Object.keys(value));
            const [from, to] = node.entries || [0, count(value)];
            const list = make("ul", "json-tree__list");
            list.setAttribute("role", "group");
            let span = 1;
            while ((to - from) / span > RANGE) span *= RANGE;
            for (let place = from; place < to; place += span) {
                if (span > 1) {
                    const end = Math.min(place + span, to);
                    const range = this.item(`${grouped(place)} … ${grouped(end - 1)}`, value, path, level, [place, end]);
                    this.nodes.get(range).keys = keys;
                    list.append(range);
                } else {
                    const key = keys ? keys[place] : place;
                    list.append(this.item(key, value[key], path + step(key), level));
                }
            }
            this.rows += list.children.length;
            return list;
        }

        open(item, isOpen) {
            if (!item.hasAttribute("aria-expanded")) return;
            item.setAttribute("aria-expanded", String(isOpen));
            const list = item.querySelector(":scope > ul");
            if (isOpen && !list) item.append(this.children(this.nodes.get(item), Number(item.getAttribute("aria-level")) + 1));
            else if (list) list.hidden = !isOpen;
        }

        openBreadthFirst() {
            let wave = [this.list.firstElementChild];
            while (wave.length) {
                const next = [];
                for (const item of wave) {
                    const { value, entries } = this.nodes.get(item);
                    const isRoot = item === this.list.firstElementChild;
                    if (!item.hasAttribute("aria-expanded") || entries) continue;
                    if (!isRoot && (count(value) > OPEN_MAX || this.rows + count(value) > OPEN_ROWS)) continue;
                    this.open(item, true);
                    next.push(...item.querySelectorAll(":scope > ul > li"));
                }
                wave = next;
            }
        }

        choose(item) {
            if (!item || item === this.chosen) return;
            for (const each of this.list.querySelectorAll('[tabindex="0"]')) each.tabIndex = -1;
            this.chosen?.removeAttribute("aria-selected");
            item.tabIndex = 0;
            item.setAttribute("aria-selected", "true");
            this.chosen = item;
            const { path } = this.nodes.get(item);
            this.path.textContent = path;
            this.copyPath.dataset.copy = path;
        }

        clicked(event) {
            const item = event.target.closest("[role=treeitem]");
            if (!item || event.target.closest("button")) return;
            this.choose(item);
            if (!String(getSelection())) item.focus({ preventScroll: true });
            if (event.target.closest(".json-tree__row") && !String(getSelection())) this.open(item, item.getAttribute("aria-expanded") !== "true");
        }

        visible() {
            return [...this.list.querySelectorAll("[role=treeitem]")].filter((each) => !each.parentElement.closest("ul[hidden]"));
        }

        pressed(event) {
            const item = event.target.closest("[role=treeitem]");
            if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
            const expanded = item.getAttribute("aria-expanded");
            const go = (target) => target?.focus();
            const all = ["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key) ? this.visible() : [];
            if (event.key === "ArrowDown") go(all[all.indexOf(item) + 1]);
            else if (event.key === "ArrowUp") go(all[all.indexOf(item) - 1]);
            else if (event.key === "Home") go(all[0]);
            else if (event.key === "End") go(all.at(-1));
            else if (event.key === "ArrowRight") expanded === "false" ? this.open(item, true) : go(item.querySelector(":scope > ul > li"));
            else if (event.key === "ArrowLeft") expanded === "true" ? this.open(item, false) : go(item.parentElement.closest("[role=treeitem]"));
            else if (event.key === "Enter" || event.key === " ") {
                if (expanded) this.open(item, expanded !== "true");
                else item.querySelector(".json-tree__more")?.click();
            } else return;
            event.preventDefault();
        }
    }

    htmx.onLoad((part) => {
        const hosts = [...part.querySelectorAll("[data-json-tree]")];
        if (part.matches?.("[data-json-tree]")) hosts.push(part);
        for (const host of hosts) {
            const source = host.querySelector(".json-tree__source");
            if (host.querySelector("[role=tree]") || !source) continue;
            try {
                new Tree(host, source);
            } catch (error) {
                if (!(error instanceof SyntaxError)) throw error; // not JSON: the text stays as it is
            }
        }
    });
})();
