/* The editor of API descriptions: CodeMirror over the text area of the form, which stays the truth that is sent. */
(() => {
    "use strict";
    const form = document.querySelector("[data-api-editor]");
    if (!form) return;

    const nonce = document.currentScript.nonce;
    const area = form.elements.namedItem("text");
    const file = form.elements.namedItem("openapi_file");
    const save = form.querySelector("[data-save]");
    const checked = form.querySelector("[data-checked]");
    const said = form.querySelector("[data-said]");
    const {
        closeBrackets, closeBracketsKeymap, defaultKeymap, history, historyKeymap, indentWithTab, json, yaml, bracketMatching, codeFolding,
        foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting, lintGutter, lintKeymap, setDiagnostics,
        highlightSelectionMatches, search, searchKeymap, Compartment, EditorState, drawSelection, EditorView, highlightActiveLine,
        highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers, tags,
    } = CodeMirror;

    const look = EditorView.theme({
        "&": { height: "100%", color: "var(--ink)", backgroundColor: "var(--surface)", fontSize: "var(--text-s)" },
        "&.cm-focused": { outline: "none" },
        ".cm-scroller": { fontFamily: "var(--mono)", fontVariantLigatures: "none", lineHeight: "1.55" },
        ".cm-content": { padding: "var(--space-2) 0", caretColor: "var(--ink)" },
        ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--ink)", borderLeftWidth: "2px" },
        "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--running-tint)" },
        ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--ink-faint)", borderRight: "1px solid var(--line)" },
        ".cm-activeLine": { backgroundColor: "color-mix(in oklab, var(--hover) 45%, transparent)" },
        ".cm-activeLineGutter": { backgroundColor: "var(--hover)", color: "var(--ink)" },
        ".cm-selectionMatch": { backgroundColor: "var(--accent-tint)" },
        "&.cm-focused .cm-matchingBracket, .cm-matchingBracket": { backgroundColor: "var(--succeeded-tint)", color: "inherit" },
        "&.cm-focused .cm-nonmatchingBracket": { backgroundColor: "var(--failed-tint)" },
        ".cm-foldPlaceholder": { backgroundColor: "var(--hover)", color: "var(--ink-soft)", border: "1px solid var(--line)" },
        ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--failed) 1px", textUnderlineOffset: "3px" },
        ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--ink)", border: "1px solid var(--line)", borderRadius: "var(--radius)", boxShadow: "var(--shadow-large)", maxWidth: "min(36rem, 90vw)" },
        ".cm-diagnostic": { padding: "var(--space-2) var(--space-3)", borderLeft: "3px solid var(--failed)", fontFamily: "var(--sans)", fontSize: "var(--text-s)", overflowWrap: "anywhere" },
        ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--ink)", borderColor: "var(--line)" },
        ".cm-panel.cm-search": { padding: "var(--space-2)", fontFamily: "var(--sans)", fontSize: "var(--text-s)" },
        ".cm-panel.cm-search label": { fontSize: "inherit" },
        ".cm-textfield": { backgroundColor: "var(--surface)", border: "1px solid var(--line-strong)", borderRadius: "var(--radius-s)", fontSize: "inherit" },
        ".cm-button": { backgroundColor: "var(--surface)", backgroundImage: "none", border: "1px solid var(--line-strong)", borderRadius: "var(--radius-s)", color: "var(--ink)", fontSize: "inherit" },
        ".cm-panel.cm-search [name=close]": { color: "var(--ink-soft)" },
        ".cm-searchMatch": { backgroundColor: "var(--waiting-tint)" },
        ".cm-searchMatch-selected": { outline: "2px solid var(--waiting)" },
    });
    const colours = HighlightStyle.define([
        { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.attributeName], color: "var(--accent-ink)" },
        { tag: [tags.string, tags.special(tags.string), tags.content], color: "var(--ink)" },
        { tag: [tags.number, tags.bool, tags.null, tags.atom, tags.keyword], color: "var(--running-ink)" },
        { tag: [tags.comment, tags.lineComment], color: "var(--ink-faint)", fontStyle: "italic" },
        { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace, tags.meta], color: "var(--ink-soft)" },
        { tag: [tags.labelName, tags.typeName], color: "var(--succeeded-ink)" },
        { tag: tags.invalid, color: "var(--failed-ink)" },
    ]);
    const languages = { json: json(), yaml: yaml() };
    const language = new Compartment();
    let kind = kindOf(area.value);
    let isSending = false;
    const first = area.value;

    function kindOf(text) {
        return text.trimStart().startsWith("{") ? "json" : "yaml";
    }

    function changed(update) {
        if (!update.docChanged) return;
        area.value = update.state.doc.toString();
        area.dispatchEvent(new Event("input", { bubbles: true }));
        if (kindOf(area.value) !== kind) {
            kind = kindOf(area.value);
            queueMicrotask(() => view.dispatch({ effects: language.reconfigure(languages[kind]) }));
        }
    }

    function saved() {
        form.requestSubmit(save);
        return true;
    }

    const box = document.createElement("div");
    box.className = "api-editor__box";
    const view = new EditorView({
        parent: box,
        state: EditorState.create({
            doc: area.value,
            extensions: [
                EditorView.cspNonce.of(nonce),
                EditorView.contentAttributes.of({ "aria-label": area.labels[0].textContent.trim(), "aria-describedby": "api-editor-help", tabindex: "0" }),
                EditorState.tabSize.of(2),
                indentUnit.of("  "),
                lineNumbers(), lintGutter(), foldGutter(), codeFolding(), highlightSpecialChars(), history(), drawSelection(), indentOnInput(),
                bracketMatching(), closeBrackets(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(), search({ top: true }),
                language.of(languages[kind]),
                look,
                syntaxHighlighting(colours),
                keymap.of([
                    { key: "Mod-s", run: saved, preventDefault: true },
                    ...closeBracketsKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, ...defaultKeymap, indentWithTab,
                ]),
                EditorView.updateListener.of(changed),
            ],
        }),
    });

    /* What the server found, at its lines. */
    function mark() {
        const { doc } = view.state;
        const found = [];
        for (const problem of checked.querySelectorAll("[data-problem][data-line]")) {
            const line = doc.line(Math.min(Number(problem.dataset.line), doc.lines));
            const indent = line.text.length - line.text.trimStart().length;
            const column = problem.dataset.column ? Math.min(Number(problem.dataset.column) - 1, line.length) : indent;
            const from = column >= line.length ? line.from + indent : line.from + column;
            found.push({ from, to: line.to, severity: "error", message: problem.querySelector("[data-words]").textContent.trim() });
        }
        view.dispatch(setDiagnostics(view.state, found.sort((a, b) => a.from - b.from)));
    }

    function go(number) {
        const line = view.state.doc.line(Math.min(number, view.state.doc.lines));
        view.dispatch({ selection: { anchor: line.from, head: line.to }, effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
        view.focus();
    }

    function say(text) {
        if (said.textContent !== text) said.textContent = text;
    }

    form.dataset.ready = "";
    area.after(box);
    area.hidden = true;
    area.labels[0].addEventListener("click", (event) => {
        event.preventDefault();
        view.focus();
    });
    for (const part of form.querySelectorAll("[data-without-script]")) part.hidden = true;
    for (const part of form.querySelectorAll("[data-with-script]")) part.hidden = false;
    mark();

    checked.addEventListener("htmx:afterSwap", (event) => {
        if (event.target !== checked) return;
        mark();
        say(checked.querySelector("[data-summary]").textContent.trim());
    });
    checked.addEventListener("htmx:sendError", () => say("The server did not answer, so the text is not checked."));
    checked.addEventListener("click", (event) => {
        const problem = event.target.closest(".problem__line")?.closest("[data-problem]");
        if (!problem) return;
        event.preventDefault();
        go(Number(problem.dataset.line));
    });
    file.addEventListener("change", async () => {
        const chosen = file.files[0];
        if (!chosen) return;
        if (chosen.size > Number(form.dataset.maxBytes)) {
            const text = `${chosen.name} is larger than a description may be. Leave out large examples.`;
            document.dispatchEvent(new CustomEvent("toast", { detail: { text, level: "error" } }));
        } else {
            view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: await chosen.text() }, selection: { anchor: 0 }, scrollIntoView: true });
            view.focus();
        }
        file.value = ""; /* else it would be sent along */
    });
    form.addEventListener("submit", () => (isSending = true));
    addEventListener("pageshow", () => (isSending = false));
    addEventListener("beforeunload", (event) => {
        if (!isSending && ("unsaved" in form.dataset || area.value !== first)) event.preventDefault();
    });
})();
