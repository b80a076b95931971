/* Buttons that copy, and say so. */
(() => {
    "use strict";
    const SAID_MS = 2000;
    let said;

    async function copy(text) {
        if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
        // Pages by plain http from another host have no clipboard API.
        const field = document.createElement("textarea");
        field.value = text;
        field.className = "visually-hidden";
        const focused = document.activeElement;
        (document.querySelector("dialog[open]") || document.body).append(field);
        field.select();
        const done = document.execCommand("copy");
        field.remove();
        focused?.focus();
        if (!done) throw new Error("copying is not allowed here");
    }

    function announce(text) {
        if (!said) {
            said = document.createElement("p");
            said.className = "visually-hidden";
            said.setAttribute("role", "status");
            document.querySelector("[data-toasts]").append(said);
        }
        said.textContent = "";
        requestAnimationFrame(() => (said.textContent = text));
    }

    function show(button, icon, words, isDone) {
        const use = button.querySelector("use");
        const label = button.querySelector(".copy__label");
        if (use) use.setAttribute("href", use.getAttribute("href").replace(/#.*/, `#${icon}`));
        if (label) {
            label.dataset.was ??= label.textContent;
            label.textContent = words || label.dataset.was;
        } else if (words) button.setAttribute("title", words);
        else button.removeAttribute("title");
        button.toggleAttribute("data-copied", isDone);
    }

    document.addEventListener("click", async (event) => {
        const button = event.target.closest("[data-copy], [data-copy-from]");
        if (!button) return;
        const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
        try {
            await copy(source ? (source.value ?? source.textContent) : button.dataset.copy);
            show(button, "check", "Copied", true);
            announce("Copied");
        } catch {
            show(button, "failed", "Not allowed", false);
            announce("The browser did not allow copying. Select the text and copy it by hand.");
        }
        clearTimeout(button.copiedTimer);
        button.copiedTimer = setTimeout(show, SAID_MS, button, "copy", "", false);
    });
})();
