/* The forms of a service: its description as text or as it will look, and a name taken from the chosen zip. */
(() => {
    "use strict";

    const SAYS_NOTHING = /^(user[ _-]?code|template|mercato[ _-]?template|source|src|project|archive|code|service|app|main)$/i;

    htmx.onLoad((root) => {
        for (const field of root.querySelectorAll("[data-markdown-field]")) markdownField(field);
        for (const input of root.querySelectorAll("input[hx-preserve]")) described(input);
    });
    document.addEventListener("change", (event) => {
        if (event.target.matches("[data-service-form] input[name=upload]")) suggestName(event.target);
    });

    /* A kept file input is older than the messages around it. */
    function described(input) {
        const notes = ["helptext", "error"].map((kind) => `${input.id}_${kind}`).filter((id) => document.getElementById(id));
        input.setAttribute("aria-describedby", notes.join(" "));
        input.setAttribute("aria-invalid", String(notes.length > 1));
    }

    function markdownField(field) {
        const text = field.querySelector("textarea");
        const area = field.querySelector("[data-preview-area]");
        const write = field.querySelector("[data-write]");
        const preview = field.querySelector("[data-preview]");
        const show = (previewing) => {
            text.hidden = previewing;
            area.hidden = !previewing;
            write.setAttribute("aria-pressed", String(!previewing));
            preview.setAttribute("aria-pressed", String(previewing));
        };
        write.hidden = false;
        preview.type = "button"; /* as the first submit button of the form it would answer to Enter in a field */
        write.addEventListener("click", () => {
            show(false);
            text.focus();
        });
        preview.addEventListener("htmx:beforeRequest", () => {
            area.style.minBlockSize = `${text.offsetHeight}px`; /* CSSOM, which the CSP allows: the page must not jump */
            show(true);
        });
    }

    function suggestName(upload) {
        const name = upload.form.elements.namedItem("name");
        const file = upload.files[0];
        if (!file || name.value.trim()) return;
        const words = file.name.replace(/\.zip$/i, "").replace(/[-_.\s]+v?\d[\d.]*$/i, "").replace(/[-_\s]+/g, " ").trim();
        if (words && !SAYS_NOTHING.test(words)) name.value = (words[0].toUpperCase() + words.slice(1)).slice(0, name.maxLength);
    }
})();
