/* A textarea for JSON: line numbers, where a mistake is, formatting that keeps every digit, size against the limit. */
(() => {
    "use strict";
    const CHECK_MS = 180;
    const TOKEN = /[ \t\n\r]+|[{}[\],:]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

    class Mistake extends Error {
        constructor(message, at) {
            super(message);
            this.at = at;
        }
    }

    /* The tokens of a JSON text with their places; throws a Mistake at the first that cannot be there. */
    function* tokens(text) {
        const open = [];
        let expected = "value"; // value | key | colon | end (comma or closing)
        let mayClose = false;
        let at = 0;
        while (at < text.length) {
            TOKEN.lastIndex = at;
            const found = TOKEN.exec(text)?.[0];
            if (!found) throw new Mistake(describe(text, at, expected), at);
            const next = at + found.length;
            if (!/^\s/.test(found)) {
                const top = open.at(-1);
                if (found === "}" || found === "]") {
                    if ((found === "}") !== (top === "{") || !top) throw new Mistake(top ? `${top} is closed by ${found}` : `${found} closes nothing`, at);
                    if (expected !== "end" && !mayClose) throw new Mistake(expected === "colon" ? "a colon and a value are missing" : "nothing follows the last comma", at);
                    open.pop();
                    [expected, mayClose] = ["end", false];
                } else if (expected === "end") {
                    if (!top) throw new Mistake("the text goes on after its end", at);
                    if (found !== ",") throw new Mistake("a comma is missing before this", at);
                    [expected, mayClose] = [top === "{" ? "key" : "value", false];
                } else if (expected === "colon") {
                    if (found !== ":") throw new Mistake("a colon is missing after the name", at);
                    expected = "value";
                } else if (expected === "key") {
                    if (!found.startsWith('"')) throw new Mistake("a name in double quotes must stand here", at);
                    [expected, mayClose] = ["colon", false];
                } else if (found === "{" || found === "[") {
                    open.push(found);
                    [expected, mayClose] = [found === "{" ? "key" : "value", true];
                } else if (found === "," || found === ":") throw new Mistake("a value is missing before this", at);
                else [expected, mayClose] = ["end", false];
                yield { text: found, at };
            }
            at = next;
        }
        if (open.length) throw new Mistake(`${open.at(-1)} is never closed`, text.length);
        if (expected !== "end") throw new Mistake("a value is missing", text.length);
    }

    function describe(text, at, expected) {
        const rest = text.slice(at, at + 20);
        if (rest.startsWith("'")) return "texts stand in double quotes, not single ones";
        if (rest.startsWith('"')) return "this text is never closed, or has a line break or a wrong \\ in it";
        if (/^(True|False|None|NaN|Infinity|undefined)\b/.test(rest)) return `JSON has no ${rest.match(/^\w+/)[0]}: write true, false or null`;
        if (/^(\/\/|\/\*|#)/.test(rest)) return "JSON has no comments";
        if (/^[-+.]?\d/.test(rest)) return "this number is not written as JSON writes numbers";
        if (/^[A-Za-z_]/.test(rest)) return expected === "key" ? "names stand in double quotes" : "texts stand in double quotes";
        return `${JSON.stringify(rest[0])} cannot stand here`;
    }

    function format(text) {
        const out = [];
        let depth = 0;
        let before = "";
        const newline = () => out.push("\n", "  ".repeat(depth));
        for (const { text: token } of tokens(text)) {
            const closes = token === "}" || token === "]";
            if (closes) depth -= 1;
            if ((closes && before !== "{" && before !== "[") || before === "," || ((before === "{" || before === "[") && !closes)) newline();
            out.push(token === ":" ? ": " : token);
            if (token === "{" || token === "[") depth += 1;
            before = token;
        }
        return out.join("");
    }

    function place(text, at) {
        const lines = text.slice(0, at).split("\n");
        return [lines.length, lines.at(-1).length + 1];
    }

    // Its limit is a round number of bytes, which no unit of sizeInWords says.
    const counted = (bytes) => bytes.toLocaleString("en");
    const sized = (bytes) => `${counted(bytes)} ${bytes === 1 ? "byte" : "bytes"}`;

    function insert(area, text) {
        // execCommand keeps the undo history, which setRangeText forgets.
        if (!document.execCommand("insertText", false, text)) area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    }

    function begin(editor) {
        const area = editor.querySelector("textarea");
        const gutter = editor.querySelector("[data-gutter]");
        const state = editor.querySelector("[data-state]");
        const size = editor.querySelector("[data-size]");
        const button = editor.querySelector("[data-format]");
        const limit = Number(editor.dataset.maxBytes) || 0;
        let numbered = 0;
        let timer = 0;
        let leaves = false; // Escape was pressed: the next Tab leaves the field

        function number() {
            const lines = area.value.split("\n").length;
            if (lines === numbered) return;
            numbered = lines;
            gutter.textContent = Array.from({ length: lines }, (_, line) => line + 1).join("\n") + "\n";
            gutter.scrollTop = area.scrollTop;
        }

        function check() {
            const text = area.value;
            const bytes = new Blob([text]).size;
            size.textContent = limit ? `${counted(bytes)} of ${sized(limit)}` : sized(bytes);
            size.toggleAttribute("data-over", Boolean(limit) && bytes > limit);
            let mistake = null;
            if (text.trim()) {
                try {
                    JSON.parse(text);
                } catch {
                    try {
                        for (const _ of tokens(text));
                    } catch (found) {
                        mistake = found;
                    }
                }
            }
            const tooLarge = limit && bytes > limit;
            editor.toggleAttribute("data-invalid", Boolean(mistake || tooLarge));
            button.disabled = Boolean(mistake) || !text.trim();
            if (mistake) {
                const [line, column] = place(text, mistake.at);
                const go = document.createElement("button");
                go.type = "button";
                go.className = "json-editor__place";
                go.textContent = `Line ${line}, column ${column}`;
                go.addEventListener("click", () => {
                    area.focus();
                    area.setSelectionRange(mistake.at, mistake.at + 1);
                });
                const was = state.textContent;
                if (was !== `${go.textContent}: ${mistake.message}.`) state.replaceChildren(go, `: ${mistake.message}.`);
            } else if (tooLarge) state.textContent = `${sized(bytes - limit)} too much. Send less, or split the work into several jobs.`;
            else state.textContent = text.trim() ? "Valid JSON" : "";
        }

        area.addEventListener("input", () => {
            number();
            clearTimeout(timer);
            timer = setTimeout(check, CHECK_MS);
        });
        area.addEventListener("scroll", () => (gutter.scrollTop = area.scrollTop), { passive: true });
        area.addEventListener("blur", () => (leaves = false));
        area.addEventListener("keydown", (event) => {
            if (event.key === "Escape") leaves = true;
            else if (event.key === "Tab" && !leaves && !event.shiftKey && !event.altKey && !event.ctrlKey && !event.metaKey) {
                event.preventDefault();
                insert(area, "  ");
            } else if (event.key === "Enter" && !event.isComposing && !event.ctrlKey && !event.metaKey) {
                const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
                const indent = line.match(/^[ \t]*/)[0] + (/[{[]\s*$/.test(line) ? "  " : "");
                event.preventDefault();
                insert(area, `\n${indent}`);
            } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) area.form?.requestSubmit();
            else if (event.key !== "Tab" && event.key !== "Shift") leaves = false;
        });
        button.hidden = false;
        button.addEventListener("click", () => {
            let tidy;
            try {
                tidy = format(area.value);
            } catch {
                return check();
            }
            if (tidy === area.value) return;
            area.focus();
            area.select();
            insert(area, tidy);
            area.setSelectionRange(0, 0);
            area.scrollTop = 0;
        });
        area.spellcheck = false;
        area.setAttribute("wrap", "off");
        area.setAttribute("autocapitalize", "off");
        area.setAttribute("aria-describedby", [area.getAttribute("aria-describedby"), state.id].filter(Boolean).join(" "));
        number();
        check();
    }

    htmx.onLoad((part) => {
        const editors = [...part.querySelectorAll("[data-json-editor]")];
        if (part.matches?.("[data-json-editor]")) editors.push(part);
        for (const editor of editors) begin(editor);
    });
})();
