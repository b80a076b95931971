/* A form for a JSON value, beside its JSON editor: two views of one value. The server says which controls there are
   (services/contracts/controls.py); this draws them. What the form does not know survives in the JSON, digit by digit. */
(() => {
    "use strict";
    const SYNC_MS = 150;
    const TEXT_MAX = 100_000; // characters of JSON; above, there is the editor alone
    const CONTROLS_MAX = 600;
    const ITEMS_MAX = 50; // of a list, and rows of a map
    const NUMBERS_MAX = 20_000; // in one line
    const LINE = 88;
    const RADIOS_MAX = 3;
    const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
    const TOKEN = /[ \t\n\r]+|[{}[\],:]|"(?:[^"\\]|\\.)*"|[^\s{}[\],:"]+/y;
    const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z$/;
    const INPUT_TYPES = { email: "email", uri: "url", date: "date", password: "password" };

    // Values: Map for an object, Digits for a number, the rest as in JavaScript; undefined is what is not there.

    class Digits {
        constructor(text) {
            this.text = text;
        }
    }

    function parse(text) {
        JSON.parse(text); // throws where it is none, so that what follows need not look
        let at = 0;
        const next = () => {
            for (;;) {
                TOKEN.lastIndex = at;
                const token = TOKEN.exec(text)[0];
                at += token.length;
                if (token.trim()) return token;
            }
        };
        const value = (token) => {
            if (token === "{") {
                const found = new Map();
                for (let key = next(); key !== "}"; key = next()) {
                    if (key === ",") key = next();
                    next();
                    found.set(JSON.parse(key), value(next()));
                }
                return found;
            }
            if (token === "[") {
                const found = [];
                for (let item = next(); item !== "]"; item = next()) found.push(value(item === "," ? next() : item));
                return found;
            }
            return /^[-\d]/.test(token) ? new Digits(token) : JSON.parse(token);
        };
        return value(next());
    }

    const words = (size) => (Number.isInteger(size) && Math.abs(size) >= 10_000 ? size.toLocaleString("en") : String(size));
    const isContainer = (value) => value instanceof Map || Array.isArray(value);

    function write(value, indent = "") {
        const inner = `${indent}  `;
        if (value instanceof Digits) return value.text;
        if (value instanceof Map) {
            if (!value.size) return "{}";
            return `{\n${[...value].map(([key, each]) => `${inner}${JSON.stringify(key)}: ${write(each, inner)}`).join(",\n")}\n${indent}}`;
        }
        if (!Array.isArray(value)) return JSON.stringify(value);
        if (!value.length) return "[]";
        const items = value.map((each) => write(each, inner));
        if (value.some(isContainer)) return `[\n${inner}${items.join(`,\n${inner}`)}\n${indent}]`;
        if (indent.length + items.join(", ").length < LINE) return `[${items.join(", ")}]`;
        const lines = [""];
        for (const [place, item] of items.entries()) {
            const piece = place < items.length - 1 ? `${item},` : item;
            if (lines.at(-1) && lines.at(-1).length + piece.length >= LINE) lines.push(piece);
            else lines.push([lines.pop(), piece].filter(Boolean).join(" "));
        }
        return `[\n${inner}${lines.join(`\n${inner}`)}\n${indent}]`;
    }

    const number = (text) => new Digits(NUMBER.test(text) ? text : String(Number(text)));
    const isNumeric = (text) => text !== "" && Number.isFinite(Number(text)) && /^[-+.\deE]+$/.test(text);
    const same = (one, other) => one === other || (one !== undefined && other !== undefined && write(one) === write(other));
    const shown = (value) => (typeof value === "string" && value ? value : value === undefined ? "" : write(value));
    const count = (size, one, many = `${one}s`) => `${size.toLocaleString("en")} ${size === 1 ? one : many}`;

    function kindOf(value) {
        if (value === null) return "null";
        if (value instanceof Map) return "an object";
        if (Array.isArray(value)) return "a list";
        return { string: "a text", boolean: "true or false" }[typeof value] ?? "a number";
    }

    /* Whether a control can show a value; the rest is for the server to say. */
    function fits(node, value) {
        if (value === undefined || (value === null && node.nullable)) return true;
        switch (node.kind) {
            case "object":
                return value instanceof Map;
            case "array":
                return Array.isArray(value);
            case "choices":
                return Array.isArray(value) && value.every((each) => node.options.some((option) => option.value === write(each)));
            case "text":
                return typeof value === "string";
            case "number":
            case "integer":
                return value instanceof Digits;
            case "boolean":
                return typeof value === "boolean";
            case "const":
                return write(value) === write(parse(node.value));
            case "choice":
                return node.options.some((option) => same(parse(option.value), value));
            case "variants":
                return variantOf(node, value) >= 0;
            default:
                return true;
        }
    }

    /* Which variant a value is: the first that has its names and fixed values, else the first of its type. */
    function variantOf(node, value) {
        const closely = (variant) => {
            if (!fits(variant, value)) return false;
            if (variant.kind !== "object") return true;
            return variant.properties.every((each) => (value.has(each.key) ? fits(each, value.get(each.key)) : !each.required));
        };
        if (value === undefined) return -1;
        const close = node.variants.findIndex(closely);
        return close >= 0 ? close : node.variants.findIndex((variant) => fits(variant, value) && !fixed(variant, value));
    }

    /* Whether a value that is fixed in the variant is another one here. */
    const fixed = (variant, value) => variant.kind === "object" && variant.properties.some((each) => each.kind === "const" && value.has(each.key) && !fits(each, value.get(each.key)));

    /* What a control begins with when somebody adds it. */
    function begin(node) {
        if (node.default !== undefined) return parse(node.default);
        switch (node.kind) {
            case "const":
                return parse(node.value);
            case "choice":
                return parse(node.options[0].value);
            case "object":
                return new Map(node.properties.filter((each) => each.required && isObvious(each)).map((each) => [each.key, begin(each)]));
            case "array":
            case "choices":
                return [];
            case "text":
                return "";
            case "number":
            case "integer":
                return node.example !== undefined ? parse(node.example) : new Digits(String(Math.max(0, node.min ?? 0)));
            case "boolean":
                return false;
            case "variants":
                return begin(node.variants[0]);
            default:
                return node.example !== undefined ? parse(node.example) : null;
        }
    }

    const isObvious = (node) => node.default !== undefined || ["const", "object", "array", "choices", "boolean"].includes(node.kind);

    /* What is wrong with a value, as far as one can say while somebody types; "" for nothing. The server has the last
       word. It alone tries patterns: theirs is a foreign one, and in a browser it could run for ever. */
    function objection(node, value) {
        if (value === undefined) return node.required ? "This is needed." : "";
        if (value === null && node.nullable) return "";
        if (value instanceof Digits) return objectionToNumber(node, Number(value.text));
        if (node.kind === "text") {
            const size = [...value].length;
            if (size < node.minLength) return `${count(node.minLength, "character")} at least; ${size} now.`;
            if (size > node.maxLength) return `${count(node.maxLength, "character")} at most; ${size} now.`;
        }
        if (Array.isArray(value)) {
            if (value.length < node.minItems) return `${count(node.minItems, "item")} at least; ${value.length} now.`;
            if (value.length > node.maxItems) return `${count(node.maxItems, "item")} at most; ${value.length} now.`;
            if (node.compact) {
                const place = value.findIndex((each) => each instanceof Digits && objectionToNumber(node.item, Number(each.text)));
                if (place >= 0) return `Number ${place + 1}, ${write(value[place])}: ${objectionToNumber(node.item, Number(value[place].text))}`;
            }
            if (node.unique && new Set(value.map((each) => write(each))).size < value.length) return "Each item only once.";
        }
        if (value instanceof Map && node.closed) {
            const unknown = [...value.keys()].filter((key) => !node.properties.some((each) => each.key === key));
            if (unknown.length) return `Not known here: ${unknown.slice(0, 5).join(", ")}. Remove it in the JSON.`;
        }
        return "";
    }

    function objectionToNumber(node, value) {
        if (node.kind === "integer" && !Number.isInteger(value)) return "A whole number, please.";
        if (value < node.min) return `At least ${words(node.min)}.`;
        if (value > node.max) return `At most ${words(node.max)}.`;
        if (value <= node.above) return `More than ${node.above}.`;
        if (value >= node.below) return `Less than ${node.below}.`;
        const steps = value / node.step;
        if (node.step && Math.abs(steps - Math.round(steps)) > 1e-9 * Math.max(1, Math.abs(steps))) return `A multiple of ${node.step}.`;
        return "";
    }

    /* The bounds in words. */
    function expectations(node) {
        const found = [];
        const both = (low, high, text) => found.push(low !== undefined && high !== undefined ? text(`${words(low)} to ${words(high)}`) : low !== undefined ? text(`at least ${words(low)}`) : text(`at most ${words(high)}`));
        if (node.min !== undefined || node.max !== undefined) both(node.min, node.max, (range) => range);
        if (node.above !== undefined) found.push(`more than ${words(node.above)}`);
        if (node.below !== undefined) found.push(`less than ${words(node.below)}`);
        if (node.step !== undefined) found.push(`a multiple of ${node.step}`);
        if (node.minLength || node.maxLength !== undefined) both(node.minLength || undefined, node.maxLength, (range) => `${range} ${/(^|\D)1$/.test(range) ? "character" : "characters"}`);
        if (node.minItems || node.maxItems !== undefined) both(node.minItems || undefined, node.maxItems, (range) => `${range} ${/(^|\D)1$/.test(range) ? "item" : "items"}`);
        if (node.unique) found.push("each only once");
        if (node.kind === "text" && node.format === "date-time") found.push("in UTC");
        if (node.compact) found.push(...expectations(node.item).map((each) => `each ${each}`));
        if (node.default !== undefined && !["object", "variants"].includes(node.kind)) found.push(`default: ${shown(parse(node.default)).slice(0, 60)}`);
        return [...found, ...(node.notes ?? [])];
    }

    // Elements

    function make(name, className, ...content) {
        const element = document.createElement(name);
        if (className) element.className = className;
        element.append(...content);
        return element;
    }

    function icon(name) {
        const svg = document.querySelector("svg.icon use")?.closest("svg").cloneNode(true);
        if (!svg) return "";
        svg.setAttribute("class", "icon");
        svg.querySelectorAll("title").forEach((title) => title.remove());
        ["role", "aria-label", "aria-labelledby"].forEach((attribute) => svg.removeAttribute(attribute));
        svg.setAttribute("aria-hidden", "true");
        const use = svg.querySelector("use");
        use.setAttribute("href", `${use.getAttribute("href").split("#")[0]}#${name}`);
        return svg;
    }

    function button(text, act, { symbol, small = true, quiet = true, bare = false } = {}) {
        const made = make("button", `button${quiet ? " button--quiet" : ""}${small ? " button--small" : ""}${bare ? " button--icon" : ""}`);
        made.type = "button";
        if (symbol) made.append(icon(symbol));
        if (bare) {
            made.setAttribute("aria-label", text);
            made.title = text;
        } else made.append(text);
        made.addEventListener("click", act);
        return made;
    }

    const escape = (key) => String(key).replaceAll("~", "~0").replaceAll("/", "~1");

    let numbered = 0;

    class Form {
        constructor(host) {
            this.host = host;
            this.area = document.getElementById(host.dataset.area);
            this.node = { ...JSON.parse(document.getElementById(host.dataset.controls).textContent), required: true };
            this.name = host.dataset.name;
            this.controls = new Map(); // pointer → what shows messages and takes the focus
            this.touched = new Set(); // pointers that somebody has been at: hints elsewhere would only be noise
            this.chosen = new Map(); // pointer → the variant that was chosen
            this.asRows = new Set(); // pointers of number lists that are shown in rows
            this.value = undefined;
            this.timer = 0;
            this.slot = { pointer: "", get: () => this.value, set: (value) => (this.value = value) };
            this.state = make("p", "schema-form__state");
            this.state.setAttribute("role", "status");
            this.all = make("fieldset", "schema-form__all");
            this.all.setAttribute("aria-label", `${this.name} as a form`);
            this.spoken = make("p", "visually-hidden");
            this.spoken.setAttribute("aria-live", "polite");
            this.pane = make("div", "schema-form__pane", this.state, this.all, this.spoken);
            host.prepend(this.makeSwitch(), this.pane);
            host.dataset.view = "form";
            this.area.addEventListener("input", () => {
                if (this.isWriting) return;
                clearTimeout(this.timer);
                this.timer = setTimeout(() => this.read(), SYNC_MS);
            });
            this.pane.addEventListener("keydown", (event) => this.onKey(event));
            this.pane.addEventListener("focusout", (event) => this.onLeave(event));
            this.violations = [];
            this.read();
            this.takeViolations();
        }

        makeSwitch() {
            const made = make("div", "schema-form__switch");
            made.setAttribute("role", "group");
            made.setAttribute("aria-label", `${this.name}: view`);
            for (const [view, text] of [["form", "Form"], ["json", "JSON"]]) {
                const each = button(text, () => this.show(view), { quiet: false });
                each.dataset.view = view;
                each.setAttribute("aria-pressed", String(view === "form"));
                made.append(each);
            }
            return made;
        }

        show(view) {
            this.host.dataset.view = view;
            for (const each of this.host.querySelectorAll(".schema-form__switch button")) each.setAttribute("aria-pressed", String(each.dataset.view === view));
        }

        // One value

        /* JSON → form. What cannot be shown leaves the form as it was, and out of use. */
        read() {
            const text = this.area.value;
            let value;
            let problem = "";
            if (text.length > TEXT_MAX) problem = `This is more than a form can show (${count(text.length, "character")}). Go on in the JSON.`;
            else if (!text.trim()) value = this.node.kind === "object" ? new Map() : undefined;
            else {
                try {
                    value = parse(text);
                } catch (error) {
                    problem = error instanceof RangeError ? "This is nested too deeply for a form. Go on in the JSON." : "The JSON has a mistake, so the form waits. Mend it there, and the form goes on.";
                }
            }
            this.all.disabled = Boolean(problem);
            this.host.toggleAttribute("data-waits", Boolean(problem));
            this.state.textContent = problem;
            if (problem && this.all.childElementCount) return;
            if (!problem) this.value = value;
            else if (this.node.kind === "object") this.value = new Map();
            this.draw();
        }

        /* Form → JSON. */
        write() {
            this.area.value = this.value === undefined ? "" : write(this.value);
            this.isWriting = true;
            this.area.dispatchEvent(new Event("input", { bubbles: true }));
            this.isWriting = false;
            this.showMessages();
        }

        change(slot, value) {
            this.touched.add(slot.pointer);
            slot.set(value);
            this.write();
        }

        draw() {
            this.controls.clear();
            this.budget = CONTROLS_MAX;
            const drawn = this.control(this.node, this.slot, { label: this.name, isRoot: true });
            this.all.replaceChildren(drawn);
            this.showMessages();
        }

        child(slot, key) {
            return {
                pointer: `${slot.pointer}/${escape(key)}`,
                get: () => {
                    const holder = slot.get();
                    return holder instanceof Map || Array.isArray(holder) ? (holder instanceof Map ? holder.get(key) : holder[key]) : undefined;
                },
                set: (value) => {
                    const holder = slot.get();
                    if (Array.isArray(holder)) holder[key] = value;
                    else if (value === undefined) holder.delete(key);
                    else holder.set(key, value);
                },
            };
        }

        // Messages

        takeViolations() {
            const data = this.host.dataset.violations && document.getElementById(this.host.dataset.violations);
            for (const { pointer, message } of data ? JSON.parse(data.textContent) : []) {
                this.violations.push({ pointer, message, at: shown(this.at(pointer)) });
            }
            this.showMessages();
        }

        at(pointer) {
            let value = this.value;
            for (const part of pointer.split("/").slice(1)) {
                const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
                value = value instanceof Map ? value.get(key) : Array.isArray(value) ? value[Number(key)] : undefined;
            }
            return value;
        }

        /* The pointer of the control for a place: its own, or the nearest one around it. */
        nearest(pointer) {
            let found = pointer;
            while (found && !this.controls.has(found)) found = found.slice(0, found.lastIndexOf("/"));
            return found;
        }

        showMessages() {
            const found = new Map();
            for (const { pointer, message, at } of this.violations) {
                if (shown(this.at(pointer)) !== at) continue; // it was changed since
                const place = this.nearest(pointer);
                found.set(place, [...(found.get(place) ?? []), place === pointer ? message : `${pointer}: ${message}`]);
            }
            for (const [pointer, control] of this.controls) {
                const hint = control.problem || (this.touched.has(pointer) && fits(control.node, control.slot.get()) ? objection(control.node, control.slot.get()) : "");
                control.tell(found.get(pointer) ?? [], hint);
            }
        }

        say(text) {
            this.spoken.textContent = text;
        }

        /* Focus on the control for a place; false where the form cannot show it. */
        focus(pointer) {
            if (this.all.disabled) return false;
            const control = this.controls.get(this.nearest(pointer));
            if (!control) return false;
            this.show("form");
            control.focus();
            return true;
        }

        // Keys

        onKey(event) {
            const item = event.target.closest("[data-item]");
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
                event.preventDefault();
                this.area.form?.requestSubmit();
            } else if (event.key === "Enter" && event.target.matches("input")) {
                event.preventDefault(); // it would run the job in the middle of a form
                if (!event.isComposing && item?.contains(event.target)) item.dispatchEvent(new CustomEvent("schema-form:add"));
            } else if (event.altKey && item && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
                event.preventDefault();
                item.dispatchEvent(new CustomEvent("schema-form:move", { detail: event.key === "ArrowUp" ? -1 : 1 }));
            }
        }

        onLeave(event) {
            const pointer = event.target.closest("[data-pointer]")?.dataset.pointer;
            if (pointer === undefined || this.touched.has(pointer)) return;
            this.touched.add(pointer);
            this.showMessages();
        }

        // Controls

        /* The control of a node on a slot. `item`: it stands in a list or map, where it cannot be left out. */
        control(node, slot, how = {}) {
            this.budget -= 1;
            if (this.budget < 0) return make("p", "field__help", `${how.label}: too much for a form. It is in the JSON.`);
            const value = slot.get();
            if (!fits(node, value) && node.kind !== "variants") return this.mismatch(node, slot, how);
            switch (node.kind) {
                case "object":
                case "array":
                case "variants":
                    return this.group(node, slot, how);
                case "choices":
                    return this.choices(node, slot, how);
                case "boolean":
                    return node.nullable ? this.choice({ ...node, options: [{ value: "true", label: "true" }, { value: "false", label: "false" }] }, slot, how) : this.check(node, slot, how);
                case "const":
                    return how.item ? this.fixed(node, slot, how) : this.check(node, slot, how);
                case "choice":
                    return this.choice(node, slot, how);
                case "number":
                case "integer":
                    return this.number(node, slot, how);
                case "text":
                    return this.text(node, slot, how);
                default:
                    return this.json(node, slot, how);
            }
        }

        label(node, how) {
            return node.title || how.label;
        }

        /* What every control has around it: label, help, messages; `register` is how it is found by its pointer. */
        frame(node, slot, how, input, className = "field") {
            const id = `schema-form-${(numbered += 1)}`;
            const label = make("label", "field__label", this.label(node, how));
            const head = make("div", "schema-form__label", label);
            if (node.title && how.key !== undefined && node.title !== how.key) head.append(make("code", "schema-form__key", how.key));
            if (node.required && !how.item) head.append(make("span", "schema-form__required", "required"));
            const field = make("div", className, head, input);
            field.dataset.pointer = slot.pointer;
            input.id = id;
            label.htmlFor = id;
            if (node.required && !input.matches("output")) input.setAttribute("aria-required", "true");
            const describedBy = this.describe(node, field, id);
            if (node.nullable && !how.hasNull) head.append(this.nullSwitch(node, slot, input));
            this.register(node, slot, field, input, describedBy);
            return field;
        }

        /* Help and expectations below a control; the id of it, as a list. */
        describe(node, field, id) {
            const notes = expectations(node).join(" · ");
            if (!node.help && !notes) return [];
            const line = make("p", "field__help", node.help ?? "");
            if (notes) line.append(node.help ? " · " : "", make("span", "schema-form__notes", notes));
            line.id = `${id}-help`;
            field.append(line);
            return [line.id];
        }

        register(node, slot, field, input, describedBy, focus = () => input.focus()) {
            const id = `${input.id || `schema-form-${(numbered += 1)}`}-messages`;
            const list = make("ul", "field__errors");
            list.id = id;
            list.hidden = true;
            field.append(list);
            if (describedBy.length) input.setAttribute("aria-describedby", describedBy.join(" "));
            let was = "";
            const control = {
                node,
                slot,
                problem: "", // what was typed and is no value
                focus: () => {
                    focus();
                    field.scrollIntoView({ block: "nearest" });
                },
                tell: (errors, hint) => {
                    const now = JSON.stringify([errors, hint]);
                    if (now === was) return;
                    was = now;
                    const messages = hint ? [...errors, hint] : errors;
                    list.hidden = !messages.length;
                    list.replaceChildren(...messages.map((text) => make("li", "", icon("failed"), make("div", "", text))));
                    field.classList.toggle("field--invalid", messages.length > 0);
                    if (messages.length) {
                        if (input.matches("input, select, textarea")) input.setAttribute("aria-invalid", "true");
                        input.setAttribute("aria-describedby", [id, ...describedBy].join(" "));
                    } else {
                        input.removeAttribute("aria-invalid");
                        if (describedBy.length) input.setAttribute("aria-describedby", describedBy.join(" "));
                        else input.removeAttribute("aria-describedby");
                    }
                },
            };
            this.controls.set(slot.pointer, control);
            return control;
        }

        problem(slot, text) {
            this.controls.get(slot.pointer).problem = text;
        }

        nullSwitch(node, slot, input) {
            const box = make("input");
            box.type = "checkbox";
            box.checked = slot.get() === null;
            input.disabled = box.checked;
            box.addEventListener("change", () => {
                this.problem(slot, "");
                input.disabled = box.checked;
                if (input.type !== "select-one") input.value = "";
                this.change(slot, box.checked ? null : undefined);
                if (!box.checked) input.focus();
            });
            return make("label", "schema-form__null", box, "null");
        }

        /* Sets what an input says, or takes it away where it says nothing. */
        store(slot, how, value) {
            this.problem(slot, value === undefined && how.item ? "A value is needed here. Remove the item if there is none." : "");
            if (value === undefined && how.item) this.showMessages();
            else this.change(slot, value);
        }

        number(node, slot, how) {
            const value = slot.get();
            const input = make("input");
            const isUsual = !(value instanceof Digits) || Number.isFinite(Number(value.text));
            input.type = isUsual ? "number" : "text";
            input.inputMode = node.kind === "integer" ? "numeric" : "decimal";
            input.step = node.step ?? (node.kind === "integer" ? 1 : "any");
            if (node.min !== undefined) input.min = node.min;
            if (node.max !== undefined) input.max = node.max;
            input.value = value instanceof Digits ? value.text : "";
            input.placeholder = hintOf(node);
            input.autocomplete = "off";
            input.addEventListener("input", () => {
                const text = input.value.trim();
                if (input.validity.badInput || (text && !isNumeric(text))) {
                    this.problem(slot, "This is not a number. The JSON keeps the value from before.");
                    this.showMessages();
                } else this.store(slot, how, text ? number(text) : undefined);
            });
            return this.frame(node, slot, how, input);
        }

        text(node, slot, how) {
            const value = slot.get();
            const isLong = node.long || (typeof value === "string" && value.includes("\n"));
            const isMoment = node.format === "date-time" && (!value || MOMENT.test(value));
            const input = make(isLong ? "textarea" : "input");
            if (isLong) input.rows = 2;
            else if (isMoment) {
                input.type = "datetime-local";
                input.step = 1;
            } else if (node.format !== "date" || !value || /^\d{4}-\d\d-\d\d$/.test(value)) input.type = INPUT_TYPES[node.format] ?? "text";
            input.value = isMoment && value ? value.slice(0, -1) : (value ?? "");
            input.placeholder = hintOf(node);
            input.autocomplete = "off";
            if (input.type !== "email" && input.type !== "url") input.spellcheck = isLong;
            input.addEventListener("input", () => {
                let text = input.value;
                if (isMoment && text) text = `${text.length === 16 ? `${text}:00` : text}Z`;
                // An empty field says nothing, unless a text must be there.
                const isThere = text !== "" || how.item || (node.required && !input.type.startsWith("date"));
                this.store(slot, how, isThere ? text : undefined);
                if (input.validity.typeMismatch) {
                    this.problem(slot, input.type === "email" ? "An e-mail address has an @ and a domain behind it." : "An address begins with its scheme, such as https://.");
                    this.showMessages();
                }
            });
            return this.frame(node, slot, how, input);
        }

        check(node, slot, how) {
            const isConst = node.kind === "const";
            const input = make("input");
            input.type = "checkbox";
            const start = slot.get() ?? (node.default !== undefined && !isConst ? parse(node.default) : undefined);
            input.checked = isConst ? slot.get() !== undefined : start === true;
            input.addEventListener("change", () => this.change(slot, isConst ? (input.checked ? parse(node.value) : undefined) : input.checked));
            const field = this.frame(node, slot, how, input, "field field--check");
            field.prepend(input); // the box stands before its words
            if (isConst) field.querySelector(".schema-form__label").append(make("code", "schema-form__key", shown(parse(node.value)).slice(0, 60)));
            return field;
        }

        fixed(node, slot, how) {
            const input = make("input");
            input.readOnly = true;
            input.value = shown(slot.get());
            return this.frame(node, slot, how, input);
        }

        choice(node, slot, how) {
            const value = slot.get();
            const options = node.nullable ? [...node.options, { value: "null", label: "null" }] : node.options;
            const current = options.findIndex((option) => value !== undefined && same(parse(option.value), value));
            if (node.required && !how.item && node.options.length <= RADIOS_MAX && !node.nullable) return this.radios(node, slot, how, current);
            const select = make("select");
            if (!how.item || current < 0) {
                const nothing = node.default !== undefined ? `Not sent (default: ${shown(parse(node.default)).slice(0, 40)})` : node.required ? "Choose…" : "Not sent";
                select.append(new Option(nothing, ""));
            }
            for (const [place, option] of options.entries()) select.append(new Option(option.label, String(place)));
            select.value = current < 0 ? "" : String(current);
            select.addEventListener("change", () => this.store(slot, how, select.value === "" ? undefined : parse(options[Number(select.value)].value)));
            return this.frame(node, slot, { ...how, hasNull: true }, select);
        }

        radios(node, slot, how, current) {
            const group = `schema-form-${(numbered += 1)}-choice`;
            return this.boxes(node, slot, how, (option, place) => {
                const input = make("input");
                input.type = "radio";
                input.name = group;
                input.setAttribute("form", "none"); // it is not sent: the JSON is
                input.checked = place === current;
                input.addEventListener("change", () => this.change(slot, parse(option.value)));
                return input;
            });
        }

        /* A list in which each of some values is at most once: a box for each. */
        choices(node, slot, how) {
            return this.boxes(node, slot, how, (option) => {
                const input = make("input");
                input.type = "checkbox";
                input.checked = (slot.get() ?? []).some((each) => write(each) === write(parse(option.value)));
                input.addEventListener("change", () => {
                    const others = (slot.get() ?? []).filter((each) => write(each) !== write(parse(option.value)));
                    const chosen = input.checked ? [...others, parse(option.value)] : others;
                    this.change(slot, chosen.length || node.required || how.item ? chosen : undefined);
                });
                return input;
            });
        }

        boxes(node, slot, how, makeInput) {
            const field = make("fieldset", "field field--choices");
            field.dataset.pointer = slot.pointer;
            field.append(this.legend(node, how, "legend", "field__label"));
            const inputs = node.options.map(makeInput);
            field.append(make("div", "", ...inputs.map((input, place) => make("label", "", input, node.options[place].label))));
            const describedBy = this.describe(node, field, `schema-form-${(numbered += 1)}`);
            this.register(node, slot, field, field, describedBy, () => (inputs.find((input) => input.checked) ?? inputs[0]).focus());
            return field;
        }

        legend(node, how, name, className) {
            const legend = make(name, className, this.label(node, how));
            if (node.title && how.key !== undefined && node.title !== how.key) legend.append(" ", make("code", "schema-form__key", how.key));
            if (node.required && !how.item) legend.append(" ", make("span", "schema-form__required", "required"));
            return legend;
        }

        json(node, slot, how) {
            const value = slot.get();
            const area = make("textarea", "schema-form__json");
            area.rows = 2;
            area.spellcheck = false;
            area.value = value === undefined ? "" : write(value);
            area.addEventListener("input", () => {
                try {
                    this.store(slot, how, area.value.trim() ? parse(area.value) : undefined);
                } catch {
                    this.problem(slot, "This is not JSON yet. The value from before is kept.");
                    this.showMessages();
                }
            });
            const note = node.note || "JSON";
            return this.frame({ ...node, notes: [note, ...(node.notes ?? [])] }, slot, { ...how, hasNull: true }, area);
        }

        /* A value that the control cannot show: it stays until somebody wants another. */
        mismatch(node, slot, how) {
            const holder = make("div", "schema-form__holder");
            const output = make("output", "schema-form__value", shown(slot.get()).slice(0, 200));
            const field = this.frame({ ...node, nullable: false }, slot, how, output);
            const found = node.kind === "choice" || node.kind === "choices" || node.kind === "const" ? "a value that is none of its choices" : kindOf(slot.get());
            field.append(
                make("p", "field__help", `The JSON has ${found} here, and the form cannot show it.`),
                button("Replace it", () => {
                    this.change(slot, how.item || node.required ? begin(node) : undefined);
                    holder.replaceChildren(this.control(node, slot, how));
                    this.showMessages();
                    this.controls.get(slot.pointer)?.focus();
                }, { symbol: "refresh", quiet: false }),
            );
            holder.append(field);
            return holder;
        }

        // Groups: what is drawn again when something is added, moved or taken away

        group(node, slot, how) {
            const holder = make("div", "schema-form__holder");
            const inside = () => [...holder.querySelectorAll("input, select, textarea, button")];
            const redraw = (pointer) => {
                const place = inside().indexOf(document.activeElement);
                for (const known of this.controls.keys()) if (known.startsWith(`${slot.pointer}/`)) this.controls.delete(known);
                holder.replaceChildren(draw());
                this.showMessages();
                if (pointer !== undefined) this.controls.get(pointer)?.focus();
                else if (place >= 0) inside()[place]?.focus();
            };
            const draw = () => {
                const field = make("div", how.isRoot ? "schema-form__root" : "schema-form__group");
                const value = slot.get();
                field.dataset.pointer = slot.pointer;
                field.setAttribute("role", "group");
                field.tabIndex = -1;
                field.setAttribute("aria-label", this.label(node, how));
                if (!how.isRoot) {
                    const head = make("div", "schema-form__head", this.legend(node, how, "div", "schema-form__legend"));
                    if (value !== undefined && value !== null && !how.item) head.append(this.leaveOut(node, slot, how, redraw));
                    field.append(head);
                }
                const describedBy = this.describe(node, field, `schema-form-${(numbered += 1)}`);
                const focus = () => (field.querySelector("input, select, textarea") ?? field.querySelector("button") ?? field).focus();
                if (value === undefined || value === null) this.absent(node, slot, how, field, redraw);
                else {
                    if (node.kind === "variants") this.variants(node, slot, how, field, redraw);
                    else if (node.kind === "array") this.items(node, slot, how, field, redraw);
                    else this.members(node, slot, how, field, redraw);
                }
                this.register(node, slot, field, field, describedBy, focus);
                return field;
            };
            holder.append(draw());
            return holder;
        }

        absent(node, slot, how, field, redraw) {
            if (slot.get() === null) field.append(make("p", "field__help", "It is null now."));
            const add = (value, variant) => {
                if (variant !== undefined) this.chosen.set(slot.pointer, variant);
                this.change(slot, value);
                redraw(slot.pointer);
            };
            const label = this.label(node, how);
            const row = make("div", "cluster");
            if (node.kind === "variants") node.variants.forEach((variant, place) => row.append(button(variant.name, () => add(begin(variant), place), { symbol: "plus", quiet: false })));
            else {
                const isList = node.kind === "array";
                const first = isList && node.default === undefined && !node.compact ? [begin(node.item)] : begin(node);
                row.append(button(isList ? `Add to ${label}` : `Add ${label}`, () => add(first), { symbol: "plus", quiet: false }));
            }
            field.append(row);
        }

        leaveOut(node, slot, how, redraw) {
            if (node.required && !node.nullable) return "";
            const text = node.required ? "Make it null" : `Leave out ${this.label(node, how)}`;
            const leave = () => {
                this.change(slot, node.required ? null : undefined);
                redraw(slot.pointer);
            };
            return button(text, leave, { symbol: "close", bare: true });
        }

        members(node, slot, how, field, redraw) {
            const members = make("div", "schema-form__members");
            for (const each of node.properties) members.append(this.control(each, this.child(slot, each.key), { label: each.key, key: each.key }));
            field.append(members);
            const known = new Set(node.properties.map((each) => each.key));
            const others = [...slot.get().keys()].filter((key) => !known.has(key));
            if (node.extra) this.rows(node, slot, how, field, redraw, others);
            else if (others.length && !node.closed) field.append(make("p", "field__help", `Only in the JSON: ${others.slice(0, 8).join(", ")}${others.length > 8 ? " …" : ""}`));
        }

        /* A map: names and values. */
        rows(node, slot, how, field, redraw, keys) {
            const list = make("ul", "schema-form__items");
            const extra = { ...node.extra, required: true };
            for (const key of keys.slice(0, ITEMS_MAX)) {
                const name = make("input", "input mono");
                name.value = key;
                name.setAttribute("aria-label", `Name of ${key} in ${this.label(node, how)}`);
                name.setAttribute("autocomplete", "off");
                name.addEventListener("change", () => {
                    if (name.value === key) return;
                    if (slot.get().has(name.value)) {
                        this.say(`${name.value} is there already. The name stays ${key}.`);
                        name.value = key;
                        return;
                    }
                    const renamed = [...slot.get()].map(([each, value]) => [each === key ? name.value : each, value]);
                    this.change(slot, new Map(renamed));
                    setTimeout(() => redraw()); // only then is the focus where it goes
                });
                const remove = button(`Remove ${key}`, () => {
                    slot.get().delete(key);
                    this.change(slot, slot.get());
                    redraw(slot.pointer);
                    this.say(`${key} is removed.`);
                }, { symbol: "trash", bare: true });
                const row = make("li", "schema-form__row", name, this.control(extra, this.child(slot, key), { label: `Value of ${key}`, item: true }), make("div", "schema-form__tools", remove));
                list.append(row);
            }
            field.append(list);
            if (keys.length > ITEMS_MAX) field.append(make("p", "field__help", `And ${keys.length - ITEMS_MAX} more, in the JSON.`));
            else {
                const add = button(`Add to ${this.label(node, how)}`, () => {
                    let key = "name";
                    for (let place = 2; slot.get().has(key); place += 1) key = `name ${place}`;
                    slot.get().set(key, begin(extra));
                    this.change(slot, slot.get());
                    redraw();
                    const names = this.controls.get(slot.pointer) && document.querySelectorAll(`[data-pointer="${CSS.escape(slot.pointer)}"] .schema-form__row > .input`);
                    const last = [...(names ?? [])].filter((each) => this.pane.contains(each)).at(-1);
                    last?.focus();
                    last?.select();
                }, { symbol: "plus", quiet: false });
                field.append(make("div", "", add));
            }
        }

        items(node, slot, how, field, redraw) {
            const value = slot.get();
            const canBeLine = node.compact && value.every((each) => each instanceof Digits) && value.length <= NUMBERS_MAX;
            if (canBeLine && !this.asRows.has(slot.pointer)) {
                field.append(this.line(node, slot, how, redraw));
                return;
            }
            const label = this.label(node, how);
            const list = make("ol", "schema-form__items");
            const at = (place) => `${slot.pointer}/${place}`;
            const put = (items, focus, text) => {
                this.change(slot, items);
                redraw(focus);
                this.say(text);
            };
            const item = { ...node.item, required: true };
            for (let place = 0; place < Math.min(value.length, ITEMS_MAX); place += 1) {
                const name = `${node.item.title || label} ${place + 1}`;
                const move = (by) => {
                    const to = place + by;
                    if (to < 0 || to >= slot.get().length) return;
                    const items = [...slot.get()];
                    items.splice(to, 0, ...items.splice(place, 1));
                    put(items, at(to), `${name} is now item ${to + 1} of ${items.length}.`);
                };
                const row = make("li", "schema-form__row", this.control({ ...item, title: undefined }, this.child(slot, place), { label: name, item: true }));
                const up = button(`Move ${name} up`, () => move(-1), { symbol: "up", bare: true });
                const down = button(`Move ${name} down`, () => move(1), { symbol: "down", bare: true });
                up.disabled = place === 0;
                down.disabled = place === value.length - 1;
                const remove = button(`Remove ${name}`, () => {
                    const items = slot.get().filter((_, each) => each !== place);
                    put(items, items.length ? at(Math.min(place, items.length - 1)) : slot.pointer, `${name} is removed. ${count(items.length, "item")} left.`);
                }, { symbol: "trash", bare: true });
                row.append(make("div", "schema-form__tools", up, down, remove));
                row.dataset.item = "";
                row.addEventListener("schema-form:move", (event) => {
                    event.stopPropagation();
                    move(event.detail);
                });
                row.addEventListener("schema-form:add", (event) => {
                    event.stopPropagation();
                    put(slot.get().toSpliced(place + 1, 0, begin(item)), at(place + 1), `Item ${place + 2} is added.`);
                });
                list.append(row);
            }
            field.append(list);
            const row = make("div", "cluster");
            if (value.length > ITEMS_MAX) field.append(make("p", "field__help", `The first ${ITEMS_MAX} of ${value.length}. The others are in the JSON.`));
            else row.append(button(`Add to ${label}`, () => put([...slot.get(), begin(item)], at(slot.get().length), `Item ${slot.get().length + 1} is added.`), { symbol: "plus", quiet: false }));
            if (canBeLine) row.append(button("In one line", () => {
                this.asRows.delete(slot.pointer);
                redraw(slot.pointer);
            }, { symbol: "wrap" }));
            field.append(row);
        }

        /* A list of numbers as one line, which takes what is copied from a table. */
        line(node, slot, how, redraw) {
            const area = make("textarea", "schema-form__line");
            const told = make("p", "field__help");
            const label = this.label(node, how);
            area.rows = 1;
            area.spellcheck = false;
            area.inputMode = "decimal";
            area.value = slot.get().map((each) => each.text).join(", ");
            area.setAttribute("aria-label", how.isRoot || how.item ? label : `${label}: numbers`);
            told.id = `schema-form-${(numbered += 1)}`;
            area.setAttribute("aria-describedby", told.id);
            const tell = () => (told.textContent = `${count(slot.get().length, "number")}. Separate them by commas, blanks or lines; paste a column of a table.`);
            area.addEventListener("input", () => {
                const texts = area.value.split(/[\s,;[\]]+/).filter(Boolean);
                const wrong = texts.find((text) => !isNumeric(text));
                this.problem(slot, wrong === undefined ? "" : `${JSON.stringify(wrong.slice(0, 40))} is not a number. The JSON keeps the list from before.`);
                if (wrong === undefined) {
                    this.change(slot, texts.map(number));
                    tell();
                } else this.showMessages();
            });
            tell();
            const rows = button("In rows", () => {
                this.asRows.add(slot.pointer);
                redraw(slot.pointer);
            }, { symbol: "menu" });
            return make("div", "field", area, make("div", "cluster cluster--between", told, slot.get().length && slot.get().length <= ITEMS_MAX ? rows : ""));
        }

        variants(node, slot, how, field, redraw) {
            const value = slot.get();
            const wanted = this.chosen.get(slot.pointer);
            const current = wanted !== undefined && fits(node.variants[wanted], value) && !fixed(node.variants[wanted], value) ? wanted : variantOf(node, value);
            const select = make("select");
            if (current < 0) select.append(new Option("Choose…", ""));
            for (const [place, variant] of node.variants.entries()) select.append(new Option(variant.name, String(place)));
            select.value = current < 0 ? "" : String(current);
            select.setAttribute("aria-label", `Kind of ${this.label(node, how)}`);
            select.addEventListener("change", () => {
                const variant = node.variants[Number(select.value)];
                this.chosen.set(slot.pointer, Number(select.value));
                let next = begin(variant);
                if (next instanceof Map && slot.get() instanceof Map) {
                    // What both have stays.
                    for (const each of variant.properties) if (slot.get().has(each.key) && each.kind !== "const" && fits(each, slot.get().get(each.key))) next.set(each.key, slot.get().get(each.key));
                } else if (fits(variant, slot.get())) next = slot.get();
                this.change(slot, next);
                redraw();
            });
            field.append(make("div", "field schema-form__kind", select));
            if (current < 0) field.append(make("p", "field__help", `The JSON has ${kindOf(value)} here that is none of these.`));
            else {
                const variant = { ...node.variants[current], required: true };
                const inside = make("div", "schema-form__variant");
                inside.append(this.control(variant, slot, { label: variant.title || variant.name, item: true, isRoot: variant.kind === "object" || variant.kind === "array" }));
                field.append(inside);
            }
        }
    }

    const hintOf = (node) => (node.default !== undefined ? shown(parse(node.default)) : node.example !== undefined ? `for example ${shown(parse(node.example))}` : "").slice(0, 80).replaceAll("\n", " ");

    const forms = new Map(); // the name of an input → its form

    /* One more row for a secret, empty. */
    function addSecret(rows) {
        const row = rows.lastElementChild.cloneNode(true);
        const place = rows.childElementCount + 1;
        for (const field of row.querySelectorAll(".field")) {
            const input = field.querySelector("input");
            input.id = input.id.replace(/\d+$/, String(place));
            input.value = "";
            input.readOnly = false;
            field.querySelector("label").htmlFor = input.id;
        }
        rows.append(row);
        row.querySelector("input").focus();
    }

    htmx.onLoad((part) => {
        for (const host of part.querySelectorAll("[data-schema-form]")) forms.set(host.dataset.schemaForm, new Form(host));
        for (const add of part.querySelectorAll("[data-add-secret]")) {
            add.hidden = false;
            add.addEventListener("click", () => addSecret(add.closest("[data-secrets]").querySelector("[data-secret-rows]")));
        }
    });

    /* The summary of what is wrong leads to the controls. */
    document.addEventListener("click", (event) => {
        const link = event.target.closest?.("a[data-violation]");
        if (!link) return;
        if (forms.get(link.dataset.input)?.focus(link.dataset.violation)) event.preventDefault();
    });
})();
